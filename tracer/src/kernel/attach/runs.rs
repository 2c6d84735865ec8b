//! How often the programs ran and how long, by the kernel's own clock.

use std::os::fd::OwnedFd;

use aya::{
    programs::ProgramError,
    sys::{Stats, enable_stats},
};

use super::{AttachError, Live, missed::described};
use crate::event::Runs;

/// The kernel takes the time of every program's runs while this lives.
pub(super) struct Timed {
    _while_open: OwnedFd,
}

impl Timed {
    /// From now on.
    ///
    /// # Errors
    ///
    /// Without `CAP_SYS_ADMIN`.
    pub(super) fn start() -> Result<Self, AttachError> {
        let enabled = enable_stats(Stats::RunTime).map_err(ProgramError::from);
        Ok(Self {
            _while_open: enabled.map_err(|error| AttachError::Stats(Box::new(error)))?,
        })
    }
}

impl Live {
    /// Takes the time of the programs from now on.
    ///
    /// # Errors
    ///
    /// [`AttachError::Stats`] if the kernel does not permit that.
    pub fn time_programs(&mut self) -> Result<(), AttachError> {
        self.timed = Some(Timed::start()?);
        Ok(())
    }

    /// Runs of all programs since then; `None` if nobody asked, or the kernel does not tell.
    pub fn runs(&self) -> Option<Runs> {
        self.timed.as_ref()?;
        let mut runs = Runs::default();
        for (_, program) in self.bpf.programs() {
            let Some(text) = described(program)? else {
                continue;
            };
            runs.count += text.number("run_cnt")?;
            runs.ns += text.number("run_time_ns")?;
        }
        Some(runs)
    }
}
