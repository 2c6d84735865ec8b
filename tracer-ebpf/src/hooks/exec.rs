//! Entering a new program: the old space is left, a new one joins.

use aya_ebpf::{
    Global,
    macros::{btf_tracepoint, fentry},
    programs::{BtfTracePointContext, FEntryContext},
};
use tracer_common::{
    ledger::Task,
    record::{self, Execed, kind, via},
};

use crate::{
    emit,
    hooks::{mark, process::join, vm},
    ledger,
    maps::{FOUND, TASKS},
    peek::{Mm, Thread, bprm_mm, current_tgid, nothing},
    preempt,
};

/// 1 on kernels without a hook at an exec's point of no return (before 6.10, without fentry).
#[unsafe(no_mangle)]
pub static EXEC_OPENS_LATE: Global<u64> = Global::new(0);

/// Makes the running process the target's first if it is the tracer's child, held back until
/// here: now it turns into the command. What it was before does not count.
#[inline(never)]
fn adopt_holder(thread: Thread) {
    let Some(found) = FOUND.get_ptr_mut(0) else {
        return;
    };
    let parent = thread.real_parent();
    // SAFETY: a live map value; only this exec, of a tracer's only child, clears the field.
    unsafe {
        if (*found).holder_parent == 0 || (*found).holder_parent != u64::from(parent.tgid()) {
            return;
        }
        (*found).holder_parent = 0;
    }
    join(thread, 0, parent, via::HOLDER, None);
}

/// The running process, if it is of the target or becomes so now.
#[inline(always)]
fn known_or_holder(thread: Thread) -> Option<*mut Task> {
    if TASKS.get_ptr(current_tgid()).is_none() {
        adopt_holder(thread);
    }
    TASKS.get_ptr_mut(current_tgid())
}

/// `begin_new_exec` (exec.c), at the point of no return: the old space is still in place, the new
/// one holds the arguments. From here on its pages are the target's.
#[btf_tracepoint(function = "sched_prepare_exec")]
pub fn sched_prepare_exec(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| prepares(Thread::new(ctx.arg(0)), bprm_mm(ctx.arg(1))))
}

/// The same before Linux 6.10, at the begin of the function. If it fails yet, the process is killed
/// or the new space is torn down, which is seen.
#[fentry(function = "begin_new_exec")]
pub fn begin_new_exec(ctx: FEntryContext) -> u32 {
    preempt::in_task(|| prepares(Thread::current(), bprm_mm(ctx.arg(0))))
}

/// The running process is about to leave its space for `new`.
#[inline(always)]
pub fn prepares(thread: Thread, new: Mm) {
    if let Some(task) = known_or_holder(thread) {
        mark::end(thread, thread.mm(), task, record::mark::EXECS);
        enter(thread.mm(), new, task);
    }
}

/// A process of the target leaves its space `old` for `new`. A function of its own: its stack is
/// then not under those of [`adopt_holder`] and of markers, and before Linux 6.13 all that call each
/// other have 512 bytes together.
#[inline(never)]
fn enter(old: Mm, new: Mm, task: *mut Task) {
    let mut left = nothing();
    // SAFETY: `find` gives live map values.
    let known =
        ledger::find(old).is_some_and(|space| unsafe { ledger::scan(old, space, &mut left) });
    // SAFETY: a live map value of the running process, which does nothing else now.
    unsafe {
        (*task).before_exec_known = u32::from(known);
        (*task).before_exec = left;
        (*task).before_exec_hiwater = if known { old.hiwater_rss() } else { 0 };
        (*task).next_space = ledger::open(new, (*task).process, via::EXEC, Some(old));
    }
}

/// `exec_binprm` (exec.c): the new program is in place and has not run yet.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| entered(Thread::new(ctx.arg(0))))
}

/// The running process is in its new program.
#[inline(always)]
pub fn entered(thread: Thread) {
    let task = if EXEC_OPENS_LATE.load() != 0 {
        known_or_holder(thread)
    } else {
        TASKS.get_ptr_mut(current_tgid())
    };
    let Some(task) = task else {
        return;
    };
    let mm = thread.mm();
    // SAFETY: a live map value of the running process, which does nothing else now.
    let task = unsafe { &mut *task };
    if EXEC_OPENS_LATE.load() != 0 {
        open_late(mm, task);
    }
    vm::loaded(mm);
    tell(thread, mm, task);
    // `de_thread` (exec.c) makes the thread that execs the leader.
    task.leader = thread.address();
    task.next_space = 0;
    task.before_exec_known = 0;
    mark::program(thread, mm, task);
}

/// As [`enter`], where that comes too late to see the old space, and with a stack of its own too.
#[inline(never)]
fn open_late(mm: Mm, task: &mut Task) {
    task.next_space = ledger::open(mm, task.process, via::EXEC, None);
}

/// A function of its own, so that its stack is not under that of the marker.
#[inline(never)]
fn tell(thread: Thread, mm: Mm, task: &Task) {
    let (minor_faults, major_faults) = thread.process_faults();
    emit::life::<Execed>(kind::EXECED, |record| {
        // SAFETY: `record` is the ring's reserved memory; every field is written.
        unsafe {
            (&raw mut (*record).header).write(emit::header(kind::EXECED, emit::now()));
            (&raw mut (*record).process).write(task.process);
            (&raw mut (*record).space).write(task.next_space);
            (&raw mut (*record).before_known).write(task.before_exec_known);
            (&raw mut (*record).before).write(task.before_exec);
            (&raw mut (*record).before_hiwater).write(task.before_exec_hiwater);
            (&raw mut (*record).inherited_maxrss).write(thread.maxrss().0);
            (&raw mut (*record).minor_faults).write(minor_faults);
            (&raw mut (*record).major_faults).write(major_faults);
            thread.comm(&raw mut (*record).comm);
            let (kept, whole) = mm.command_line(&raw mut (*record).argv);
            (&raw mut (*record).argv_len).write(kept);
            (&raw mut (*record).argv_full_len).write(whole);
        }
    });
}
