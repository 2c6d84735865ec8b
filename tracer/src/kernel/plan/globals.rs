//! Settings of the kernel side, and the functions of the kernel that it calls: from what is asked
//! and what the kernel has.

use tracer_common::layout::{ABSENT, global};

use super::{
    Asked, DEFAULT_QUANTUM_BYTES, Refusal, arch,
    counters::Counters,
    entries::{self, SeenAt},
    markers::{self, SeenBy},
};
use crate::kernel::{
    calls::{Calls, Switch},
    facts::{
        Facts,
        functions::{CAST, PREEMPT_DISABLE, PREEMPT_ENABLE},
        structures,
    },
};

/// Fields that some kernels lack and that are read only where they exist.
const OPTIONAL_OFFSETS: [&str; 18] = [
    "MM_HUGETLB_USAGE",
    "REGS_CALL",
    "REGS_FIRST",
    "REGS_SECOND",
    "REGS_THIRD",
    "REGS_FOURTH",
    "REGS_FIFTH",
    "REGS_SIXTH",
    "REGS_MODE",
    "REGS_STACK",
    "TASK_CGROUPS",
    "CSS_SET_SUBSYS",
    "CSS_SET_DFL_CGRP",
    "CSS_CGROUP",
    "CGROUP_LEVEL",
    "CGROUP_ANCESTORS",
    "CGROUP_KN",
    "KN_ID",
];

macro_rules! symbols {
    ($($symbol:ident = $structure:literal $field:literal;)+) => {
        const SYMBOLS: &[&str] = &[$(stringify!($symbol)),+];
    };
}
tracer_common::offsets!(symbols);

/// The registers of a call are where the kernel side looks for them.
pub(super) fn has_registers(facts: &Facts) -> bool {
    let mut registers = SYMBOLS.iter().filter(|symbol| symbol.starts_with("REGS_"));
    registers.all(|symbol| facts.offsets.contains_key(*symbol))
}

/// Preemption is turned off only where it is on.
pub(super) fn calls(facts: &Facts) -> Calls {
    let function = |name| facts.functions.get(name).copied();
    let switch = match (function(PREEMPT_DISABLE), function(PREEMPT_ENABLE)) {
        (Some(off), Some(on)) => Some(Switch { off, on }),
        _ => None,
    };
    Calls {
        preemption_in_tracepoints: switch.filter(|_| facts.preemptible_tracepoints),
        preemption_in_tasks: switch,
        cast: function(CAST),
    }
}

/// Where a task's cgroup is looked up; with the controller in the unified hierarchy, there.
fn memory_controller(facts: &Facts) -> u64 {
    let own = facts.memory_controller.filter(|_| facts.cgroup == "v1");
    own.unwrap_or(ABSENT)
}

pub(super) fn globals(
    asked: &Asked,
    facts: &Facts,
    counters: Counters,
) -> Result<Vec<(&'static str, u64)>, Refusal> {
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
    globals.extend(counters.globals(facts)?);
    let structure = |name: &str| {
        let id = facts.structures.get(name).copied();
        calls(facts).cast.and(id).map_or(0, u64::from)
    };
    let size = |name: &str, symbol| facts.sizes.get(name).copied().ok_or(missing(symbol));
    let cpus = u64::from(facts.cpus);
    // `percpu_counter_batch`: max(32, 2 x online CPUs). Possible CPUs bound those online.
    let batch = (2 * cpus).max(32);
    let quantum = asked
        .quantum_bytes
        .unwrap_or(DEFAULT_QUANTUM_BYTES)
        .div_ceil(asked.page_bytes);
    let group_dead = facts.arguments("sched_process_exit") > Some(1);
    globals.extend([
        (global::UPID_BYTES, size("upid", global::UPID_BYTES)?),
        (global::CPUS, cpus),
        (global::TWO_WORDS, structure(structures::TWO_WORDS)),
        (global::SPACE_TYPE, structure(structures::SPACE)),
        (global::PLAIN_SLACK, 3 * cpus * (batch - 1)),
        (global::HOLDS_COMMAND, u64::from(asked.holds_command)),
        (global::FOLLOW, u64::from(asked.follow)),
        (global::EXIT_HAS_GROUP_DEAD, u64::from(group_dead)),
        (
            global::EXEC_OPENS_LATE,
            u64::from(entries::seen_at(facts) == SeenAt::Late),
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
        (global::RUNS_AGAIN, u64::from(facts.preemptible_tracepoints)),
        (global::TELLS_SYSCALLS, u64::from(asked.tells_syscalls)),
        (
            global::MARKS_BY_SYSCALL,
            u64::from(markers::seen_by(facts) == SeenBy::SystemCalls),
        ),
        (global::QUANTUM, quantum),
        (
            global::QUANTUM_GROWS,
            u64::from(asked.quantum_bytes.is_none()),
        ),
    ]);
    globals.extend(arch::globals(facts.arch));
    Ok(globals)
}
