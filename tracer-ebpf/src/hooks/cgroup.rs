//! Processes that enter the cgroup that is the target, or leave it.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::record::{ProcessLeft, kind, via};

use crate::{
    emit,
    hooks::process::{Taken, join, take_out},
    ledger,
    maps::TASKS,
    peek::{Thread, nothing},
    preempt,
};

/// `cgroup_attach_task` (cgroup.c): a process or thread has been moved, in whatever hierarchy.
#[btf_tracepoint(function = "cgroup_attach_task")]
pub fn cgroup_attach_task(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| moved(Thread::new(ctx.arg(2))))
}

/// A thread is in another cgroup now.
#[inline(always)]
pub fn moved(thread: Thread) {
    let is_inside = thread.is_in_cgroup();
    let is_known = TASKS.get_ptr(thread.tgid()).is_some();
    if is_inside && !is_known {
        enter(thread);
    } else if is_known && !is_inside {
        part(thread);
    }
}

#[inline(never)]
fn enter(thread: Thread) {
    if !thread.mm().is_null() {
        join(thread, 0, thread.real_parent(), via::CGROUP, None);
    }
}

/// The process lives on, and its space with it, unless others of the target use that too.
#[inline(never)]
fn part(thread: Thread) {
    let Some(Taken { process, is_last }) = take_out(thread) else {
        return;
    };
    let mm = thread.mm();
    let mut end = nothing();
    let mut taken = 0;
    if !mm.is_null()
        && let Some(space) = ledger::find(mm)
    {
        // SAFETY: a live map value.
        unsafe {
            if (*space).process == process {
                taken = (*space).id;
                ledger::scan(mm, space, &mut end);
                ledger::part(mm, space);
            }
        }
    }
    emit::send::<ProcessLeft>(kind::PROCESS_LEFT, is_last, |record| {
        // SAFETY: `record` is the ring's reserved memory.
        unsafe {
            record.write(ProcessLeft {
                header: emit::header(kind::PROCESS_LEFT, emit::now()),
                process,
                space: taken,
                end,
            });
        }
    });
}
