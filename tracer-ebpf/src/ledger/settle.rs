//! Writing a scan into the ledgers of its space and of the target.

use aya_ebpf::Global;
use tracer_common::{
    ledger::{Peak, Space, Split, Target},
    limits::QUANTUM_SHIFT,
};

use super::lock::{add, add_some, bump, lock, raise, unlock};
use crate::{emit, hooks::process::FOLLOWS_CGROUP, peek::Mm};

#[unsafe(no_mangle)]
pub static QUANTUM: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub static QUANTUM_GROWS: Global<u64> = Global::new(0);

/// The least movement of a level that the stream tells, given the peak so far, pages.
#[inline(always)]
pub(super) fn quantum(peak: i64) -> i64 {
    let fixed = QUANTUM.load() as i64;
    if QUANTUM_GROWS.load() != 0 && peak >> QUANTUM_SHIFT > fixed {
        peak >> QUANTUM_SHIFT
    } else {
        fixed
    }
}

/// Writes a scan into the ledgers.
///
/// # Safety
///
/// Live map values, the space's lock held.
#[inline(always)]
pub(super) unsafe fn settle(mm: Mm, space: *mut Space, target: *mut Target, split: &Split) {
    let rss = split.rss();
    // SAFETY: by the caller.
    unsafe {
        let moved_rss = rss - (*space).level_rss;
        let record = rss > (*space).peak.rss;
        if rss > (*space).segment {
            (*space).segment = rss;
        }
        // One clock for both peaks, and none where there is neither.
        let at_ns = if record || (*target).level_rss + moved_rss > (*target).peak.rss {
            emit::now()
        } else {
            0
        };
        if record {
            (*space).peak = Peak {
                rss,
                at_ns,
                split: *split,
            };
            (*space).peak_pagetable_bytes = mm.pagetable_bytes();
            (*space).peak_hugetlb = mm.hugetlb();
        }
        let known = (*space).level;
        let moved = split.minus(&known);
        (*space).level = *split;
        (*space).level_rss = rss;
        let target_rss = total(target, &moved, at_ns);
        let quantum = quantum((*target).peak.rss);
        // A look that found half of it gone comes here to tell.
        let quantum = if (*target).spaces == 1 {
            quantum >> 1
        } else {
            quantum
        };
        if moved_by(rss, (*space).streamed, quantum)
            || moved_by(target_rss, (*target).streamed, quantum)
        {
            (*space).streamed = rss;
            (*target).streamed = target_rss;
            bump(&raw mut (*target).epoch, 1);
            let at_ns = if at_ns == 0 { emit::now() } else { at_ns };
            emit::level(at_ns, (*space).id, *split, target_rss);
        }
    }
}

#[inline(always)]
pub(super) fn moved_by(level: i64, streamed: i64, quantum: i64) -> bool {
    let moved = (level - streamed).abs();
    moved != 0 && moved >= quantum
}

/// Adds a space's difference to the target's total, and gives the total. `at_ns` is now, or 0 if
/// nobody has looked at the clock.
///
/// # Safety
///
/// A live map value.
#[inline(never)]
pub(super) unsafe fn total(target: *mut Target, moved: &Split, at_ns: u64) -> i64 {
    // SAFETY: by the caller; classes and peak are written under the target's lock or atomically.
    unsafe {
        let word = &raw mut (*target).lock;
        let locked = lock(word);
        let level = add(&raw mut (*target).level_rss, moved.rss());
        add_some(&raw mut (*target).level.file, moved.file);
        add_some(&raw mut (*target).level.anon, moved.anon);
        add_some(&raw mut (*target).level.shmem, moved.shmem);
        add_some(&raw mut (*target).level.swap, moved.swap);
        if FOLLOWS_CGROUP.load() != 0 && locked && (*target).level.anon > (*target).anon_peak {
            (*target).anon_peak = (*target).level.anon;
            (*target).anon_peak_ns = if at_ns == 0 { emit::now() } else { at_ns };
        }
        if level > (*target).segment {
            if locked {
                (*target).segment = level;
            } else {
                raise(&raw mut (*target).late_segment, level);
            }
        }
        if level > (*target).peak.rss {
            if locked {
                (*target).peak = Peak {
                    rss: level,
                    at_ns: if at_ns == 0 { emit::now() } else { at_ns },
                    split: (*target).level,
                };
                (*target).peak_processes = (*target).processes;
                (*target).peak_spaces = (*target).spaces;
            } else {
                raise(&raw mut (*target).late_rss, level);
            }
        }
        if locked {
            unlock(word);
        }
        level
    }
}
