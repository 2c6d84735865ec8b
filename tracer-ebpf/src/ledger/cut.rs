//! Markers cut the segments of their space and of the target.

use core::intrinsics::{AtomicOrdering::SeqCst, atomic_xchg};

use tracer_common::{
    ledger::{Space, Target},
    record::Marked,
};

use super::{
    change::{is_of, scan},
    gather,
    lock::{bump, lock, unlock},
    settle::settle,
};
use crate::peek::{Mm, nothing};

/// Ends the segments of a space and of the target, and begins new ones at their levels. Both in
/// one step, under the space's lock and the target's within it: the order of the cuts is one for
/// all.
#[inline(never)]
pub fn cut(mm: Mm, space: *mut Space, target: *mut Target, into: *mut Marked) {
    let mut split = nothing();
    // SAFETY: live map values; `into` is the ring's reserved memory.
    unsafe {
        let word = &raw mut (*space).lock;
        let locked = lock(word);
        let gathered = gather::stop_and_gather(space, target, locked);
        let scanned = is_of(space, mm) && scan(mm, space, &mut split);
        if locked && scanned {
            settle(mm, space, target, &split);
        }
        let level = (*space).level;
        let late = atomic_xchg::<u64, { SeqCst }>((&raw mut (*space).late_segment).cast(), 0);
        let highest = (*space).segment.max(late as i64);
        if cfg!(not(mutant = "segment-not-reset")) {
            (*space).segment = (*space).level_rss;
        }
        cut_totals(target, into, locked && gathered && scanned);
        gather::resume();
        (&raw mut (*into).level).write(level);
        (&raw mut (*into).segment).write(highest);
        if locked {
            unlock(word);
        }
    }
}

/// Ends the target's segment alone, and begins a new one at its level. For `is_exact` see
/// [`cut_totals`].
///
/// # Safety
///
/// A live map value; `into` is the ring's reserved memory.
#[inline(never)]
pub unsafe fn cut_target(target: *mut Target, into: *mut Marked, is_exact: bool) {
    // SAFETY: by the caller.
    unsafe {
        let Some(only) = gather::only_space() else {
            cut_totals(target, into, is_exact);
            if gather::only_space().is_some() {
                // It began to be one meanwhile: a record may be of before and after.
                (&raw mut (*into).is_exact).write(0);
            }
            return;
        };
        let word = &raw mut (*only).lock;
        let locked = lock(word);
        let gathered = gather::stop_and_gather(only, target, locked);
        cut_totals(target, into, is_exact && locked && gathered);
        gather::resume();
        if locked {
            unlock(word);
        }
    }
}

/// The target's part of a cut, which is exact if the rest `is_exact` and the target's lock was to be
/// had. Gives nothing back: the verifier follows each answer apart.
///
/// # Safety
///
/// A live map value; `into` is the ring's reserved memory.
#[inline(never)]
unsafe fn cut_totals(target: *mut Target, into: *mut Marked, is_exact: bool) {
    // SAFETY: by the caller.
    unsafe {
        let word = &raw mut (*target).lock;
        let locked = lock(word);
        let late = atomic_xchg::<u64, { SeqCst }>((&raw mut (*target).late_segment).cast(), 0);
        let highest = (*target).segment.max(late as i64);
        let level = (*target).level_rss;
        (*target).segment = level;
        (&raw mut (*into).order).write(bump(&raw mut (*target).marks, 1));
        (&raw mut (*into).target_rss).write(level);
        (&raw mut (*into).target_segment).write(highest);
        (&raw mut (*into).is_exact).write(u32::from(is_exact && locked));
        if locked {
            unlock(word);
        }
    }
}
