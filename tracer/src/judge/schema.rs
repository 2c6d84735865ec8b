//! The judgement's shape: `memtrace.judge/1`. Keys may be added; none changes its meaning.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use super::track::ERRORS;
use crate::event::{Doubt, TargetAsked};

/// Name and version of the shape.
pub const SCHEMA: &str = "memtrace.judge/1";

/// A whole judgement. Times count from the start of tracing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Of what.
    pub target: TargetAsked,
    /// The tool that ran the command, which is no part of it; `None` if memtrace did.
    pub wrap: Option<Wrapping>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Of the whole target.
    #[serde(flatten)]
    pub of_target: Pollers,
    /// How far the exact peak may be off; `None` where no bound can be given.
    pub peak_error_bound_bytes: Option<u64>,
    /// Levels between two records of the history are off by less than this, so that probabilities
    /// have bounds of their own; `None` if history was lost.
    pub bound_bytes: Option<u64>,
    /// By how much `p50`, `p90` and `max` of an error can be told too high, percentage points: by
    /// the least error for which it holds.
    pub error_steps_pct: Vec<ErrorStep>,
    /// The rows with the highest peaks, highest first.
    pub processes: Vec<RowJudgement>,
    /// Rows that were not judged.
    pub processes_left_out: u64,
    /// The entries of phases with the highest peaks, highest first.
    pub phases: Vec<PhaseJudgement>,
    /// What other tools say: samplers beside the run, or files.
    pub tools: Vec<ToolVerdict>,
    /// Stated weaknesses of this judgement.
    pub doubts: Vec<Doubt>,
}

/// A tool that ran the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrapping {
    /// The tool with the command in its place, as it was started.
    pub argv: Vec<String>,
    /// How often it ran the command.
    pub times: u64,
    /// Processes that are its own, and not the command's.
    pub processes: u64,
    /// The peak of tool and command together; `None` if not known.
    pub together_peak_bytes: Option<i64>,
}

/// What pollers of one track report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pollers {
    /// Pollers begin here or up to one interval later, nanoseconds.
    pub start_ns: u64,
    /// Nothing can be read from here on, nanoseconds.
    pub end_ns: u64,
    /// The exact peak that they are held against.
    pub peak_bytes: i64,
    /// By interval, over all offsets.
    pub intervals: Vec<Interval>,
    /// How often one has to look.
    pub needs: ByError<Need>,
}

/// What pollers of one interval report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The interval.
    pub ms: f64,
    /// Probability to report a peak that is too low by more than so many percent, over all offsets
    /// of a poller that begins within an interval of the start.
    pub p_miss: ByError<f64>,
    /// The least that it can be, given what the history leaves out; `None` if history was lost.
    pub p_miss_least: Option<ByError<f64>>,
    /// The most.
    pub p_miss_most: Option<ByError<f64>>,
    /// Probability that it never looks while there is something to see.
    pub p_nothing: f64,
    /// How far its report is too low, percent of the peak; having seen nothing counts as 100.
    pub error_pct: ErrorPct,
}

/// The distribution of an error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ErrorPct {
    /// Not exceeded by half of the offsets.
    pub p50: f64,
    /// By nine tenths.
    pub p90: f64,
    /// By any.
    pub max: f64,
}

/// How finely errors are told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ErrorStep {
    /// Errors from here on, percent.
    pub from_pct: f64,
    /// Are told in steps of this, percentage points.
    pub step_pct: f64,
}

/// How often one has to look for an error.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Need {
    /// The longest of the intervals looked at for which, and for all shorter ones, no more than
    /// one report in twenty is off by more; `None` if there is none.
    pub ms: Option<f64>,
    /// The next longer one that was looked at, which is too long; `None` if there is none.
    pub too_long_ms: Option<f64>,
    /// The level stays so near to the peak for this long at a time: who looks as often cannot miss
    /// it. Exact on the history told.
    pub never_missed_ms: f64,
}

/// A row of the report, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowJudgement {
    /// As in the report.
    pub pid: Option<u32>,
    /// As in the report.
    pub image: u32,
    /// As in the report.
    pub comm: String,
    /// As in the report.
    pub argv: Vec<String>,
    /// What pollers of this process say.
    #[serde(flatten)]
    pub pollers: Pollers,
}

