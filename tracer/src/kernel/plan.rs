//! The plan: from what is asked and what the kernel has to hooks, settings and doubts. Pure: every
//! difference between kernels is decided here, and tested on described kernels.

use std::iter::zip;

use tracer_common::{
    layout::{ABSENT, global},
    limits::MAX_CPUS,
};

use super::facts::{
    Facts,
    base::{COUNT, COUNTERS, LOCK, RSS_STAT},
};
use crate::event::{Doubt, Hook};

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
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Programs to attach, in this order.
    pub programs: Vec<Program>,
    /// Globals of the object.
    pub globals: Vec<(&'static str, u64)>,
    /// Size of the ring that carries levels; `None` = as the object has it.
    pub ring_bytes: Option<u32>,
    /// Doubts that follow from this kernel.
    pub doubts: Vec<Doubt>,
}

/// Why this kernel cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The counters are not of the kind that can be summed exactly.
    #[error(
        "this kernel ({release}) keeps resident memory in {found}, which this version of memtrace \
         cannot sum exactly. Linux 6.2 or later is needed"
    )]
    Counters {
        /// `uname -r`.
        release: String,
        /// What `mm_struct.rss_stat` is.
        found: String,
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

/// Fields that some kernels lack and that are read only where they exist.
const OPTIONAL_OFFSETS: [&str; 19] = [
    "MM_HUGETLB_USAGE",
    "REGS_CALL",
    "REGS_FIRST",
    "REGS_SECOND",
    "REGS_THIRD",
    "REGS_FOURTH",
    "REGS_FIFTH",
    "REGS_SIXTH",
    "REGS_CS",
    "MM_XOL_AREA",
    "XOL_AREA_VADDR",
    "TASK_CGROUPS",
    "CSS_SET_SUBSYS",
    "CSS_SET_DFL_CGRP",
    "CSS_CGROUP",
    "CGROUP_LEVEL",
    "CGROUP_ANCESTORS",
    "CGROUP_KN",
    "KN_ID",
];

struct Row {
    program: Program,
    /// It is needed for what was asked.
    needed: fn(&Asked, &Facts) -> bool,
    /// It can do its work with what this kernel has, apart from the tracepoint itself.
    serves: fn(&Facts) -> bool,
    /// What is lost without it; `None` if nothing works without it.
    without: Option<(&'static str, &'static str)>,
}

const fn row(
    name: &'static str,
    subject: &'static str,
    without: Option<(&'static str, &'static str)>,
) -> Row {
    Row {
        program: Program {
            name,
            tracepoint: name,
            subject,
        },
        needed: |_, _| true,
        serves: |_| true,
        without,
    }
}

/// The tracepoints of `mmap_lock` tell no path of a cgroup (they did before 6.13, at a cost to
/// every process), and the registers of a call are where the kernel side looks for them.
fn tells_vm(facts: &Facts) -> bool {
    let arguments = |name: &str| facts.tracepoints.get(name).copied();
    let plain = arguments("mmap_lock_acquire_returned") == Some(3)
        && arguments("mmap_lock_released") == Some(2);
    plain && has_registers(facts)
}

fn has_registers(facts: &Facts) -> bool {
    let mut registers = SYMBOLS.iter().filter(|symbol| symbol.starts_with("REGS_"));
    registers.all(|symbol| facts.offsets.contains_key(*symbol))
}

/// The tracepoint that shows `prctl` calls with an option that the kernel does not know.
const MARKER_TRACEPOINT: &str = "task_prctl_unknown";

fn shows_markers(facts: &Facts) -> bool {
    facts.tracepoints.contains_key(MARKER_TRACEPOINT)
}

const NO_VM: Option<(&str, &str)> = Some((
    "no-virtual-memory",
    "calls of mmap, munmap, mremap and brk are not counted: this kernel does not tell who changed \
     the size of an address space",
));

/// Subject of the hooks that see calls of virtual memory.
pub const VIRTUAL_MEMORY: &str = "virtual memory";
/// Subject of the hook that answers the marker call.
pub const MARKERS: &str = "phase markers";
/// Subject of the hook that sees system calls; where there is no better one, it answers the marker
/// call too.
pub const SYSTEM_CALLS: &str = "system calls";

/// Subject of the hook that sees whom the kernel kills for want of memory.
pub const OUT_OF_MEMORY: &str = "out of memory";

/// Which program serves which subject. Everything that changes resident memory comes last, so
/// that births and deaths are seen from the first change on.
const TABLE: [Row; 13] = [
    row("task_newtask", "forks", None),
    row(
        "sched_prepare_exec",
        "entry of a program",
        Some((
            "late-exec",
            "this kernel has no hook at an exec's point of no return: what a new program's space \
             held before it was in place is not part of the target's level",
        )),
    ),
    row("sched_process_exec", "programs", None),
    row("sched_process_exit", "exits", None),
    row(
        "sched_process_free",
        "final fault counts",
        Some((
            "faults-at-exit",
            "this kernel does not tell when a process is freed: faults of the exit itself are not \
             counted",
        )),
    ),
    Row {
        needed: |_, facts| shows_markers(facts),
        ..row(MARKER_TRACEPOINT, MARKERS, None)
    },
    Row {
        needed: |asked, facts| asked.tells_syscalls || !shows_markers(facts),
        serves: has_registers,
        ..row(
            "sys_exit",
            SYSTEM_CALLS,
            Some((
                "no-system-calls",
                "system calls cannot be seen here, and with them the marker call of phases",
            )),
        )
    },
    Row {
        serves: tells_vm,
        ..row("mmap_lock_acquire_returned", VIRTUAL_MEMORY, NO_VM)
    },
    Row {
        serves: tells_vm,
        ..row("mmap_lock_released", VIRTUAL_MEMORY, NO_VM)
    },
    Row {
        needed: |asked, _| asked.follows_cgroup,
        ..row("cgroup_attach_task", "cgroups", None)
    },
    Row {
        serves: |facts| facts.tracepoints.get("mark_victim") == Some(&2),
        ..row(
            "mark_victim",
            OUT_OF_MEMORY,
            Some((
                "no-oom",
                "this kernel does not tell whom it kills for want of memory",
            )),
        )
    },
    row("exit_mmap", "end of an address space", None),
    row("rss_stat", "resident memory", None),
];

macro_rules! symbols {
    ($($symbol:ident = $structure:literal $field:literal;)+) => {
        const SYMBOLS: &[&str] = &[$(stringify!($symbol)),+];
    };
}
tracer_common::offsets!(symbols);

impl Plan {
    /// Decides.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if something is missing without which nothing exact can be said.
    pub fn make(asked: &Asked, facts: &Facts) -> Result<Self, Refusal> {
        let release = || facts.release.clone();
        match &facts.rss_stat {
            Some((element, 4)) if element == "percpu_counter" => {}
            Some((element, length)) => {
                let found = format!("{length} x {element}");
                return Err(Refusal::Counters {
                    release: release(),
                    found,
                });
            }
            None => {
                let found = "a form of its own".to_owned();
                return Err(Refusal::Counters {
                    release: release(),
                    found,
                });
            }
        }
        if facts.cpus > MAX_CPUS {
            return Err(Refusal::TooManyCpus { cpus: facts.cpus });
        }
        let mut programs = Vec::new();
        let mut doubts = Vec::new();
        for Row {
            program,
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
        Ok(Self {
            programs,
            globals: globals(asked, facts)?,
            ring_bytes: asked.ring_bytes,
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
        self.programs
            .iter()
            .map(|program| Hook {
                subject: program.subject.to_owned(),
                via: format!("tp_btf/{}", program.tracepoint),
            })
            .collect()
    }
}

/// Where a task's cgroup is looked up; with the controller in the unified hierarchy, there.
fn memory_controller(facts: &Facts) -> u64 {
    let own = facts.memory_controller.filter(|_| facts.cgroup == "v1");
    own.unwrap_or(ABSENT)
}

fn globals(asked: &Asked, facts: &Facts) -> Result<Vec<(&'static str, u64)>, Refusal> {
    let missing = |symbol| Refusal::Field {
        release: facts.release.clone(),
        symbol,
    };
    let mut globals = Vec::new();
    for symbol in SYMBOLS {
        match facts.offsets.get(*symbol) {
            Some(offset) => globals.push((*symbol, *offset)),
            None if OPTIONAL_OFFSETS.contains(symbol) => {}
            None => return Err(missing(symbol)),
        }
    }
    let base = |symbol| facts.offsets.get(symbol).copied().ok_or(missing(symbol));
    let counter_bytes = facts
        .sizes
        .get("percpu_counter")
        .copied()
        .ok_or(missing(global::COUNTER_BYTES))?;
    let (counters, lock, count) = (base(RSS_STAT)?, base(LOCK)?, base(COUNT)?);
    for (member, (count_symbol, lock_symbol)) in zip(global::COUNTS, global::LOCKS).enumerate() {
        let counter = counters + member as u64 * counter_bytes;
        globals.push((count_symbol, counter + count));
        globals.extend(lock_symbol.map(|symbol| (symbol, counter + lock)));
    }
    globals.push((global::SLOTS, counters + base(COUNTERS)?));
    let size = |name: &str, symbol| facts.sizes.get(name).copied().ok_or(missing(symbol));
    let cpus = u64::from(facts.cpus);
    // `percpu_counter_batch`: max(32, 2 x online CPUs). Possible CPUs bound those online.
    let batch = (2 * cpus).max(32);
    let quantum = asked
        .quantum_bytes
        .unwrap_or(DEFAULT_QUANTUM_BYTES)
        .div_ceil(asked.page_bytes);
    let group_dead = facts
        .tracepoints
        .get("sched_process_exit")
        .is_some_and(|count| *count > 1);
    globals.extend([
        (global::COUNTER_BYTES, counter_bytes),
        (global::UPID_BYTES, size("upid", global::UPID_BYTES)?),
        (global::CPUS, cpus),
        (global::PLAIN_SLACK, 3 * cpus * (batch - 1)),
        (global::HOLDS_COMMAND, u64::from(asked.holds_command)),
        (global::FOLLOW, u64::from(asked.follow)),
        (global::EXIT_HAS_GROUP_DEAD, u64::from(group_dead)),
        (
            global::EXEC_OPENS_LATE,
            u64::from(!facts.tracepoints.contains_key("sched_prepare_exec")),
        ),
        (
            global::UNSEEN_SHIFT,
            u64::from((2 * cpus).next_power_of_two().trailing_zeros()),
        ),
        (
            global::PAGE_SHIFT,
            u64::from(asked.page_bytes.trailing_zeros()),
        ),
        (
            global::PROGRAMS_ARE_PHASES,
            u64::from(asked.programs_are_phases),
        ),
        (global::FOLLOWS_CGROUP, u64::from(asked.follows_cgroup)),
        (global::MEMORY_CONTROLLER, memory_controller(facts)),
        (global::TELLS_SYSCALLS, u64::from(asked.tells_syscalls)),
        (global::MARKS_BY_SYSCALL, u64::from(!shows_markers(facts))),
        (global::QUANTUM, quantum),
        (
            global::QUANTUM_GROWS,
            u64::from(asked.quantum_bytes.is_none()),
        ),
    ]);
    Ok(globals)
}
