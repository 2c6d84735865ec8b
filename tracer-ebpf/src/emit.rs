//! Writing records to the rings, and counting those that found no room.

use core::intrinsics::{AtomicOrdering::SeqCst, atomic_xadd};

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    maps::{RingBuf, ring_buf::RingBufEntry},
};
use tracer_common::{
    WireSafe,
    ledger::{Space, Split},
    limits::LIFE_RING_BYTES,
    record::{Called, Header, Level, VmChanged, kind},
};

use crate::maps::{CLOSED, LEVELS, LIVES, STATS};

/// Whether the record of this kind went out.
#[inline(always)]
fn count(kind: u32, emitted: bool) {
    let Some(stats) = STATS.get_ptr_mut(0) else {
        return;
    };
    let index = (kind as usize) & (kind::COUNT - 1);
    // SAFETY: a live map value; the index is masked to the array's length, a power of two. Atomic,
    // since a program in a task's own context (a uprobe) may be interrupted by another here.
    unsafe {
        let counter = if emitted {
            &raw mut (*stats).emitted[index]
        } else {
            &raw mut (*stats).lost[index]
        };
        atomic_xadd::<u64, u64, { SeqCst }>(counter, 1);
    }
}

const _: () = assert!(kind::COUNT.is_power_of_two());

#[inline(always)]
fn reserve<T: WireSafe>(ring: &RingBuf, kind: u32) -> Option<RingBufEntry<T>> {
    let entry = ring.reserve::<T>(0);
    if entry.is_none() {
        count(kind, false);
    }
    entry
}

/// Hands a record over. It is counted only here, so that nobody asks twice whether there was room:
/// before Linux 6.2 the verifier forgets the answer.
#[inline(always)]
fn submit<T: WireSafe>(entry: RingBufEntry<T>, kind: u32, flags: u32) {
    entry.submit(u64::from(flags));
    count(kind, true);
}

/// Number of the running CPU.
#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_smp_processor_id() }
}

/// The header of a record made now.
#[inline(always)]
pub fn header(kind: u32, at_ns: u64) -> Header {
    Header {
        kind,
        cpu: cpu(),
        at_ns,
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// Tells a level. The reader looks by itself: a wake-up for each would cost more than the record.
#[inline(always)]
pub fn level(at_ns: u64, space: u32, split: Split, target_rss: i64) {
    if let Some(mut entry) = reserve::<Level>(&LEVELS, kind::LEVEL) {
        entry.write(Level {
            header: header(kind::LEVEL, at_ns),
            space: u64::from(space),
            split,
            target_rss,
        });
        submit(entry, kind::LEVEL, BPF_RB_NO_WAKEUP);
    }
}

/// Tells a call that changed a virtual size. Wakes nobody, as a level.
#[inline(always)]
pub fn vm_changed(space: u32, call: u32, pages: u64, total: u64) {
    if let Some(mut entry) = reserve::<VmChanged>(&LEVELS, kind::VM_CHANGED) {
        entry.write(VmChanged {
            header: header(kind::VM_CHANGED, now()),
            space,
            call,
            pages,
            total,
        });
        submit(entry, kind::VM_CHANGED, BPF_RB_NO_WAKEUP);
    }
}

/// Tells a system call. Wakes nobody either.
#[inline(always)]
pub fn called(call: Called) {
    if let Some(mut entry) = reserve::<Called>(&LEVELS, kind::CALLED) {
        entry.write(call);
        submit(entry, kind::CALLED, BPF_RB_NO_WAKEUP);
    }
}

/// Sends a rare record; `fill` must write every field, since ring memory is not cleared. False if
/// there is no room.
///
/// The reader looks by itself now and then, and is woken only when the ring fills up: a wake-up
/// makes the kernel switch tasks, and what it interrupts may be one of our programs.
#[inline(always)]
pub fn life<T: WireSafe>(kind: u32, fill: impl FnOnce(*mut T)) -> bool {
    send(kind, false, fill)
}

/// The same, and wakes the reader if `is_awaited`.
#[inline(always)]
pub fn send<T: WireSafe>(kind: u32, is_awaited: bool, fill: impl FnOnce(*mut T)) -> bool {
    let Some(mut entry) = reserve::<T>(&LIVES, kind) else {
        return false;
    };
    fill(entry.as_mut_ptr());
    let waiting = LIVES.query(u64::from(BPF_RB_AVAIL_DATA));
    let is_filling = waiting > u64::from(LIFE_RING_BYTES) / 4;
    let wakes = is_filling || is_awaited;
    let flags = if wakes {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    };
    submit(entry, kind, flags);
    true
}

/// Keeps a closed ledger for user space to collect when the ring was full.
#[inline(always)]
pub fn keep_closed(ledger: *const Space) -> bool {
    // SAFETY: `ledger` is a live value of `SPACES`, which only its closer still touches.
    let ledger = unsafe { &*ledger };
    CLOSED.insert(ledger.id, ledger, 0).is_ok()
}
