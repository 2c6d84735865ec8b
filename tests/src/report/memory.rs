//! What is counted beside resident memory, and what came of the want of it.

use serde::Deserialize;

/// Calls refused for want of memory.
#[derive(Clone, Debug, Deserialize)]
pub struct Refusals {
    /// How many.
    pub count: u64,
    /// Name of the one that asked for the most.
    pub call: String,
    /// What it asked for.
    pub bytes: u64,
    /// Who asked.
    pub comm: String,
    /// By what it was refused.
    pub why: String,
}

/// Memory counted once where it is shared.
#[derive(Clone, Debug, Deserialize)]
pub struct CountedOnce {
    /// As it was read.
    pub bytes: Option<u64>,
    /// By how much that may be too low.
    pub error_bound_bytes: Option<u64>,
    /// The reading.
    pub reading: Option<PssRow>,
    /// What it is.
    pub why: String,
}

/// A reading of PSS.
#[derive(Clone, Debug, Deserialize)]
pub struct PssRow {
    /// Processes read.
    pub processes: u64,
    /// Sum of RSS.
    pub rss_bytes: u64,
    /// How far below the peak that was.
    pub below_peak_bytes: Option<i64>,
    /// Anonymous memory.
    pub anon_bytes: u64,
}

/// The cgroup that is the target.
#[derive(Clone, Debug, Deserialize)]
pub struct CgroupSection {
    /// Its directory.
    pub path: String,
    /// Limit.
    pub limit_bytes: Option<u64>,
    /// Kills for want of memory.
    pub oom_kills: Option<u64>,
    /// Highest anonymous memory.
    pub anon_peak_bytes: Option<u64>,
    /// What the limit was hit by.
    pub limit_hit_by: Option<String>,
    /// Most that could not be given up.
    pub needed_bytes: Option<u64>,
    /// Highest usage.
    pub usage_bytes: Option<u64>,
    /// Page cache.
    pub cache_bytes: Option<u64>,
    /// Shared memory.
    pub shmem_bytes: Option<u64>,
    /// In huge pages.
    pub thp_bytes: Option<u64>,
    /// Anonymous memory.
    pub anon_bytes: Option<u64>,
    /// Kernel memory.
    pub kernel_bytes: Option<u64>,
    /// Times that the limit was hit.
    pub limit_hits: Option<u64>,
    /// Waits for memory.
    pub pressure: Option<Pressure>,
    /// Keys that are null, and why.
    pub absent: Vec<Absent>,
}

/// Waits for memory.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Pressure {
    /// Of the machine, not of the cgroup.
    pub of_machine: bool,
}

/// A key that is null.
#[derive(Clone, Debug, Deserialize)]
pub struct Absent {
    /// Its name.
    pub key: String,
    /// Why.
    pub why: String,
}

/// A kill for want of memory.
#[derive(Clone, Debug, Deserialize)]
pub struct Oom {
    /// The victim is of the target.
    pub of_target: bool,
    /// Its PID.
    pub pid: Option<u32>,
    /// Its level then.
    pub rss_bytes: Option<u64>,
    /// Anonymous memory of it.
    pub anon_bytes: Option<u64>,
    /// Who asked for memory.
    pub asked_by_pid: Option<u32>,
    /// It was killed.
    pub killed: Option<bool>,
    /// Pages asked for, as a power of two.
    pub order: Option<u32>,
    /// Where there was no memory.
    pub constraint: Option<String>,
    /// Cgroup whose limit was hit.
    pub limit_cgroup: Option<String>,
    /// That limit.
    pub limit_bytes: Option<u64>,
    /// Why the kernel's log does not tell.
    pub log_why: Option<String>,
    /// The target's processes then.
    pub processes: Vec<OomProcess>,
}

/// A process of the target at a kill.
#[derive(Clone, Debug, Deserialize)]
pub struct OomProcess {
    /// PID.
    pub pid: Option<u32>,
    /// By how much it had grown.
    pub grown_bytes: Option<i64>,
}
