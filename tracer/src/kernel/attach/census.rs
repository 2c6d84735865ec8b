//! The census: who is there already, from the kernel's list of tasks.

use std::{fs::File, io};

use aya::programs::{Iter, ProgramError};

use super::{AttachError, Live, program};
use crate::kernel::ledgers::Shared;

/// Runs of the census before it is given up. Each finds what was forked before its parent was
/// known; only a target that forks faster than the kernel's task list is read needs many.
const CENSUS_RUNS: u32 = 64;

impl Live {
    /// Makes all that runs in a cgroup the target, now and later. Gives how many processes it has.
    ///
    /// # Errors
    ///
    /// [`AttachError`] if a map or the task list cannot be used.
    pub fn follow_cgroup(&mut self, id: u64, level: u64) -> Result<u64, AttachError> {
        // Checked by the kernel before the cgroup is followed, so that little happens in between.
        self.load_census()?;
        let mut found = self.ledgers.found()?;
        (found.cgroup_id, found.cgroup_level) = (id, level);
        self.ledgers.found.set(0, Shared(found), 0)?;
        self.take_census()?;
        Ok(self.ledgers.target()?.processes)
    }

    /// Makes processes that exist the target, with their descendants unless the plan says not to.
    /// Gives how many processes joined.
    ///
    /// # Errors
    ///
    /// [`AttachError`] if a map or the task list cannot be used.
    pub fn seed(&mut self, pids: &[u32]) -> Result<u64, AttachError> {
        for pid in pids {
            self.ledgers.wanted.insert(pid, 1, 0)?;
        }
        let added = self.take_census()?;
        for pid in pids {
            self.ledgers.wanted.remove(pid)?;
        }
        Ok(added)
    }

    fn take_census(&mut self) -> Result<u64, AttachError> {
        // While several spaces are being found, each must be published at every change.
        self.ledgers.census.set(0, 1, 0)?;
        let mut added = 0;
        for _ in 0..CENSUS_RUNS {
            self.run_census()?;
            let now = self.ledgers.found()?.added;
            if now == added {
                break;
            }
            added = now;
        }
        self.ledgers.census.set(0, 0, 0)?;
        Ok(added)
    }

    /// Brings the ledgers of all living spaces up to date.
    ///
    /// # Errors
    ///
    /// [`AttachError`] if the task list cannot be read.
    pub fn refresh(&mut self) -> Result<(), AttachError> {
        self.run_census()
    }

    /// The census, loaded: most runs never need it, and checking it takes the kernel as long as
    /// all the others.
    fn load_census(&mut self) -> Result<&mut Iter, AttachError> {
        let census: &mut Iter = program(&mut self.bpf, "census")?;
        if census.fd().is_err() {
            census.load("task", &self.types).map_err(census_refused)?;
        }
        Ok(census)
    }

    fn run_census(&mut self) -> Result<(), AttachError> {
        let census = self.load_census()?;
        let link = census.attach().map_err(census_refused)?;
        let link = census.take_link(link).map_err(census_refused)?;
        let mut file: File = link.into_file()?;
        io::copy(&mut file, &mut io::sink()).map_err(AttachError::Census)?;
        Ok(())
    }
}

fn census_refused(error: ProgramError) -> AttachError {
    AttachError::refused("census", "who is there already")(error)
}
