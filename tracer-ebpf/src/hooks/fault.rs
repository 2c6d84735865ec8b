//! How long page faults of the target take: only on request, since the kernel then runs these
//! programs at every fault of every process.
//!
//! A fault is what the kernel itself counts as one (`mm_account_fault`, memory.c): it lasts from
//! the first call of `handle_mm_fault` to the end of the one that completes it. A call that gives
//! up to be made again (`VM_FAULT_RETRY`: it has slept, or wants another lock) is a part of it, and
//! so is the time in between. What ends in a signal is counted neither here nor by the kernel.
//!
//! The kernel may preempt these programs, and skips one on a CPU where another task stands still in
//! it (`__bpf_prog_enter_recur`, trampoline.c): so each has a second one, which does what the first
//! did not. What both miss shows in the thread's own count of faults, which has gone ahead of ours.

use core::intrinsics::{AtomicOrdering::SeqCst, atomic_xadd};

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, fexit},
    programs::{BtfTracePointContext, FEntryContext, FExitContext},
};
use tracer_common::latency::{LastFault, bucket};

use crate::{
    emit, ledger,
    maps::{FAULT_BUCKETS, FAULT_SUMS, LAST_FAULTS},
    peek::Thread,
    preempt,
};

/// `handle_mm_fault(vma, address, flags, regs)` (memory.c). It never runs in itself: what it calls
/// may not fault on user memory while the lock of that memory is held.
#[fentry(function = "handle_mm_fault")]
pub fn fault_began(ctx: FEntryContext) -> u32 {
    preempt::in_task(|| began(ctx.arg(1)))
}

#[fentry(function = "handle_mm_fault")]
pub fn fault_began_again(ctx: FEntryContext) -> u32 {
    preempt::in_task(|| began(ctx.arg(1)))
}

/// The end of that call.
#[fexit(function = "handle_mm_fault")]
pub fn fault_ended(ctx: FExitContext) -> u32 {
    preempt::in_task(|| ended(ctx.arg(1)))
}

#[fexit(function = "handle_mm_fault")]
pub fn fault_ended_again(ctx: FExitContext) -> u32 {
    preempt::in_task(|| ended(ctx.arg(1)))
}

#[inline(always)]
fn began(address: u64) {
    let own = Thread::current();
    if ledger::find(own.mm()).is_none() {
        return;
    }
    let counted = own.counted_faults();
    if let Some(last) = LAST_FAULTS.get_ptr_mut(own.address()) {
        // SAFETY: a live map value of the running thread, which alone writes it.
        unsafe {
            if (*last).began_ns != 0 && ((*last).address, (*last).counted) == (address, counted) {
                // The same again.
                return;
            }
            lose(counted - (*last).counted);
            (*last).address = address;
            (*last).counted = counted;
            (*last).began_ns = emit::now();
        }
    } else {
        let fault = LastFault {
            began_ns: emit::now(),
            address,
            counted,
        };
        // Without room its end will say so.
        let _ = LAST_FAULTS.insert(own.address(), fault, 0);
    }
}

#[inline(always)]
fn ended(address: u64) {
    let now = emit::now();
    let own = Thread::current();
    if ledger::find(own.mm()).is_none() {
        return;
    }
    let counted = own.counted_faults();
    let Some(last) = LAST_FAULTS.get_ptr_mut(own.address()) else {
        lose(1);
        let fault = LastFault {
            began_ns: 0,
            address,
            counted,
        };
        let _ = LAST_FAULTS.insert(own.address(), fault, 0);
        return;
    };
    // SAFETY: a live map value of the running thread, which alone writes it.
    unsafe {
        let more = counted - (*last).counted;
        if more == 0 {
            // It gives up, to be made again or with a signal; or this has been seen.
            return;
        }
        if (*last).began_ns != 0 && (*last).address == address {
            count(now - (*last).began_ns);
            lose(more - 1);
        } else {
            lose(more);
        }
        (*last).began_ns = 0;
        (*last).counted = counted;
    }
}

/// Counts a fault that took so long.
#[inline(always)]
fn count(took_ns: u64) {
    // SAFETY: live map values of this CPU. Atomic where a sum would be wrong for good, since a
    // program may be interrupted by its second one here on kernels that cannot prevent that.
    unsafe {
        if let Some(faults) = FAULT_BUCKETS.get_ptr_mut(bucket(took_ns)) {
            atomic_xadd::<u64, u64, { SeqCst }>(faults, 1);
        }
        if let Some(sums) = FAULT_SUMS.get_ptr_mut(0) {
            if (*sums).least_ns == 0 || took_ns < (*sums).least_ns {
                (*sums).least_ns = took_ns;
            }
            if took_ns > (*sums).greatest_ns {
                (*sums).greatest_ns = took_ns;
            }
        }
    }
}

/// The kernel has counted faults whose begin or end was not seen.
#[inline(always)]
fn lose(faults: u64) {
    if faults != 0
        && let Some(sums) = FAULT_SUMS.get_ptr_mut(0)
    {
        // SAFETY: a live map value.
        unsafe { atomic_xadd::<u64, u64, { SeqCst }>(&raw mut (*sums).lost, faults) };
    }
}

/// `delayed_put_task_struct` (exit.c): a thread is gone, and its address may be another's.
#[btf_tracepoint(function = "sched_process_free")]
pub fn fault_forgotten(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| {
        let thread = Thread::new(ctx.arg(0));
        if let Some(last) = LAST_FAULTS.get_ptr(thread.address()) {
            // SAFETY: a live map value that nobody writes any more.
            lose(thread.counted_faults() - unsafe { (*last).counted });
            let _ = LAST_FAULTS.remove(thread.address());
        }
    })
}
