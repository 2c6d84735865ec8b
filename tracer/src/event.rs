//! Events: everything that a report is made of, in the order in which it came.
//!
//! Kernel records arrive as they are; the user side adds what only it can know (host, readings of
//! other instruments, ledgers still open at the end, losses). Downstream of this nothing reads a
//! clock, `/proc` or the environment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracer_common::{
    ledger::{Space, Target},
    record::{
        Called, Execed, Level, Marked, ProcessExited, ProcessFreed, ProcessLeft, ProcessStarted,
        SpaceClosed, SpaceOpened, Victim, VmChanged,
    },
};

use crate::{
    cgroup::{Pressure, State},
    kmsg::OomReport,
    latency::{FaultLatencies, FaultLatency},
    readings::VirtualLimits,
};

/// One thing that happened, or was read.
#[derive(Clone, Debug)]
pub enum Event {
    /// First of all: what is traced, where and how.
    Begun(Box<Begun>),
    /// See [`Level`].
    Level(Level),
    /// See [`ProcessStarted`].
    ProcessStarted(Box<ProcessStarted>),
    /// See [`SpaceOpened`].
    SpaceOpened(Box<SpaceOpened>),
    /// See [`Execed`].
    Execed(Box<Execed>),
    /// See [`ProcessExited`].
    ProcessExited(Box<ProcessExited>),
    /// See [`ProcessFreed`].
    ProcessFreed(Box<ProcessFreed>),
    /// See [`ProcessLeft`].
    ProcessLeft(Box<ProcessLeft>),
    /// See [`Victim`].
    Victim(Box<Victim>),
    /// See [`SpaceClosed`]; also made of ledgers collected from the kernel's map.
    SpaceClosed(Box<SpaceClosed>),
    /// See [`VmChanged`].
    VmChanged(VmChanged),
    /// See [`Called`].
    Called(Called),
    /// See [`Marked`].
    Marked(Box<Marked>),
    /// At the end: the ledger of a space that still lives, freshly brought up to date.
    SpaceAlive(Box<Space>),
    /// What another instrument says.
    Reading(Reading),
    /// Last of all: the target's ledger, losses and how it ended.
    Ended(Box<Ended>),
}

/// What is known before the first record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// Version of memtrace.
    pub tool_version: String,
    /// SHA-256 of the BPF object, hexadecimal.
    pub bpf_sha256: String,
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub arch: String,
    /// Possible CPUs.
    pub cpus: u32,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// `v1`, `v2` or `hybrid`, as the memory controller is mounted; `none`.
    pub cgroup: String,
    /// What the user asked for.
    pub target: TargetAsked,
    /// Wall clock at the start of tracing, RFC 3339 in UTC.
    pub started_at: String,
    /// `CLOCK_MONOTONIC` at the start of tracing; report times count from here.
    pub start_ns: u64,
    /// The stream's least movement, bytes; 0 = every change.
    pub quantum_bytes: u64,
    /// The quantum grows to 1/256 of the peak when that is more.
    pub quantum_grows: bool,
    /// Subject and hook of everything that was attached.
    pub hooks: Vec<Hook>,
    /// Doubts known from the plan.
    pub doubts: Vec<Doubt>,
    /// System calls were asked for.
    pub tells_syscalls: bool,
    /// Shared memory counted once was asked for.
    #[serde(default)]
    pub counts_once: bool,
    /// How much the peak may be, bytes; `None` if the user did not say.
    #[serde(default)]
    pub max_peak_bytes: Option<u64>,
    /// Whether the time of page faults is taken.
    #[serde(default)]
    pub fault_latency: FaultLatency,
    /// Phases that are functions: their names, by the number that markers carry.
    pub functions: Vec<String>,
}

/// What the user asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TargetAsked {
    /// `-- CMD`.
    Command {
        /// Program and arguments.
        argv: Vec<String>,
        /// PID in memtrace's namespace.
        pid: u32,
        /// Descendants belong to it.
        follow: bool,
    },
    /// `--pid`.
    Pids {
        /// As asked.
        pids: Vec<u32>,
        /// Descendants belong to them.
        follow: bool,
    },
    /// `--cgroup`, `--container`, `--pod`.
    Cgroup {
        /// Its directory.
        path: String,
        /// Container that it is of; `None` if the cgroup itself was asked for.
        container_name: Option<String>,
        /// Pod that it is of; `None` if another thing was asked for.
        #[serde(default)]
        pod_name: Option<String>,
    },
}

/// A hook that serves a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// What it is for, e.g. `rss`.
    pub subject: String,
    /// Where it sits, e.g. `tp_btf/rss_stat`.
    pub via: String,
}

/// A stated weakness of this very report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Stable name, kebab-case.
    pub id: String,
    /// A sentence.
    pub text: String,
    /// What to do about it; empty if nothing can be done.
    pub remedy: String,
}

