//! The plan: from what is asked and what the kernel has to hooks, settings and doubts. Pure: every
//! difference between kernels is decided here, and tested on described kernels.

mod arch;
mod counters;
mod entries;
pub mod faults;
pub mod functions;
mod globals;
mod markers;
mod table;
mod vm;

use tracer_common::{layout::global, limits::MAX_CPUS};

pub use self::markers::MARKERS;
pub use self::table::{OUT_OF_MEMORY, SYSTEM_CALLS};
pub use self::vm::VIRTUAL_MEMORY;
use self::{
    counters::Counters,
    functions::AtFunction,
    globals::{calls, globals},
    table::{Row, TABLE},
};
use super::{calls::Calls, facts::Facts, outline::Named};
use crate::{
    event::{Doubt, Hook},
    latency::FaultLatency,
};

/// What the user asked of the kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The target is a command, and begins with the exec of this process's child.
    pub holds_command: bool,
    /// Descendants belong to the target.
    pub follow: bool,
    /// Least movement of a level that the stream tells; `None` = chosen by the peak.
    pub quantum_bytes: Option<u64>,
    /// Each program that a process enters is a phase.
    pub programs_are_phases: bool,
    /// System calls are told.
    pub tells_syscalls: bool,
    /// The time of page faults is taken.
    pub fault_latency: bool,
    /// The target is a cgroup.
    pub follows_cgroup: bool,
    /// Size of the ring that carries levels; `None` = as the object has it.
    pub ring_bytes: Option<u32>,
    /// Bytes of a page.
    pub page_bytes: u64,
}

/// Default least movement, bytes; it grows to 1/256 of the peak.
pub const DEFAULT_QUANTUM_BYTES: u64 = 64 << 10;

/// A program to load and the tracepoint to attach it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Name in the object.
    pub name: &'static str,
    /// BTF tracepoint.
    pub tracepoint: &'static str,
    /// What it serves.
    pub subject: &'static str,
    /// What it does not see is made up for later.
    pub is_made_up_for: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Programs to attach, in this order: those of one tracepoint run in it.
    pub programs: Vec<Program>,
    /// Programs to attach to functions of the kernel, after those.
    pub at_functions: Vec<AtFunction>,
    /// Threads count resident memory apart from their space.
    pub counts_by_thread: bool,
    /// Whether the time of page faults is taken.
    pub fault_latency: FaultLatency,
    /// Globals of the object.
    pub globals: Vec<(&'static str, u64)>,
    /// Size of the ring that carries levels; `None` = as the object has it.
    pub ring_bytes: Option<u32>,
    /// What programs can attach to.
    pub types: Vec<Named>,
    /// Functions of the kernel that programs call.
    pub calls: Calls,
    /// Doubts that follow from this kernel.
    pub doubts: Vec<Doubt>,
}

