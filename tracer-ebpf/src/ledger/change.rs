//! A space's counters changed: whether that concerns its ledger, and bringing it up to date.

use tracer_common::ledger::{Space, Split, Target};

use super::{
    alone,
    lock::{bump, lock, raise, unlock},
    settle::{moved_by, quantum, settle},
};
use crate::{
    hooks::process::FOLLOWS_CGROUP,
    maps::CENSUS,
    peek::{COUNTS_BY_THREAD, Mm, nothing},
};

/// A space's counters changed, and perhaps somebody else must be told.
#[inline(always)]
pub fn changed(mm: Mm, space: *mut Space, target: *mut Target) {
    let is_done = if COUNTS_BY_THREAD.load() == 0 {
        alone::enter(mm, space, target)
    } else {
        is_within(mm, space, target)
    };
    if !is_done {
        publish(mm, space, target);
    }
}

/// Where threads count apart from their space: whether a change concerns no peak, and the stream not
/// either.
#[inline(always)]
fn is_within(mm: Mm, space: *const Space, target: *const Target) -> bool {
    // SAFETY: both are live map values; racy reads only decide whether to look closer, and a
    // peak only grows.
    unsafe {
        let quantum = quantum((*target).peak.rss);
        // Another process may have cut the target's and not the space's.
        let segment = (*space).segment.min((*target).segment);
        // At its peak it most likely grows on: then this would have to be done twice.
        if quantum == 0 || (*space).level_rss >= segment || !is_alone(target) {
            return false;
        }
        let mut split = nothing();
        scan(mm, space, &mut split)
            && split.rss() <= segment
            && !moved_by(split.rss(), (*space).streamed, quantum)
    }
}

/// Nobody adds to the target's total but its only space.
///
/// # Safety
///
/// A live map value.
#[inline(always)]
pub(super) unsafe fn is_alone(target: *const Target) -> bool {
    // Of a cgroup, the anonymous peak is wanted too: nothing may be left out.
    // SAFETY: by the caller.
    FOLLOWS_CGROUP.load() == 0
        && unsafe { (*target).spaces == 1 }
        && CENSUS.get(0).is_some_and(|running| *running == 0)
}

/// The true totals of a space's counters: [`Mm::scan`].
///
/// # Safety
///
/// A live map value.
#[inline(always)]
pub unsafe fn scan(mm: Mm, space: *const Space, to: &mut Split) -> bool {
    // SAFETY: by the caller.
    mm.scan(unsafe { &raw const (*space).cached }, to)
}

/// Brings the ledgers of a space and of the target up to date.
#[inline(never)]
pub fn publish(mm: Mm, space: *mut Space, target: *mut Target) {
    let mut split = nothing();
    // SAFETY: both are live map values; fields other than atomics are written under the lock.
    unsafe {
        let word = &raw mut (*space).lock;
        let locked = lock(word);
        if !is_of(space, mm) {
            // It left the target while this CPU waited, and its place may be another's.
        } else if !scan(mm, space, &mut split) {
            unscanned(space, target, mm.at_most(&raw const (*space).cached));
        } else if locked {
            settle(mm, space, target, &split);
        } else {
            late(space, target, split.rss());
        }
        if locked {
            unlock(word);
        }
    }
}

/// The ledger is this space's and open.
///
/// # Safety
///
/// A live map value.
#[inline(always)]
pub(super) unsafe fn is_of(space: *const Space, mm: Mm) -> bool {
    // SAFETY: by the caller.
    unsafe { (*space).mm == mm.address() && (*space).closed_ns == 0 }
}

/// The lock was not to be had: the highest level is kept all the same.
///
/// # Safety
///
/// Live map values.
#[inline(always)]
pub(super) unsafe fn late(space: *mut Space, target: *mut Target, rss: i64) {
    // SAFETY: by the caller; everything written here is atomic.
    unsafe {
        bump(&raw mut (*space).late, 1);
        if rss > (*space).segment {
            raise(&raw mut (*space).late_segment, rss);
        }
        if rss > (*space).peak.rss {
            raise(&raw mut (*space).late_rss, rss);
        }
        if (*target).spaces == 1 {
            if rss > (*target).peak.rss {
                raise(&raw mut (*target).late_rss, rss);
            }
            if rss > (*target).segment {
                raise(&raw mut (*target).late_segment, rss);
            }
        } else {
            bump(&raw mut (*target).guesses, 1);
            let total = (*target).level_rss + rss - (*space).level_rss;
            if total > (*target).peak.rss {
                raise(&raw mut (*target).guess_rss, total);
            }
        }
    }
}

/// No scan was accepted: what the space can have had at most is kept, so that user space can tell
/// whether a peak was missed.
///
/// # Safety
///
/// Live map values.
#[inline(always)]
pub(super) unsafe fn unscanned(space: *mut Space, target: *mut Target, most: i64) {
    // SAFETY: by the caller; everything written here is atomic.
    unsafe {
        bump(&raw mut (*space).unscanned, 1);
        raise(&raw mut (*space).unscanned_most, most);
        let others = (*target).level_rss - (*space).level_rss;
        raise(
            &raw mut (*target).unscanned_most,
            if (*target).spaces == 1 {
                most
            } else {
                others + most
            },
        );
    }
}
