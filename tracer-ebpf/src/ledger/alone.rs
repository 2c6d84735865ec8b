//! A target of one space: each CPU looks for itself, and writes only for itself.
//!
//! What several CPUs write costs each of them more than all the arithmetic. So while the target has
//! one space, a CPU keeps the highest level that it has seen in a record of its own, and the ledgers
//! get it when somebody asks: at a marker, when a second space joins, when the space ends or the
//! census comes by. The level itself is published when it has moved by half of the quantum.
//!
//! No record is lost, and none comes into a segment that it is not of:
//! - a CPU writes while it is `looking`, and begins only if the epoch is still the one it knows;
//! - whoever asks (`gather`) counts the epoch up by a cut and then waits for those that look: what is
//!   recorded is of before the cut, and is recorded by then;
//! - whoever comes after the cut publishes, under the lock, until all records are taken.
//!
//! Where threads count apart from their space, nothing of this is done.

use core::intrinsics::{AtomicOrdering::SeqCst, atomic_xchg};

use aya_ebpf::Global;
use tracer_common::{
    alone::{Seen, last_cut},
    ledger::{Space, Target},
};

use super::{
    change::is_alone,
    lock::unlock,
    settle::{moved_by, quantum},
    target,
};
use crate::{
    emit,
    maps::{ALONE, SEEN},
    peek::{COUNTS_BY_THREAD, Mm, first, nothing, rss_of_slots},
};

#[unsafe(no_mangle)]
pub static PLAIN_SLACK: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub static UNSEEN_SHIFT: Global<u64> = Global::new(0);

/// Nobody else must be told of a change. Most changes end here.
///
/// The other CPUs' slots are in their caches, and looking at them costs them as much as us. So a
/// CPU looks only when its own slots have moved by a share of the quantum, or a plain count has
/// moved, since its last look: with `N` CPUs each within `quantum / 4N` of what it saw, they have
/// together moved by half of the quantum at most since any CPU's last look, and a look accepts the
/// other half.
#[inline(always)]
pub fn is_quiet(mm: Mm) -> bool {
    if COUNTS_BY_THREAD.load() != 0 {
        return false;
    }
    let Some(seen) = SEEN.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: live map values, the first of this CPU.
    unsafe {
        if (*seen).mm != mm.address() {
            return false;
        }
        let Some(target) = target() else {
            return false;
        };
        if (*seen).epoch != (*target).epoch {
            return false;
        }
        let moved = rss_of_slots((*seen).slots) - (*seen).own;
        let is_still =
            moved <= (*seen).share && -moved <= (*seen).share && mm.plain_rss() == (*seen).plain;
        is_still || look(mm, seen, target)
    }
}

/// Looks at what all CPUs have counted. True if nobody else must be told.
#[inline(never)]
fn look(mm: Mm, seen: *mut Seen, target: *mut Target) -> bool {
    // SAFETY: live map values, the first of this CPU.
    unsafe {
        begin(seen);
        let knows = first(&raw mut (*target).epoch) == (*seen).epoch;
        let is_done = knows && examine(mm, seen, target);
        unlock(&raw mut (*seen).looking);
        is_done
    }
}

/// The CPU learns what it needs of a space that has become the target's only one, or whose ledger
/// has been written since, and looks. True if nobody else must be told.
#[inline(never)]
pub(super) fn enter(mm: Mm, space: *const Space, target: *mut Target) -> bool {
    let Some(seen) = SEEN.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: live map values, the first of this CPU.
    unsafe {
        begin(seen);
        let is_done = learn(mm, space, seen, target) && examine(mm, seen, target);
        unlock(&raw mut (*seen).looking);
        is_done
    }
}

/// From here on what the CPU records is waited for.
///
/// # Safety
///
/// A live map value of this CPU.
#[inline(always)]
unsafe fn begin(seen: *mut Seen) {
    // SAFETY: by the caller. An exchange: the epoch is read after it.
    unsafe { atomic_xchg::<u64, { SeqCst }>(&raw mut (*seen).looking, 1) };
}

/// False if the target has more than one space, or the CPU knew all this.
///
/// # Safety
///
/// Live map values, `seen` of this CPU, which looks.
#[inline(always)]
unsafe fn learn(mm: Mm, space: *const Space, seen: *mut Seen, target: *mut Target) -> bool {
    let Some(alone) = ALONE.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: by the caller.
    unsafe {
        let epoch = first(&raw mut (*target).epoch);
        if (*seen).mm == mm.address() && (*seen).epoch == epoch {
            return false;
        }
        let quantum = quantum((*target).peak.rss);
        if quantum == 0 || !is_alone(target) {
            return false;
        }
        if (*alone).mm != mm.address() {
            atomic_xchg::<u64, { SeqCst }>(&raw mut (*alone).mm, mm.address());
            // Either whoever asks finds it there, or this does not pass.
            if first(&raw mut (*target).epoch) != epoch {
                return false;
            }
        }
        let cut = last_cut(epoch);
        if (*seen).record.cut != cut {
            // Before the segments below: they are of after the cut then.
            if first(&raw mut (*alone).gathered) != cut {
                return false;
            }
            (*seen).record.cut = cut;
            (*seen).record.peak.rss = 0;
        }
        (*seen).mm = mm.address();
        (*seen).epoch = epoch;
        (*seen).slots = mm.own_slots();
        (*seen).streamed = (*space).streamed;
        (*seen).quantum = quantum;
        // Another process may have cut the target's and not the space's.
        let known = (*space).segment.min((*target).segment);
        (*seen).highest = known.max((*seen).record.peak.rss);
        true
    }
}

/// One look: a level above all that is known is recorded.
///
/// # Safety
///
/// Live map values, `seen` of this CPU, which looks.
#[inline(always)]
unsafe fn examine(mm: Mm, seen: *mut Seen, target: *const Target) -> bool {
    let mut split = nothing();
    // SAFETY: by the caller.
    unsafe {
        // Before the scan: what moves meanwhile has moved since.
        let (plain, own) = (mm.plain_rss(), rss_of_slots((*seen).slots));
        (*seen).share = -1;
        if !mm.scan(core::ptr::null(), &mut split) {
            return false;
        }
        let rss = split.rss();
        let quantum = (*seen).quantum;
        if rss > (*seen).highest {
            (*seen).highest = rss;
            let record = &raw mut (*seen).record;
            (*record).peak.rss = rss;
            (*record).peak.at_ns = emit::now();
            (*record).peak.split = split;
            (*record).pagetable_bytes = mm.pagetable_bytes();
            (*record).hugetlb = mm.hugetlb();
            (*record).processes = (*target).processes;
            return !moved_by(rss, (*seen).streamed, quantum);
        }
        let half = quantum >> 1;
        if plain + PLAIN_SLACK.load() as i64 <= (*seen).highest {
            // No new peak is possible until the plain counts move.
            (*seen).plain = plain;
            (*seen).own = own;
            (*seen).share = half >> UNSEEN_SHIFT.load();
        }
        !moved_by(rss, (*seen).streamed, half)
    }
}
