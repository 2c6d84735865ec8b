//! Changes of resident memory, and the end of an address space.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::ledger::Space;

use crate::{ledger, peek::Mm, preempt};

/// `mm_trace_rss_stat` (mm.h): after every change of a counter, in whatever context it happens.
/// Attribution is by the space that changed, never by the running task.
#[btf_tracepoint(function = "rss_stat")]
pub fn rss_stat(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| {
        let mm = Mm::new(ctx.arg(0));
        #[cfg(any(mutant = "attribute-by-current", mutant = "exit-decrements-dropped"))]
        if crate::mutants::ignores(mm) {
            return;
        }
        if ledger::is_quiet(mm) {
            preempt::looks();
        } else if let Some(space) = ledger::find(mm)
            && !ledger::is_syncing(space)
        {
            changed(mm, space);
            preempt::looks();
        }
    })
}

#[inline(always)]
pub fn changed(mm: Mm, space: *mut Space) {
    if let Some(target) = ledger::target() {
        ledger::changed(mm, space, target);
    }
}

/// `exit_mmap` (mmap.c): all of the space's pages are gone; no event of it can follow.
#[btf_tracepoint(function = "exit_mmap")]
pub fn exit_mmap(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| ended(Mm::new(ctx.arg(0))))
}

/// A space is empty for good.
#[inline(always)]
pub fn ended(mm: Mm) {
    if let Some(space) = ledger::find(mm) {
        ledger::close(mm, space);
    }
}