/// Why this kernel cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The counters are not of the kind that can be summed exactly.
    #[error(
        "this kernel ({release}) keeps resident memory in {found}, which this version of memtrace \
         cannot sum exactly. Linux 6.1 or later is needed"
    )]
    Counters {
        /// `uname -r`.
        release: String,
        /// What `mm_struct.rss_stat` is.
        found: String,
    },
    /// The threads of a space count for themselves, and what they have cannot be seen.
    #[error(
        "this kernel ({release}) counts resident memory for each thread (Linux before 6.2), which \
         can be summed exactly only by programs at its functions (fentry), and they are refused: \
         {obstacle}"
    )]
    CountsByThread {
        /// `uname -r`.
        release: String,
        /// Why they are.
        obstacle: String,
    },
    /// A helper is missing.
    #[error(
        "this kernel ({release}) lacks {name}, which memtrace's programs call. Linux 6.1 or later \
         is needed"
    )]
    Helper {
        /// `uname -r`.
        release: String,
        /// Name.
        name: String,
    },
    /// A tracepoint is missing.
    #[error(
        "this kernel ({release}) lacks the tracepoint {name}, without which {subject} cannot be seen"
    )]
    Tracepoint {
        /// `uname -r`.
        release: String,
        /// Name.
        name: &'static str,
        /// What it is for.
        subject: &'static str,
    },
    /// A field is missing.
    #[error("this kernel's type information ({release}) lacks {symbol}, which memtrace must read")]
    Field {
        /// `uname -r`.
        release: String,
        /// Symbol of the offset.
        symbol: &'static str,
    },
    /// The machine is too large.
    #[error("this machine can have {cpus} CPUs; memtrace sums the counters of at most {MAX_CPUS}")]
    TooManyCpus {
        /// Possible CPUs.
        cpus: u32,
    },
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if something is missing without which nothing exact can be said.
    pub fn make(asked: &Asked, facts: &Facts) -> Result<Self, Refusal> {
        let release = || facts.release.clone();
        if let Some(name) = facts.missing_helpers.first() {
            return Err(Refusal::Helper {
                release: release(),
                name: name.clone(),
            });
        }
        let counters = Counters::of(facts)?;
        if facts.cpus > MAX_CPUS {
            return Err(Refusal::TooManyCpus { cpus: facts.cpus });
        }
        let mut programs = Vec::new();
        let mut doubts = Vec::new();
        for Row {
            program,
            again,
            needed,
            serves,
            without,
        } in &TABLE
        {
            if !needed(asked, facts) {
                continue;
            }
            if facts.tracepoints.contains_key(program.tracepoint) && serves(facts) {
                programs.push(*program);
                let again = again.filter(|_| facts.preemptible_tracepoints);
                programs.extend(again.map(|name| Program { name, ..*program }));
            } else if let Some((id, text)) = without {
                if doubts.iter().any(|doubt: &Doubt| doubt.id == *id) {
                    continue;
                }
                doubts.push(Doubt {
                    id: (*id).to_owned(),
                    text: (*text).to_owned(),
                    remedy: "use a later kernel".to_owned(),
                });
            } else {
                let Program {
                    tracepoint: name,
                    subject,
                    ..
                } = *program;
                return Err(Refusal::Tracepoint {
                    release: release(),
                    name,
                    subject,
                });
            }
        }
        let calls = calls(facts);
        if facts.preemptible_tracepoints && calls.preemption_in_tracepoints.is_none() {
            doubts.push(Doubt {
                id: "preempted".to_owned(),
                text: "this kernel skips a program of memtrace on a CPU where another task was \
                       interrupted in it, and has no way to prevent that"
                    .to_owned(),
                remedy: "use a kernel that has bpf_preempt_disable".to_owned(),
            });
        }
        doubts.extend(vm::doubt(facts));
        let fault_latency = faults::latency(asked, facts);
        Ok(Self {
            programs,
            at_functions: (counters.programs().iter().copied())
                .chain(entries::programs(facts))
                .chain(markers::programs(facts))
                .chain(vm::programs(facts))
                .chain(faults::programs(&fault_latency))
                .collect(),
            counts_by_thread: counters == Counters::ByThread,
            fault_latency,
            globals: globals(asked, facts, counters)?,
            ring_bytes: asked.ring_bytes,
            types: facts.attachable(),
            calls,
            doubts,
        })
    }

    /// Possible CPUs, as the kernel side is told.
    pub fn cpus(&self) -> u64 {
        self.globals
            .iter()
            .find(|(name, _)| *name == global::CPUS)
            .map_or(0, |(_, cpus)| *cpus)
    }

    /// The hooks, for the report.
    pub fn hooks(&self) -> Vec<Hook> {
        let hook = |program: &Program| Hook {
            subject: program.subject.to_owned(),
            via: format!("tp_btf/{}", program.tracepoint),
        };
        let mut hooks: Vec<Hook> = self.programs.iter().map(hook).collect();
        hooks.extend(self.at_functions.iter().map(|program| Hook {
            subject: program.subject.to_owned(),
            via: program.via(),
        }));
        hooks.dedup();
        hooks
    }
}
