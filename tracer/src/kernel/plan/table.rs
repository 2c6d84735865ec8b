//! Which program serves which subject, where it can, and what is lost without it.

use super::{
    Asked, Program,
    entries::{self, SeenAt},
    faults::{self, FAULT_LATENCY},
    globals::has_registers,
    markers::{self, MARKERS, SeenBy},
    vm,
};
use crate::kernel::facts::Facts;

pub(super) struct Row {
    pub(super) program: Program,
    /// A second program of the same tracepoint, that does what the first did not: for kernels that
    /// may skip one.
    pub(super) again: Option<&'static str>,
    /// It is needed for what was asked.
    pub(super) needed: fn(&Asked, &Facts) -> bool,
    /// It can do its work with what this kernel has, apart from the tracepoint itself.
    pub(super) serves: fn(&Facts) -> bool,
    /// What is lost without it; `None` if nothing works without it.
    pub(super) without: Option<(&'static str, &'static str)>,
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
            is_made_up_for: false,
        },
        again: None,
        needed: |_, _| true,
        serves: |_| true,
        without,
    }
}

impl Row {
    /// What its program does not see is made up for by others.
    const fn made_up_for(mut self) -> Self {
        self.program.is_made_up_for = true;
        self
    }

    const fn again(self, name: &'static str) -> Self {
        Self {
            again: Some(name),
            ..self
        }
    }
}

/// Subject of the hook that sees system calls; where there is no better one, it answers the marker
/// call too.
pub const SYSTEM_CALLS: &str = "system calls";

/// Subject of the hook that sees whom the kernel kills for want of memory.
pub const OUT_OF_MEMORY: &str = "out of memory";

const fn at_lock(tracepoint: &'static str, again: &'static str) -> Row {
    Row {
        needed: |_, facts| vm::seen_by(facts) != vm::SeenBy::Functions,
        serves: |facts| vm::seen_by(facts) == vm::SeenBy::Lock,
        ..row(tracepoint, vm::VIRTUAL_MEMORY, vm::NOTHING).again(again)
    }
}

/// Which program serves which subject. Those that the kernel takes longest to check come early,
/// so that no CPU is left with one when the others are done.
pub(super) const TABLE: [Row; 14] = [
    row("task_newtask", "forks", None).again("task_newtask_again"),
    Row {
        needed: |_, facts| entries::seen_at(facts) != SeenAt::Function,
        ..row(
            entries::TRACEPOINT,
            entries::ENTRY,
            Some((
                "late-exec",
                "this kernel has no hook at an exec's point of no return: what a new program's \
                 space held before it was in place is not part of the target's level",
            )),
        )
        .again("sched_prepare_exec_again")
    },
    row("sched_process_exec", "programs", None).again("sched_process_exec_again"),
    // By `sched_process_free`, which the kernel calls where nothing is preempted.
    row("sched_process_exit", "exits", None)
        .again("sched_process_exit_again")
        .made_up_for(),
    row(
        "sched_process_free",
        "final fault counts",
        Some((
            "faults-at-exit",
            "this kernel does not tell when a process is freed: faults of the exit itself are not \
             counted",
        )),
    )
    .again("sched_process_free_again"),
    Row {
        needed: |_, facts| markers::seen_by(facts) == SeenBy::Tracepoint,
        ..row(markers::TRACEPOINT, MARKERS, None)
    },
    Row {
        needed: |asked, facts| {
            asked.tells_syscalls || markers::seen_by(facts) == SeenBy::SystemCalls
        },
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
    at_lock(vm::TRACEPOINTS[0], "mmap_lock_acquire_returned_again"),
    at_lock(vm::TRACEPOINTS[1], "mmap_lock_released_again"),
    Row {
        needed: |asked, _| asked.follows_cgroup,
        ..row("cgroup_attach_task", "cgroups", None).again("cgroup_attach_task_again")
    },
    Row {
        serves: |facts| facts.arguments("mark_victim") == Some(2),
        ..row(
            "mark_victim",
            OUT_OF_MEMORY,
            Some((
                "no-oom",
                "this kernel does not tell whom it kills for want of memory",
            )),
        )
    },
    Row {
        needed: |asked, facts| asked.fault_latency && faults::obstacle(facts).is_none(),
        program: Program {
            name: "fault_forgotten",
            tracepoint: "sched_process_free",
            subject: FAULT_LATENCY,
            // By the next thread of the same address.
            is_made_up_for: true,
        },
        ..row("sched_process_free", FAULT_LATENCY, None)
    },
    row("exit_mmap", "end of an address space", None).again("exit_mmap_again"),
    row("rss_stat", "resident memory", None).again("rss_stat_again"),
];
