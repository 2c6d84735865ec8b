//! Programs at functions of the target's programs.

use aya::programs::{
    UProbe,
    uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
};

use super::{AttachError, Live, program};
use crate::functions::Function;

impl Live {
    /// Makes functions phases, by their place in the list: probes at their entry and where they leave, in
    /// every process that runs them. Those that are not of the target leave at once.
    ///
    /// # Errors
    ///
    /// [`AttachError`] with the kernel's reason.
    pub fn attach_functions(&mut self, functions: &[Function]) -> Result<(), AttachError> {
        if functions.is_empty() {
            return Ok(());
        }
        type Places = fn(&Function) -> &[u64];
        let programs: [(&str, Places); 2] = [
            ("function_entered", |function| {
                std::slice::from_ref(&function.entry)
            }),
            ("function_left", |function| &function.exits),
        ];
        for (name, places) in programs {
            let probe: &mut UProbe = program(&mut self.bpf, name)?;
            let loaded = probe.load();
            loaded.map_err(AttachError::refused(name, "function phases"))?;
            for (number, function) in functions.iter().enumerate() {
                for offset in places(function) {
                    let point = UProbeAttachPoint {
                        location: UProbeAttachLocation::AbsoluteOffset(*offset),
                        cookie: Some(number as u64),
                    };
                    let attached = probe.attach(point, &function.path, UProbeScope::AllProcesses);
                    attached.map_err(AttachError::refused(name, &function.name))?;
                }
            }
        }
        Ok(())
    }
}
