//! A space's counters changed: whether that concerns its ledger, and bringing it up to date.

use aya_ebpf::Global;
use tracer_common::ledger::{Seen, Space, Split, Target};

use super::{
    lock::{bump, lock, raise, unlock},
    settle::{moved_by, quantum, settle},
    target,
};
use crate::{
    hooks::process::FOLLOWS_CGROUP,
    maps::{CENSUS, SEEN},
    peek::{COUNTS_BY_THREAD, Mm, first, nothing, rss_of_slots},
};

#[unsafe(no_mangle)]
pub static PLAIN_SLACK: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub static UNSEEN_SHIFT: Global<u64> = Global::new(0);

/// Nobody must be told of a change: this CPU has looked at the target's only space, and nothing
/// that it saw has moved since by more than its share. Most changes end here.
///
/// The other CPUs' slots are in their caches, and looking at them costs them as much as us. So a
/// CPU looks only when its own slots have moved by a share of the quantum, or a plain count has
/// moved, since its last look: with `N` CPUs each within `quantum / 4N` of what it saw, they have
/// together moved by half of the quantum at most since any CPU's last look, and a look accepts the
/// other half.
#[inline(always)]
pub fn is_quiet(mm: Mm) -> bool {
    let (Some(target), Some(seen)) = (target(), SEEN.get_ptr_mut(0)) else {
        return false;
    };
    // SAFETY: live map values, the second of this CPU.
    unsafe {
        if (*seen).mm != mm.address() || (*seen).epoch != (*target).epoch {
            return false;
        }
        let moved = rss_of_slots((*seen).slots) - (*seen).own;
        moved <= (*seen).share && -moved <= (*seen).share && mm.plain_rss() == (*seen).plain
    }
}

/// A space's counters changed, and perhaps somebody must be told.
#[inline(always)]
pub fn changed(mm: Mm, space: *mut Space, target: *mut Target) {
    // SAFETY: both are live map values; racy reads only decide whether to look closer, and a
    // peak only grows.
    unsafe {
        let quantum = quantum((*space).peak.rss);
        // Of a cgroup, the anonymous peak is wanted too: nothing may be left out.
        let alone = FOLLOWS_CGROUP.load() == 0
            && (*target).spaces == 1
            && CENSUS.get(0).is_some_and(|running| *running == 0);
        if alone && quantum > 0 {
            let epoch = first(&raw mut (*target).epoch);
            // Another process may have cut the target's and not the space's.
            let segment = (*space).segment.min((*target).segment);
            let plain = mm.plain_rss();
            if COUNTS_BY_THREAD.load() == 0 && plain + PLAIN_SLACK.load() as i64 <= segment {
                // No new peak is possible. What is left is whether the stream must be told.
                if is_within(mm, space, quantum, epoch, plain) {
                    return;
                }
            } else if (*space).level_rss < segment {
                // At its peak it most likely grows on: then this would have to be done twice.
                let mut split = nothing();
                let scanned = scan(mm, space, &mut split);
                let rss = split.rss();
                if scanned && rss <= segment && !moved_by(rss, (*space).streamed, quantum) {
                    return;
                }
            }
        }
    }
    publish(mm, space, target);
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

/// The level is within half of the quantum of what the stream last told: a look, after which this
/// CPU [is quiet](is_quiet).
///
/// # Safety
///
/// A live map value.
#[inline(always)]
unsafe fn is_within(mm: Mm, space: *mut Space, quantum: i64, epoch: u64, plain: i64) -> bool {
    let Some(seen) = SEEN.get_ptr_mut(0) else {
        return false;
    };
    let half = quantum >> 1;
    let slots = mm.own_slots();
    let own = rss_of_slots(slots);
    let mut split = nothing();
    // SAFETY: by the caller; the other value is this CPU's.
    unsafe {
        if !scan(mm, space, &mut split) || moved_by(split.rss(), (*space).streamed, half) {
            return false;
        }
        *seen = Seen {
            mm: mm.address(),
            epoch,
            plain,
            own,
            slots,
            share: half >> UNSEEN_SHIFT.load(),
        };
    }
    true
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
