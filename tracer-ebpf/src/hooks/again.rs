//! Second programs of tracepoints, where the kernel may skip the first (`preempt`): another task
//! stands still at its end, on the same CPU. They do what the first did not, and mostly nothing.
//! Markers have none: they would be answered twice.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    hooks::{cgroup, exec, process, rss, vm},
    ledger,
    maps::TASKS,
    peek::{Mm, Thread, bprm_mm, current_tgid},
    preempt,
};

#[btf_tracepoint(function = "task_newtask")]
pub fn task_newtask_again(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| {
        let child = Thread::new(ctx.arg(0));
        if TASKS.get_ptr(child.tgid()).is_none() {
            process::forked(child, ctx.arg(1));
        }
    })
}

#[btf_tracepoint(function = "sched_prepare_exec")]
pub fn sched_prepare_exec_again(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| {
        let new = bprm_mm(ctx.arg(1));
        if ledger::find(new).is_none() {
            exec::prepares(Thread::new(ctx.arg(0)), new);
        }
    })
}

#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec_again(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| {
        if let Some(task) = TASKS.get_ptr(current_tgid()) {
            // SAFETY: a live map value of the running process, which does nothing else now.
            let is_told = unsafe { (*task).next_space == 0 };
            if !is_told {
                exec::entered(Thread::new(ctx.arg(0)));
            }
        }
    })
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit_again(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| {
        let is_last = ctx.arg::<u64>(1) & 1 != 0;
        if is_last {
            process::leave(Thread::new(ctx.arg(0)));
        }
    })
}

#[btf_tracepoint(function = "sched_process_free")]
pub fn sched_process_free_again(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| process::freed(Thread::new(ctx.arg(0))))
}

#[btf_tracepoint(function = "mmap_lock_acquire_returned")]
pub fn mmap_lock_acquire_returned_again(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| vm::taken(Mm::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2)))
}

#[btf_tracepoint(function = "mmap_lock_released")]
pub fn mmap_lock_released_again(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| vm::let_go(Mm::new(ctx.arg(0)), ctx.arg(1)))
}

#[btf_tracepoint(function = "cgroup_attach_task")]
pub fn cgroup_attach_task_again(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| cgroup::moved(Thread::new(ctx.arg(2))))
}

#[btf_tracepoint(function = "rss_stat")]
pub fn rss_stat_again(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| {
        let mm = Mm::new(ctx.arg(0));
        if let Some(space) = ledger::find(mm)
            && !preempt::has_looked()
        {
            rss::changed(mm, space);
        }
    })
}

#[btf_tracepoint(function = "exit_mmap")]
pub fn exit_mmap_again(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| rss::ended(Mm::new(ctx.arg(0))))
}
