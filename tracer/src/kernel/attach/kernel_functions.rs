//! Programs at functions of the kernel, and what those at its fault handler counted.

use aya::{
    Btf, Ebpf,
    maps::MapError,
    programs::{FEntry, FExit},
};

use super::{AttachError, Live, program};
use crate::{
    kernel::plan::functions::{At, AtFunction},
    latency::FaultLatencies,
};

/// Loads a program and attaches it to its function.
pub(super) fn attach(bpf: &mut Ebpf, planned: &AtFunction, types: &Btf) -> Result<(), AttachError> {
    let attached = match planned.at {
        At::Entry => {
            let program: &mut FEntry = program(bpf, planned.name)?;
            let loaded = program.load(planned.function, types);
            loaded.and_then(|()| program.attach().map(drop))
        }
        At::Exit => {
            let program: &mut FExit = program(bpf, planned.name)?;
            let loaded = program.load(planned.function, types);
            loaded.and_then(|()| program.attach().map(drop))
        }
    };
    attached.map_err(AttachError::refused(planned.name, planned.subject))
}

impl Live {
    /// How long page faults took so far; `None` if their time is not taken.
    ///
    /// # Errors
    ///
    /// If the kernel does not give the maps' values.
    pub fn fault_latencies(&self) -> Result<Option<FaultLatencies>, MapError> {
        if !self.times_faults {
            return Ok(None);
        }
        self.ledgers.fault_latencies().map(Some)
    }
}
