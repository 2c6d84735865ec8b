//! What the report says of phases.

use serde::Serialize;

use super::{Histogram, TimeAtLevel, Vm};
pub use crate::model::phase::EndedBy as PhaseEnd;

/// An entry of a phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseRow {
    /// Name.
    pub name: String,
    /// PID that marked its begin; `None` if unknown.
    pub pid: Option<u32>,
    /// What it belongs to.
    pub scope: PhaseScope,
    /// Track that the program named; 0 = the thread's own.
    pub track: u64,
    /// Thread that marked its begin.
    pub thread: u32,
    /// Which entry of that name it is, from 1.
    pub nth: u64,
    /// Phases of its track that were open when it began.
    pub depth: usize,
    /// Begin.
    pub start_ns: u64,
    /// End.
    pub end_ns: u64,
    /// What ended it.
    pub ended_by: PhaseEnd,
    /// Highest level of the process's own space while it was open, or of the target for a phase of
    /// the target; `None` if the space has no ledger.
    pub peak_rss_bytes: Option<i64>,
    /// Highest level of the whole target while it was open.
    pub peak_target_bytes: i64,
    /// Level of the same at its begin.
    pub start_rss_bytes: Option<i64>,
    /// Level of the same at its end.
    pub end_rss_bytes: Option<i64>,
    /// Faults of the marking thread; `None` if another thread ended it.
    pub faults: Option<PhaseFaults>,
    /// Calls of the process that changed its virtual size; `None` where they are not seen.
    pub vm: Option<Vm>,
    /// What it held for most of its time; `None` if no time passed.
    pub time_at_level: Option<TimeAtLevel>,
    /// What the cgroup that is the target was charged with at most; `None` if the target is none, if
    /// the kernel cannot tell (before Linux 6.12, and for cgroups of version 1), or if the phase was
    /// over too soon.
    pub cgroup_peak: Option<CgroupPeak>,
    /// Nothing is missing in its peaks.
    pub exact: bool,
}

/// `memory.peak` of a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CgroupPeak {
    /// Highest charge of that time.
    pub bytes: u64,
    /// When it began: some milliseconds after the phase did.
    pub from_ns: u64,
    /// When it ended: some milliseconds after the phase did.
    pub until_ns: u64,
}

/// What a phase belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseScope {
    /// A thread.
    Thread,
    /// A track of a process, named by it.
    Track,
    /// A function.
    Function,
    /// A program that a process executed.
    Program,
    /// The whole target.
    Target,
}

/// Page faults of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PhaseFaults {
    /// Without I/O.
    pub minor: u64,
    /// With I/O.
    pub major: u64,
}

/// All entries of one name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseSummary {
    /// Name.
    pub name: String,
    /// How deep its first entry was.
    pub depth: usize,
    /// Entries.
    pub count: u64,
    /// When the first one began.
    pub first_start_ns: u64,
    /// Highest peak.
    pub peak_max_bytes: i64,
    /// Mean of the peaks.
    pub peak_mean_bytes: i64,
    /// Highest peak of the whole target meanwhile.
    pub peak_target_max_bytes: i64,
    /// Greatest growth above the level at the begin.
    pub growth_max_bytes: i64,
    /// Sum of the durations.
    pub duration_ns: u64,
    /// Over all entries.
    pub histograms: PhaseHistograms,
}

/// How many entries of a phase were how large, and how long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseHistograms {
    /// Peaks.
    pub peak_bytes: Option<Histogram>,
    /// Durations.
    pub duration_ns: Option<Histogram>,
}
