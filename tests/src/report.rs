//! memtrace's JSON report as a reader outside sees it: the keys that the tests hold it to.
//!
//! Spelt from the contract and not taken from memtrace's own types, so that a key that changes
//! its name breaks the tests.

use serde::Deserialize;

use crate::truth::{Calls, Level};

/// A report.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Shape of the report.
    pub schema: String,
    /// What was asked for, and what became of it.
    pub target: Target,
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

/// An exit with a code.
pub fn exited(code: i32) -> Option<Exit> {
    Some(Exit {
        code: Some(code),
        signal: None,
    })
}

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

/// Calls of virtual memory.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Vm {
    /// `mmap`.
    pub mmap: Calls,
    /// `munmap`.
    pub munmap: Calls,
    /// `mremap`.
    pub mremap: CallsBothWays,
    /// `brk`.
    pub brk: CallsBothWays,
    /// Growth of stacks.
    pub stack: Calls,
    /// All else.
    pub other: Calls,
    /// Laid over what was there, or refused.
    pub overlays_or_refused: Option<u64>,
}

/// Calls that make a mapping larger or smaller.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct CallsBothWays {
    /// How many made it larger.
    pub count: u64,
    /// By how much.
    pub bytes: u64,
    /// How many made it smaller.
    pub shrunk_count: u64,
    /// By how much.
    pub shrunk_bytes: u64,
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

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Exit {
    /// Exit code.
    pub code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
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
    /// Stated weaknesses.
    pub doubts: Vec<Doubt>,
    /// Keys that are null, and why.
    pub absent: Vec<Absent>,
    /// Of a run that was looked at only.
    pub sampled: Option<Sampled>,
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

/// The highest level of the target or of a row.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Peak {
    /// The sum of the classes.
    pub rss_bytes: u64,
    /// Anonymous.
    pub anon_bytes: Option<u64>,
    /// File.
    pub file_bytes: Option<u64>,
    /// Shared memory.
    pub shmem_bytes: Option<u64>,
    /// In swap then.
    pub swap_bytes: Option<u64>,
    /// Huge pages of hugetlb then.
    pub hugetlb_bytes: Option<u64>,
    /// When.
    pub at_ns: Option<u64>,
    /// Processes alive then; of the target only.
    pub processes: Option<u64>,
}

/// A row of the process table.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// PID.
    pub pid: Option<u32>,
    /// How many execs came before, within this PID.
    pub image: u32,
    /// Number of its space.
    pub space: Option<u32>,
    /// Space of another process that it ran in.
    pub shares_space_with: Option<u32>,
    /// PID of its parent.
    pub parent_pid: Option<u32>,
    /// Name.
    pub comm: String,
    /// Command line.
    pub argv: Vec<String>,
    /// When it ended.
    pub end_ns: Option<u64>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// Level when it joined the target.
    pub start_rss_bytes: Option<u64>,
    /// Level just before it was torn down, or at the end of tracing.
    pub end_rss_bytes: Option<u64>,
    /// Peak of its own space.
    pub peak: Option<Peak>,
    /// Page faults.
    pub faults: Option<Faults>,
    /// Peak of the virtual size.
    pub peak_vm_bytes: Option<u64>,
    /// Calls of virtual memory.
    pub vm: Option<Vm>,
    /// System calls.
    pub syscalls: Option<Syscalls>,
    /// Other instruments' readings.
    pub checks: Vec<Check>,
}

/// System calls that change memory.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Syscalls {
    /// `mmap`.
    pub mmap: Outcomes,
    /// `munmap`.
    pub munmap: Outcomes,
    /// `mremap`.
    pub mremap: Outcomes,
    /// `brk`.
    pub brk: Outcomes,
}

/// System calls of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Outcomes {
    /// Those that did what was asked.
    pub succeeded: u64,
    /// Those that were refused.
    pub failed: u64,
}

/// A system call.
#[derive(Clone, Debug, Deserialize)]
pub struct CallRow {
    /// PID.
    pub pid: Option<u32>,
    /// Name.
    pub call: String,
    /// Arguments, hexadecimal.
    pub arguments: Vec<String>,
    /// What it gave, hexadecimal.
    pub result: Option<String>,
    /// Number of the error.
    pub error: Option<i32>,
}

/// Page faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Faults {
    /// Without I/O.
    pub minor: u64,
    /// With I/O.
    pub major: u64,
}

/// A reading held against the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Check {
    /// The instrument.
    pub against: String,
    /// What it says.
    pub bytes: Option<u64>,
    /// That less the ledger's figure.
    pub diff_bytes: Option<i64>,
    /// In one word.
    pub verdict: String,
    /// In one sentence.
    pub why: String,
}

/// A count of another instrument held against memtrace's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CountCheck {
    /// The instrument.
    pub against: String,
    /// What it says.
    pub count: u64,
    /// What memtrace says.
    pub counted: Option<u64>,
    /// In one word.
    pub verdict: String,
    /// In one sentence.
    pub why: String,
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

impl Peak {
    /// By class; the classes must be known.
    #[track_caller]
    pub fn level(&self) -> Level {
        const UNSPLIT: &str = "the peak's classes are not known";
        Level {
            rss_bytes: self.rss_bytes,
            anon_bytes: self.anon_bytes.expect(UNSPLIT),
            file_bytes: self.file_bytes.expect(UNSPLIT),
            shmem_bytes: self.shmem_bytes.expect(UNSPLIT),
        }
    }
}

impl Row {
    /// Peak of its own space, which must be there.
    #[track_caller]
    pub fn peak(&self) -> Peak {
        self.peak
            .unwrap_or_else(|| panic!("PID {:?} image {} has no peak", self.pid, self.image))
    }

    /// The check against an instrument, which must be there.
    #[track_caller]
    pub fn check(&self, against: &str) -> &Check {
        let found = self.checks.iter().find(|check| check.against == against);
        found.unwrap_or_else(|| panic!("PID {:?}: no check against {against}", self.pid))
    }
}
