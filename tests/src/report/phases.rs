//! Phases of a report.

use serde::Deserialize;

use super::{Faults, Vm};

/// An entry of a phase.
#[derive(Clone, Debug, Deserialize)]
pub struct Phase {
    /// Name.
    pub name: String,
    /// PID that marked its begin.
    pub pid: Option<u32>,
    /// What it belongs to.
    pub scope: String,
    /// Track that the program named.
    pub track: u64,
    /// Which of that name.
    pub nth: u64,
    /// How deep.
    pub depth: u64,
    /// What ended it.
    pub ended_by: String,
    /// Highest level of its own space.
    pub peak_rss_bytes: Option<u64>,
    /// Highest level of the target.
    pub peak_target_bytes: u64,
    /// Level at its begin.
    pub start_rss_bytes: Option<u64>,
    /// Level at its end.
    pub end_rss_bytes: Option<u64>,
    /// Faults of the thread.
    pub faults: Option<Faults>,
    /// Calls of virtual memory.
    pub vm: Option<Vm>,
    /// Begin, nanoseconds.
    pub start_ns: u64,
    /// End, nanoseconds.
    pub end_ns: u64,
    /// Of the cgroup that is the target.
    pub cgroup_peak: Option<CgroupPeak>,
    /// Nothing is missing.
    pub exact: bool,
}

impl Phase {
    /// Its peak above its begin, bytes.
    #[track_caller]
    pub fn growth(&self) -> u64 {
        let peak = self.peak_rss_bytes.expect("a peak");
        peak - self.start_rss_bytes.expect("a level at the begin")
    }
}

/// All entries of one name.
#[derive(Clone, Debug, Deserialize)]
pub struct PhaseSummary {
    /// Name.
    pub name: String,
    /// Entries.
    pub count: u64,
    /// Greatest growth.
    pub growth_max_bytes: u64,
}

/// `memory.peak` of a while.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct CgroupPeak {
    /// Highest charge.
    pub bytes: u64,
    /// Begin.
    pub from_ns: u64,
    /// End.
    pub until_ns: u64,
}
