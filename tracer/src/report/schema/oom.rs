//! What the report says of cgroups and of kills for want of memory.

use serde::Serialize;

use crate::cgroup::State;

/// The cgroup that is the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CgroupSection {
    /// Path of its directory.
    pub path: String,
    /// What its files said: counts at the end, amounts when there was most, as far as seen.
    #[serde(flatten)]
    pub state: State,
    /// Highest sum of the anonymous memory of its processes, exact; `None` if the record of the run
    /// breaks off.
    pub anon_peak_bytes: Option<i64>,
    /// When.
    pub anon_peak_at_ns: Option<u64>,
    /// What the limit was hit by, as far as the files tell; `None` if it was not.
    pub limit_hit_by: Option<String>,
}

/// A process that the kernel chose to be killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Oom {
    /// When.
    pub at_ns: u64,
    /// The victim is a process of the target.
    pub of_target: bool,
    /// Its PID; `None` if it does not show in memtrace's namespace.
    pub pid: Option<u32>,
    /// Its name.
    pub comm: String,
    /// Its level at that moment, exact; `None` if it is not of the target.
    pub rss_bytes: Option<i64>,
    /// Anonymous memory of it.
    pub anon_bytes: Option<i64>,
    /// Level of the whole target.
    pub target_rss_bytes: i64,
    /// PID of the task that asked for memory.
    pub asked_by_pid: Option<u32>,
    /// Its name.
    pub asked_by: String,
    /// The victim was killed by SIGKILL; false: it was about to end anyway. `None` if it is not of
    /// the target or did not end.
    pub killed: Option<bool>,
    /// Phase that was open then.
    pub phase: Option<String>,
    /// Processes of the target then, the largest first, at most [`Oom::MOST`].
    pub processes: Vec<OomProcess>,
}

impl Oom {
    /// Processes listed.
    pub const MOST: usize = 32;
    /// History before the kill that is looked at, nanoseconds.
    pub const BEFORE_NS: u64 = 10_000_000_000;
}

/// A process of the target at a kill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OomProcess {
    /// PID; `None` if unknown.
    pub pid: Option<u32>,
    /// Name.
    pub comm: String,
    /// Level, as the stream had told it last.
    pub rss_bytes: i64,
    /// By how much it had grown in the ten seconds before, as the stream tells; `None` if its
    /// history is not known.
    pub grown_bytes: Option<i64>,
}
