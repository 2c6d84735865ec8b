//! What the report says of cgroups and of kills for want of memory.

use serde::Serialize;

use super::Absent;
use crate::cgroup::{Pressure, State};

/// The cgroup that is the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CgroupSection {
    /// Path of its directory.
    pub path: String,
    /// What its files said: counts at the end, amounts when there was most, as far as seen.
    #[serde(flatten)]
    pub state: State,
    /// Highest sum of anonymous, shared and kernel memory that was seen: what the kernel cannot
    /// give up without swap. `None` if it does not tell all three.
    pub needed_bytes: Option<u64>,
    /// By how much the usage may be too high: pages that CPUs have charged ahead.
    pub charged_ahead_bytes: u64,
    /// How long tasks waited for memory during the run.
    pub pressure: Option<Pressure>,
    /// Highest sum of the anonymous memory of its processes, exact; `None` if the record of the run
    /// breaks off.
    pub anon_peak_bytes: Option<i64>,
    /// When.
    pub anon_peak_at_ns: Option<u64>,
    /// What the limit was hit by, as far as the files tell; `None` if it was not.
    pub limit_hit_by: Option<String>,
    /// Keys of this section that are `None`, and why.
    pub absent: Vec<Absent>,
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
    /// The victim was killed by SIGKILL; false: it was about to end anyway. `None` if it did not
    /// end, or is not of the target and the kernel's log does not say.
    pub killed: Option<bool>,
    /// Pages that were asked for, as a power of two; like all that follows up to `log_why` from
    /// the kernel's log, and `None` if that does not say.
    pub order: Option<u32>,
    /// How they were asked for.
    pub gfp_mask: Option<String>,
    /// Where there was no memory: `CONSTRAINT_MEMCG` (a cgroup's limit), `CONSTRAINT_NONE` (the
    /// machine), `CONSTRAINT_CPUSET`, `CONSTRAINT_MEMORY_POLICY`.
    pub constraint: Option<String>,
    /// Cgroup whose limit was hit, below the root of its hierarchy; `None` if it was none's.
    pub limit_cgroup: Option<String>,
    /// That limit.
    pub limit_bytes: Option<u64>,
    /// What was used there.
    pub usage_bytes: Option<u64>,
    /// Cgroup of the victim.
    pub victim_cgroup: Option<String>,
    /// Cgroup all of whose processes were killed together (`memory.oom.group`).
    pub group: Option<String>,
    /// Why the log does not tell; `None` if it does.
    pub log_why: Option<String>,
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

/// Calls that were refused for want of memory: nobody is killed for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// How many.
    pub count: u64,
    /// The one that asked for the most.
    pub call: &'static str,
    /// What it asked for.
    pub bytes: u64,
    /// When it was refused.
    pub at_ns: u64,
    /// PID; `None` if unknown.
    pub pid: Option<u32>,
    /// Name of the process; empty if unknown.
    pub comm: String,
    /// By what it was refused, as far as is known.
    pub why: String,
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
