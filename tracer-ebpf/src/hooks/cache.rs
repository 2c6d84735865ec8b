//! Pages that threads count apart from their space (`task->rss_stat`, before Linux 6.2): a thread's
//! own faults go there without an event (`add_mm_counter_fast`, memory.c), and now and then it
//! hands them over to the space's counters (`sync_mm_rss`), with an event for each class.
//!
//! Only the running thread writes its cache, so that the difference to what was last seen of it is
//! known at the end of each fault. What it is about to hand over leaves the sum before the kernel
//! adds it to the counters: nothing is ever counted twice, and a scan in between is not accepted
//! (`peek/scan.rs`).

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{
    hooks::rss,
    ledger,
    peek::{Mm, Thread},
    preempt,
};

/// `handle_mm_fault` (memory.c). Faults of others on this space, `get_user_pages` and the like, go
/// to the counters themselves, with an event.
#[fexit(function = "handle_mm_fault")]
pub fn fault_cached(_ctx: FExitContext) -> u32 {
    preempt::in_task(|| {
        let thread = Thread::current();
        let mm = thread.mm();
        if let Some(space) = ledger::find(mm)
            && ledger::note_cache(thread, space)
        {
            rss::changed(mm, space);
        }
    })
}

/// `sync_mm_rss` (memory.c).
#[fentry(function = "sync_mm_rss")]
pub fn sync_began(ctx: FEntryContext) -> u32 {
    preempt::in_task(|| {
        if let Some(space) = ledger::find(Mm::new(ctx.arg(0))) {
            ledger::begin_sync(Thread::current(), space);
        }
    })
}

/// Its end: the thread's cache is empty.
#[fexit(function = "sync_mm_rss")]
pub fn sync_ended(ctx: FExitContext) -> u32 {
    preempt::in_task(|| {
        let mm = Mm::new(ctx.arg(0));
        if let Some(space) = ledger::find(mm)
            && ledger::end_sync(Thread::current(), space)
        {
            rss::changed(mm, space);
        }
    })
}
