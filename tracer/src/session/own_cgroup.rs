//! The cgroup that a command or process is in: its peak before and after, and who else is there.

use std::path::PathBuf;

use crate::cgroup::{self, Hierarchy};

/// The target's cgroup as it was when tracing began.
pub(super) struct AtStart {
    pub(super) directory: PathBuf,
    /// Name of the file that holds its peak.
    pub(super) file: &'static str,
    pub(super) peak_bytes: Option<u64>,
    pub(super) strangers: u32,
}

impl AtStart {
    /// Of the process's cgroup; `None` if that has no peak.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let hierarchy = Hierarchy::here()?;
        let (directory, file) = (hierarchy.of(pid)?, hierarchy.peak_file());
        directory.join(file).exists().then(|| Self {
            peak_bytes: cgroup::number(&directory.join(file)),
            directory,
            file,
            strangers: 0,
        })
    }
}
