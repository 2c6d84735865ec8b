//! The cgroup that a command or process is in: its peak before and after, who else is there, and
//! whether memtrace is.

use std::path::{Path, PathBuf};

use crate::{
    cgroup::{self, Hierarchy},
    event::Doubt,
    readings,
    units::Bytes,
};

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

/// What to say where memtrace and the target are under one limit, given the target's directory.
pub(super) fn doubt_of_limit(target: &Path) -> Option<Doubt> {
    let hierarchy = Hierarchy::here()?;
    let own = std::process::id();
    let (directory, limit) = hierarchy.common_limit(target, &hierarchy.of(own)?)?;
    // What no machine of this size could hold is no limit.
    if limit >= readings::virtual_limits(own)?.machine_bytes? {
        return None;
    }
    Some(Doubt {
        id: "memtrace-under-limit".to_owned(),
        text: format!(
            "memtrace itself, up to {}, is charged to the limit of {} of {} too.",
            Bytes(OWN_BYTES),
            Bytes(limit.cast_signed()),
            directory.display(),
        ),
        remedy: "Allow that much more, or start memtrace outside of that cgroup and name it: \
                 memtrace --cgroup PATH."
            .to_owned(),
    })
}

/// What memtrace takes at the most: its budget.
const OWN_BYTES: i64 = 48 << 20;
