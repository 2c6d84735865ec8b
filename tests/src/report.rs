//! memtrace's JSON report as a reader outside sees it: the keys that the tests hold it to.
//!
//! Spelt from the contract and not taken from memtrace's own types, so that a key that changes
//! its name breaks the tests.

mod memory;
mod phases;
mod rows;

use serde::Deserialize;

pub use self::{memory::*, phases::*, rows::*};

/// A report.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Shape of the report.
    pub schema: String,
    /// What was asked for, and what became of it.
    pub target: Target,
    /// How long it was traced, nanoseconds.
    pub duration_ns: u64,
    /// How the command ended.
    pub exit: Option<Exit>,
    /// What the numbers are worth.
    pub certainty: Certainty,
    /// The whole target at its highest.
    pub peak: Option<Peak>,
    /// The same with shared pages once.
    pub counted_once: CountedOnce,
    /// One row for each space a process had.
    pub processes: Vec<Row>,
    /// Other instruments, of the whole target.
    pub checks: Vec<Check>,
    /// Counts of other instruments.
    pub count_checks: Vec<CountCheck>,
    /// Entries of phases.
    pub phases: Vec<Phase>,
    /// Phases by name.
    pub phase_summary: Vec<PhaseSummary>,
    /// System calls, where they were asked for.
    pub calls: Option<Vec<CallRow>>,
    /// The target's level over time.
    pub timeline: Timeline,
    /// How often what was how much.
    pub histograms: Histograms,
    /// The cgroup that is the target.
    pub cgroup: Option<CgroupSection>,
    /// Kills for want of memory.
    pub oom: Vec<Oom>,
    /// Calls refused for want of memory.
    pub refusals: Option<Refusals>,
    /// What the tracing cost.
    pub overhead: Overhead,
}

/// What the tracing cost.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Overhead {
    /// Runs of memtrace's programs.
    pub hook_runs: Option<u64>,
    /// The time that they took.
    pub bpf_ns: Option<u64>,
}

/// How often what was how much.
#[derive(Clone, Debug, Deserialize)]
pub struct Histograms {
    /// How long page faults took.
    pub fault_ns: Option<Histogram>,
}

/// A histogram.
#[derive(Clone, Debug, Deserialize)]
pub struct Histogram {
    /// Of the values.
    pub unit: String,
    /// What is counted.
    pub weight: String,
    /// Sum of the weights.
    pub count: u64,
    /// Least value.
    pub min: u64,
    /// Not exceeded by half of the weight.
    pub p50: u64,
    /// Greatest value.
    pub max: u64,
    /// Greatest value of a bucket and its weight.
    pub buckets: Vec<(u64, u64)>,
}

/// A level over time.
#[derive(Clone, Debug, Deserialize)]
pub struct Timeline {
    /// Nanoseconds since the start, and bytes.
    pub points: Vec<(u64, i64)>,
}

/// The target.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// `command`, `pids`.
    pub kind: String,
    /// Processes in all.
    pub processes_seen: u64,
    /// Processes alive at the end.
    pub processes_alive: u64,
    /// Level at the end.
    pub end_rss_bytes: Option<i64>,
}

/// What the numbers are worth.
#[derive(Clone, Debug, Deserialize)]
pub struct Certainty {
    /// The peaks are exact.
    pub exact: bool,
    /// How far the target's peak may be off.
    pub peak_error_bound_bytes: Option<u64>,
    /// Records emitted.
    pub events: u64,
    /// Records lost.
    pub events_lost: u64,
    /// Records by kind.
    pub records: Vec<RecordCount>,
    /// Records lost by CPU.
    pub lost_by_cpu: Vec<u64>,
    /// The stream against the ledger.
    pub stream: Stream,
    /// What served each subject.
    pub hooks: Vec<Hook>,
    /// Stated weaknesses.
    pub doubts: Vec<Doubt>,
    /// Keys that are null, and why.
    pub absent: Vec<Absent>,
    /// Of a run that was looked at only.
    pub sampled: Option<Sampled>,
}

/// A place in the kernel where programs were attached.
#[derive(Clone, Debug, Deserialize)]
pub struct Hook {
    /// What it serves.
    pub subject: String,
    /// How the kernel names it.
    pub via: String,
}

/// Of a run that was looked at only.
#[derive(Clone, Debug, Deserialize)]
pub struct Sampled {
    /// Looks.
    pub looks: u64,
    /// The peak was no less.
    pub peak_least_bytes: Option<u64>,
    /// Nor more.
    pub peak_most_bytes: Option<u64>,
    /// Why that is not known.
    pub peak_most_why: Option<String>,
}

/// Records of one kind.
#[derive(Clone, Debug, Deserialize)]
pub struct RecordCount {
    /// What they tell.
    pub kind: String,
    /// Handed to a ring.
    pub emitted: u64,
    /// Read from it.
    pub read: u64,
    /// Found it full.
    pub lost: u64,
}

/// memtrace's check on itself.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Stream {
    /// The stream's maximum.
    pub max_rss_bytes: Option<u64>,
    /// How far it may lie below the ledger's peak.
    pub allowed_bytes: u64,
    /// The stream's maximum lies within the quantum of the ledger's peak.
    pub agrees: Option<bool>,
}

/// A stated weakness.
#[derive(Clone, Debug, Deserialize)]
pub struct Doubt {
    /// Its stable name.
    pub id: String,
    /// In one sentence.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
}

impl Report {
    /// The target's peak, which must be there.
    #[track_caller]
    pub fn peak(&self) -> Peak {
        self.peak.expect("the report has no peak")
    }

    /// Rows of a PID, by image.
    pub fn rows(&self, pid: u32) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self
            .processes
            .iter()
            .filter(|row| row.pid == Some(pid))
            .collect();
        rows.sort_by_key(|row| row.image);
        rows
    }

    /// The last image of a PID.
    #[track_caller]
    pub fn last_row(&self, pid: u32) -> &Row {
        self.rows(pid)
            .pop()
            .unwrap_or_else(|| panic!("no row for PID {pid}"))
    }

    /// Entries of a phase, by begin.
    pub fn phases_named(&self, name: &str) -> Vec<&Phase> {
        let phases = self.phases.iter();
        phases.filter(|phase| phase.name == name).collect()
    }

    /// The only entry of a phase.
    #[track_caller]
    pub fn phase(&self, name: &str) -> &Phase {
        match self.phases_named(name)[..] {
            [phase] => phase,
            ref found => panic!("{} entries of {name}", found.len()),
        }
    }

    /// Whether a doubt is stated.
    pub fn doubts(&self, id: &str) -> bool {
        self.certainty.doubts.iter().any(|doubt| doubt.id == id)
    }

    /// The report calls itself exact, lost nothing, and its stream agrees with its ledger.
    #[track_caller]
    pub fn assert_exact(&self) {
        assert!(self.certainty.exact, "not exact: {:?}", self.certainty);
        assert_eq!(self.certainty.peak_error_bound_bytes, Some(0));
        assert_eq!(self.certainty.events_lost, 0);
        assert_eq!(self.certainty.stream.agrees, Some(true));
    }

    /// Everything that belonged to the target is gone, to the last byte.
    #[track_caller]
    pub fn assert_over(&self) {
        assert_eq!(self.target.processes_alive, 0);
        assert_eq!(self.target.end_rss_bytes, Some(0));
    }
}