/// What another instrument said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "instrument")]
pub enum Reading {
    /// `/proc/PID/status` and `statm` of a process at the end of tracing, taken while the ledger
    /// was brought up to date.
    Proc {
        /// PID in memtrace's namespace.
        pid: u32,
        /// `VmHWM`, bytes.
        vm_hwm_bytes: u64,
        /// `VmRSS`, bytes.
        vm_rss_bytes: u64,
        /// Resident field of `statm`, bytes.
        statm_rss_bytes: u64,
        /// Ledger level just before and just after: equal if the process stood still, bytes.
        ledger_before_bytes: u64,
        /// See `ledger_before_bytes`.
        ledger_after_bytes: u64,
    },
    /// `wait4` of the command: `RUSAGE_BOTH`, own and waited-for descendants.
    Wait4 {
        /// PID in memtrace's namespace.
        pid: u32,
        /// `ru_maxrss`, bytes.
        max_rss_bytes: u64,
        /// `ru_minflt`.
        minor_faults: u64,
        /// `ru_majflt`.
        major_faults: u64,
    },
    /// `smaps_rollup` of all processes of the target, read one after the other.
    Pss(PssReading),
    /// It could not be read for want of permission.
    PssRefused,
    /// The cgroup that is the target, as it was read last.
    CgroupState {
        /// Path of its directory.
        path: String,
        /// What its files said.
        state: Box<State>,
        /// As they were when the most could not have been given up.
        #[serde(default)]
        neediest: Option<Box<State>>,
        /// How long tasks waited for memory meanwhile; `None` if the kernel does not tell.
        #[serde(default)]
        pressure: Option<Pressure>,
    },
    /// The highest charge of the cgroup that is the target while a phase was open.
    PhaseCharge {
        /// The marker that began the phase ([`tracer_common::record::Marked::order`]).
        phase: u64,
        /// The charge.
        charge: PhaseCharge,
    },
    /// What the kernel's log says of kills for want of memory; read if there was one.
    KernelLog {
        /// In their order.
        kills: Vec<OomReport>,
        /// Why it could not be read; `None` if it could.
        refused: Option<String>,
    },
    /// Command line of a process that was there before it was of the target.
    CommandLine {
        /// Number of the process.
        process: u32,
        /// `/proc/PID/cmdline`: arguments that each end with a zero.
        arguments: Vec<u8>,
        /// It was longer than what is kept.
        cut: bool,
    },
    /// PID that a process has in a PID namespace of its own, as in a container.
    Inside {
        /// Number of the process.
        process: u32,
        /// Its PID in the innermost namespace.
        pid: u32,
    },
    /// What bounded the virtual memory of a process that was refused some.
    Limits {
        /// Number of its space.
        space: u32,
        /// The bounds.
        limits: VirtualLimits,
    },
    /// The target's memory cgroup.
    Cgroup {
        /// Path of its directory.
        path: String,
        /// File that was read, `memory.peak` or `memory.max_usage_in_bytes`.
        file: String,
        /// Bytes; `None` if it could not be read.
        peak_bytes: Option<u64>,
        /// Processes in it that are not of the target, at the start or at the end.
        strangers: u32,
        /// What the file said when tracing began, bytes; `None` if it could not be read.
        start_peak_bytes: Option<u64>,
    },
}

/// What `memory.peak` said of a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseCharge {
    /// `CLOCK_MONOTONIC` when the mark was set back, nanoseconds.
    pub from_ns: u64,
    /// When it was read.
    pub until_ns: u64,
    /// The highest charge between, bytes.
    pub peak_bytes: u64,
}

/// Memory of the target counted once where it is shared, as `smaps_rollup` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PssReading {
    /// `CLOCK_MONOTONIC` at its begin and end, nanoseconds.
    pub from_ns: u64,
    /// See `from_ns`.
    pub until_ns: u64,
    /// Which reading it was.
    pub nth: u32,
    /// Processes read.
    pub processes: u32,
    /// Processes that ended before they could be read.
    pub ended: u32,
    /// Neither resident memory nor fault counts of any process moved meanwhile.
    pub stood_still: bool,
    /// Sum of `Rss`, bytes.
    pub rss_bytes: u64,
    /// Sum of `Pss`, bytes.
    pub pss_bytes: u64,
    /// Sum of `Pss_Anon`, bytes.
    pub anon_bytes: u64,
    /// Sum of `Pss_File`, bytes.
    pub file_bytes: u64,
    /// Sum of `Pss_Shmem`, bytes.
    pub shmem_bytes: u64,
}

/// How tracing ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
    /// The target's ledger.
    #[serde(with = "crate::decode::as_bytes")]
    pub target: Target,
    /// Why it ended.
    pub reason: EndReason,
    /// Wait status of the command; `None` for other targets.
    pub command_status: Option<i32>,
    /// Records emitted and lost, summed over the CPUs, by record kind.
    pub emitted: [u64; tracer_common::record::kind::COUNT],
    /// See `emitted`.
    pub lost: [u64; tracer_common::record::kind::COUNT],
    /// Records lost, by CPU.
    pub lost_by_cpu: Vec<u64>,
    /// Records that user space read, by record kind.
    pub read: [u64; tracer_common::record::kind::COUNT],
    /// Bytes that could not be decoded as a record: a defect, 0 otherwise.
    pub undecoded: u64,
    /// Events that the kernel did not hand to a program (`recursion_misses` of its descriptor), by
    /// tracepoint, where there were any; `None` if it does not tell.
    pub missed_runs: Option<BTreeMap<String, u64>>,
    /// How long page faults took; `None` if their time was not taken.
    #[serde(default)]
    pub fault_latencies: Option<FaultLatencies>,
    /// Runs of memtrace's own programs; `None` if they were not asked for.
    #[serde(default)]
    pub runs: Option<Runs>,
    /// memtrace's own peak RSS, bytes, as its own `/proc` says; `None` if unreadable.
    pub tracer_peak_rss_bytes: Option<u64>,
    /// memtrace's own CPU time, nanoseconds.
    pub tracer_cpu_ns: u64,
    /// Doubts that came up while tracing.
    pub doubts: Vec<Doubt>,
}

/// Runs of BPF programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// How many.
    pub count: u64,
    /// The time that they took together, nanoseconds of CPU.
    pub ns: u64,
}

/// Why tracing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The command, or every process attached to, ended.
    TargetEnded,
    /// `--duration` was over.
    Duration,
    /// SIGINT, SIGTERM or SIGHUP.
    Interrupted,
}
