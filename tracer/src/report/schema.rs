//! The report's shape: `memtrace.report/1`. Keys may be added; none changes its meaning.

mod budget;
mod certainty;
mod checks;
mod history;
mod oom;
mod phases;
mod pss;
mod syscalls;
mod vm;

use serde::Serialize;

pub use self::{
    budget::{Budget, BudgetVerdict},
    certainty::{Absent, Certainty, RecordCount, Sampled, StreamCheck},
    checks::{Check, CountCheck, Verdict},
    history::{ClassPoint, ClassTimeline, Histogram, Histograms, TimeAtLevel, Timeline},
    oom::{CgroupSection, Oom, OomProcess, Refusals},
    phases::{
        CgroupPeak, PhaseEnd, PhaseFaults, PhaseHistograms, PhaseRow, PhaseScope, PhaseSummary,
    },
    pss::{CountedOnce, PssRow},
    syscalls::{CallRow, Outcomes, Syscalls},
    vm::{Vm, VmBothWays, VmCalls},
};

use super::scope::slack_pages;
use crate::event::{EndReason, TargetAsked};

/// Name and version of the shape.
pub const SCHEMA: &str = "memtrace.report/1";

/// A whole report. Times count from the start of tracing, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Who made it.
    pub tool: Tool,
    /// Where.
    pub host: Host,
    /// Of what.
    pub target: TargetSection,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Length of the tracing.
    pub duration_ns: u64,
    /// Why it ended; `None` if the record of the run breaks off.
    pub ended_by: Option<EndReason>,
    /// How the command ended; `None` for other targets or if it did not end.
    pub exit: Option<Exit>,
    /// What the numbers are worth.
    pub certainty: Certainty,
    /// The whole target at the instant of its highest level; `None` if nothing of it was seen.
    pub peak: Option<TargetPeak>,
    /// What that is to the user's budget; `None` if there is none.
    pub budget: Option<Budget>,
    /// The same with each page once, where processes share it.
    pub counted_once: CountedOnce,
    /// One row for each space a process had, by start.
    pub processes: Vec<ProcessRow>,
    /// Rows that are not kept one by one, summed up by name: the lower peaks of a run with very
    /// many processes.
    pub folded: Vec<FoldedRows>,
    /// Entries of phases, by begin; at most [`crate::model::phases::MAX_KEPT`].
    pub phases: Vec<PhaseRow>,
    /// All entries by name, in the order of their first begin.
    pub phase_summary: Vec<PhaseSummary>,
    /// System calls that change memory, by time, at most [`crate::model::calls::MAX_KEPT`]; `None`
    /// unless asked for.
    pub calls: Option<Vec<CallRow>>,
    /// Calls that came later; they are counted in the rows.
    pub calls_not_kept: u64,
    /// The target's level over time, from the stream.
    pub timeline: Timeline,
    /// The same by class: the sum of what the stream last told of each space, so that it may
    /// differ from `timeline` by the quantum for each space that lives.
    pub timeline_by_class: ClassTimeline,
    /// How long, how much, how many.
    pub histograms: Histograms,
    /// The cgroup that is the target; `None` if it is none.
    pub cgroup: Option<CgroupSection>,
    /// Whom the kernel chose to be killed for want of memory, of the whole machine.
    pub oom: Vec<Oom>,
    /// Calls refused for want of memory, without a kill; `None` if there was none, or if system
    /// calls were not asked for.
    pub refusals: Option<Refusals>,
    /// Readings of the whole target.
    pub checks: Vec<Check>,
    /// Counts of other instruments, of the command with its descendants.
    pub count_checks: Vec<CountCheck>,
    /// What the tracing cost.
    pub overhead: Overhead,
}

/// The tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// Version of memtrace.
    pub version: String,
    /// SHA-256 of the BPF object.
    pub bpf_sha256: String,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Host {
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub arch: String,
    /// Possible CPUs.
    pub cpus: u32,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Version of the memory controller's hierarchy.
    pub cgroup: String,
}

impl Host {
    /// By how much a figure of its kernel may be off, bytes.
    pub fn slack_bytes(&self) -> i64 {
        let page_bytes = i64::try_from(self.page_bytes).unwrap_or(i64::MAX);
        slack_pages(self.cpus).saturating_mul(page_bytes)
    }
}

/// The target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetSection {
    /// What was asked.
    #[serde(flatten)]
    pub asked: TargetAsked,
    /// Path of its own memory cgroup; `None` if it shares one with others.
    pub cgroup: Option<String>,
    /// Container; `None` if it is none.
    pub container: Option<String>,
    /// Processes that it had in all.
    pub processes_seen: u64,
    /// Spaces that it had in all.
    pub spaces_seen: u64,
    /// Processes of it that were alive at the end.
    pub processes_alive: u64,
    /// Its level at the end, bytes; exactly 0 once every space is gone; `None` if unknown.
    pub end_rss_bytes: Option<i64>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Signal number; `None` if it exited.
    pub signal: Option<i32>,
}