/// An entry of a phase, judged as if nothing but it were looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseJudgement {
    /// As in the report.
    pub name: String,
    /// As in the report.
    pub nth: u64,
    /// As in the report.
    pub pid: Option<u32>,
    /// What pollers of its process, or of the target, say of that time.
    #[serde(flatten)]
    pub pollers: Pollers,
}

/// What a tool said, held against the exact run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolVerdict {
    /// The tool, and which of its figures.
    pub name: String,
    /// The peak that it tells.
    pub bytes: u64,
    /// How far that is from the exact peak; below 0 if it is too low.
    pub error_bytes: i64,
    /// The same, percent of it.
    pub error_pct: f64,
    /// Whose exact peak: `target`, or a process, if the tool names its PID.
    pub against: String,
    /// What kind of error it is.
    pub kind: Kind,
    /// In a sentence.
    pub why: Cow<'static, str>,
    /// How many times as long the target ran with it as without, the middle of pairs of runs;
    /// `None` if nobody measured it.
    pub cost: Option<f64>,
    /// Why that is not known.
    pub cost_why: Option<&'static str>,
    /// The pairs of runs that this rests on.
    pub cost_runs: Option<CostRuns>,
    /// CPU time that the sampler itself used, all its figures together; `None` for a file.
    pub cpu_ns: Option<u64>,
    /// A step of the last digit that it prints: nothing finer can be said of it.
    pub step_bytes: u64,
    /// Its measurements; `None` if the file tells no times of them.
    pub samples: Option<u64>,
    /// The middle of the times between them, else how far apart the tool looks by its own account;
    /// `None` if nobody knows.
    pub interval_ms: Option<f64>,
    /// What the series follows most closely: `target`, or a process; `None` if it is no series of
    /// resident memory.
    pub follows: Option<String>,
    /// Its clock says that the file is of this run, or of another; `None` if it says neither.
    pub same_run: Option<bool>,
    /// How its clock stands to the run's; `None` if it is no series of resident memory.
    pub clock: Option<Clock>,
}

/// Pairs of runs, one with the sampler and one without, neither traced.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CostRuns {
    /// How many pairs.
    pub pairs: u32,
    /// The least of their ratios.
    pub least: f64,
    /// The greatest.
    pub most: f64,
}

/// A series' clock against the run's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clock {
    /// What is to be added to the tool's times to meet the run's; `None` if the run does not tell.
    pub shift_ms: Option<f64>,
    /// Any shift within this of it fits about as well.
    pub shift_bound_ms: Option<f64>,
    /// How far the series is from the run's level then, in the mean, percent of the peak.
    pub residual_pct: f64,
    /// What the shift is counted from, or why there is none.
    pub why: &'static str,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// None: the same within what the tool prints.
    None,
    /// It did not look while the peak lasted.
    MissedSpike,
    /// It did not look at a process.
    MissedProcess,
    /// It looked while the peak lasted, but the look took longer than the level stood still.
    SlowLook,
    /// Pages of several processes count once in it, and for each of them in the sum of RSS.
    DoubleCountedSharing,
    /// The kernel's own figure leaves out what its CPUs have not handed in.
    KernelInexactness,
    /// Page cache counts in it.
    CacheCounted,
    /// Memory that the kernel itself uses for the command counts in it.
    KernelMemory,
    /// Memory of processes that are not the command's counts in it.
    OtherProcesses,
    /// Pages that others were charged for first are missing in it.
    ChargedElsewhere,
    /// It speaks of an earlier program.
    Inherited,
    /// It counts what a program asked for, not what was resident.
    HeapNotResident,
    /// Nothing in the run tells.
    Unexplained,
}

/// A value for each of [`ERRORS`]; its keys are percents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ByError<T>(pub [T; ERRORS.len()]);

impl<T: Serialize> Serialize for ByError<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let percents = ERRORS.map(|error| (error / 10).to_string());
        serializer.collect_map(percents.iter().zip(&self.0))
    }
}
