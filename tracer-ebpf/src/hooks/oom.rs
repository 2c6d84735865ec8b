//! Out of memory: whom the kernel chose, with the exact levels of that moment.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::record::{Victim, kind};

use crate::{
    emit, ledger,
    maps::TASKS,
    peek::{Thread, nothing},
    preempt,
};

/// `mark_oom_victim` (oom_kill.c): the victim has its signal and has given nothing back yet. The
/// running task is the one that asked for the page, or the one that was told to die already.
#[btf_tracepoint(function = "mark_victim")]
pub fn mark_victim(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| {
        let (victim, own) = (Thread::new(ctx.arg(0)), Thread::current());
        let Some(target) = ledger::target() else {
            return;
        };
        let process = match TASKS.get_ptr(victim.tgid()) {
            // SAFETY: a live map value; its number is written once.
            Some(task) => unsafe { (*task).process },
            None => 0,
        };
        let mm = victim.mm();
        let mut level = nothing();
        let mut space_id = 0;
        // SAFETY: a live map value.
        let mut target_rss = unsafe { (*target).level_rss };
        if !mm.is_null()
            && let Some(space) = ledger::find(mm)
            // SAFETY: a live map value.
            && unsafe { ledger::scan(mm, space, &mut level) }
        {
            // SAFETY: live map values. What the ledger has of the space may lag while it is alone.
            unsafe {
                space_id = (*space).id;
                target_rss += level.rss() - (*space).level_rss;
            }
        }
        emit::send::<Victim>(kind::VICTIM, true, |record| {
            // SAFETY: `record` is the ring's reserved memory; every field is written.
            unsafe {
                (&raw mut (*record).header).write(emit::header(kind::VICTIM, emit::now()));
                (&raw mut (*record).process).write(process);
                (&raw mut (*record).space).write(space_id);
                (&raw mut (*record).pid).write(victim.visible_pid());
                (&raw mut (*record).asker_pid).write(own.visible_pid());
                (&raw mut (*record).level).write(level);
                (&raw mut (*record).target_rss).write(target_rss);
                victim.comm(&raw mut (*record).comm);
                own.comm(&raw mut (*record).asker_comm);
            }
        });
    })
}