/// The highest level of the target. Amounts are signed because the kernel's counters are: a class
/// below 0 is told as it is, with a doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetPeak {
    /// anon + file + shmem, summed over the spaces: shared pages count once for each.
    pub rss_bytes: i64,
    /// When; `None`, like all that follows, if it was seen by an event that could not have the
    /// ledger's lock in time.
    pub at_ns: Option<u64>,
    /// Anonymous memory.
    pub anon_bytes: Option<i64>,
    /// File pages.
    pub file_bytes: Option<i64>,
    /// Shared memory.
    pub shmem_bytes: Option<i64>,
    /// In swap at that instant; `None` if the target had several spaces then.
    pub swap_bytes: Option<i64>,
    /// Page tables; `None` if the target had several spaces then. Not part of RSS.
    pub pagetable_bytes: Option<u64>,
    /// Huge pages of hugetlb; `None` if the target had several spaces then. Not part of RSS.
    pub hugetlb_bytes: Option<u64>,
    /// Processes alive then.
    pub processes: Option<u64>,
    /// Spaces alive then.
    pub spaces: Option<u64>,
    /// Innermost phase that was open then; `None` if none was, or the time is not known.
    pub phase: Option<String>,
}

/// A space of a process: its whole life or the part between two execs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProcessRow {
    /// PID in memtrace's namespace; `None` if the record that tells it was lost.
    pub pid: Option<u32>,
    /// PID in the container, or in whatever PID namespace it runs; `None` if that is memtrace's own,
    /// or if it ended before it could be read.
    pub pid_inside: Option<u32>,
    /// 0 for the first row of a PID, one more for each exec.
    pub image: u32,
    /// Number of its space; `None` if it never had one of its own, or one without a ledger.
    pub space: Option<u32>,
    /// Space of another process that it ran in; `None` if it had its own.
    pub shares_space_with: Option<u32>,
    /// PID of its parent; `None` if that is not of the target.
    pub parent_pid: Option<u32>,
    /// Name in force in this space; empty if unknown.
    pub comm: String,
    /// Command line in force in this space; empty if unknown.
    pub argv: Vec<String>,
    /// The command line was longer than what is kept.
    pub argv_cut: bool,
    /// When the row begins; `None` if unknown.
    pub start_ns: Option<u64>,
    /// When it ends; `None` if it still runs.
    pub end_ns: Option<u64>,
    /// How the process ended; `None` if it did not, or went on by exec.
    pub exit: Option<Exit>,
    /// Level when the space joined the target.
    pub start_rss_bytes: Option<i64>,
    /// Level just before exit or exec tore it down, or at the end of tracing.
    pub end_rss_bytes: Option<i64>,
    /// Peak of the space; `None` if it had none of its own or its ledger was lost.
    pub peak: Option<RowPeak>,
    /// Peak of the virtual size; `None` if unknown.
    pub peak_vm_bytes: Option<u64>,
    /// Calls that changed the virtual size; `None` if they are not seen here.
    pub vm: Option<Vm>,
    /// System calls that change memory, refused ones too; `None` unless asked for.
    pub syscalls: Option<Syscalls>,
    /// Faults of all its threads; `None` if unknown. What a `vfork` child did before its exec
    /// counts to its first row, so that the rows of a process sum to the kernel's figure for it.
    pub faults: Option<Faults>,
    /// How much it held for most of its time; `None` where its ledger or its history is missing.
    pub time_at_level: Option<TimeAtLevel>,
    /// Its level over time; empty where its ledger is missing. With very many spaces it is an
    /// outline of few points, with the peak among them.
    pub timeline: ClassTimeline,
    /// Readings held against the ledger.
    pub checks: Vec<Check>,
}

/// Peak of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RowPeak {
    /// anon + file + shmem.
    pub rss_bytes: i64,
    /// When; `None`, like all that follows, if it was seen by an event that could not have the
    /// ledger's lock in time.
    pub at_ns: Option<u64>,
    /// Anonymous memory.
    pub anon_bytes: Option<i64>,
    /// File pages.
    pub file_bytes: Option<i64>,
    /// Shared memory.
    pub shmem_bytes: Option<i64>,
    /// In swap then.
    pub swap_bytes: Option<i64>,
    /// Page tables then.
    pub pagetable_bytes: Option<u64>,
    /// Huge pages of hugetlb then.
    pub hugetlb_bytes: Option<u64>,
}

/// Rows of one name, summed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoldedRows {
    /// Name in force in them; empty if unknown.
    pub comm: String,
    /// How many.
    pub rows: u64,
    /// Those among them that had no space of their own, or whose ledger was lost.
    pub without_peak: u64,
    /// Highest peak; `None` if none has one.
    pub peak_max_bytes: Option<i64>,
    /// Sum of the peaks. They were reached at different times.
    pub peak_sum_bytes: i64,
}

/// Page faults, as the kernel counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Without I/O.
    pub minor: u64,
    /// With I/O.
    pub major: u64,
    /// The kernel's last word; false: counted up to exit, a few of the exit itself are missing.
    pub is_final: bool,
}

/// What the tracing cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Overhead {
    /// Runs of the programs; `None` unless asked for.
    pub hook_runs: Option<u64>,
    /// Time spent in them; `None` unless asked for.
    pub bpf_ns: Option<u64>,
    /// memtrace's own peak; `None` if it could not be read.
    pub tracer_peak_rss_bytes: Option<u64>,
    /// memtrace's own CPU time; `None` if the record of the run breaks off.
    pub tracer_cpu_ns: Option<u64>,
}
