//! Taking in what CPUs have recorded for themselves of the target's only space: see `alone`.

use core::ptr::read_volatile;

use aya_ebpf::helpers::{bpf_loop, bpf_map_lookup_percpu_elem};
use tracer_common::{
    alone::{Alone, CUT, Record, Seen, last_cut},
    ledger::{Peak, Space, Target},
};

use super::{
    lock::{bump, lock, raise, unlock},
    mask::Mask,
};
use crate::{
    maps::{ALONE, SEEN, SPACES},
    peek::{CPUS, first},
};

/// Turns in which the records of all CPUs are taken: some tens of milliseconds. A look takes a tenth of
/// a microsecond; longer it takes only on a virtual CPU that does not run.
const TURNS: u32 = 1 << 20;

const PEAK_WORDS: usize = size_of::<Peak>() / size_of::<i64>();

/// The ledger of the space that CPUs may have records of.
#[inline(always)]
pub(super) fn only_space() -> Option<*mut Space> {
    let alone = ALONE.get_ptr(0)?;
    // SAFETY: a live map value.
    let mm = unsafe { read_volatile(&raw const (*alone).mm) };
    if mm == 0 {
        return None;
    }
    SPACES.get_ptr_mut(mm)
}

/// CPUs may record again, once all that have stopped them say so.
#[inline(always)]
pub(super) fn resume() {
    if let Some(alone) = ALONE.get_ptr_mut(0) {
        // SAFETY: a live map value. Atomic: it is seen after all that was written before.
        unsafe { bump(&raw mut (*alone).gathered, CUT) };
    }
}

/// Takes the CPUs' records of the target's only space into the ledgers, whichever that is. A function
/// of its own: before Linux 6.13 all that call each other have 512 bytes of stack together.
#[inline(never)]
pub fn collect(target: *mut Target) {
    let Some(space) = only_space() else { return };
    // SAFETY: live map values.
    unsafe {
        let word = &raw mut (*space).lock;
        let locked = lock(word);
        take_in(space, target, locked);
        if locked {
            unlock(word);
        }
    }
}

/// Takes the CPUs' records of a space into the ledgers, and lets them go on. For `locked` see
/// [`gather`].
///
/// # Safety
///
/// Live map values.
#[inline(always)]
pub(super) unsafe fn take_in(space: *mut Space, target: *mut Target, locked: bool) {
    // SAFETY: by the caller.
    unsafe {
        stop_and_gather(space, target, locked);
        resume();
    }
}

/// Lets no CPU record any more, until [`resume`], and takes the records of a space. True if none can
/// be missing. For `locked` see [`gather`].
///
/// # Safety
///
/// Live map values.
#[inline(always)]
pub(super) unsafe fn stop_and_gather(space: *mut Space, target: *mut Target, locked: bool) -> bool {
    // SAFETY: by the caller.
    unsafe {
        let cut = last_cut(bump(&raw mut (*target).epoch, CUT));
        let unscanned = (*space).unscanned;
        gather(space, target, cut, locked);
        (*space).unscanned == unscanned
    }
}

/// Takes what the CPUs have recorded of a space up to a cut, under its lock, which is `locked` if it
/// was to be had. Where one may be missing, the space's `unscanned` says so.
///
/// # Safety
///
/// Live map values.
#[inline(never)]
unsafe fn gather(space: *mut Space, target: *mut Target, cut: u64, locked: bool) {
    let Some(alone) = ALONE.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: by the caller; the loop's function has the form that the helper asks for, and gets
    // what it expects.
    unsafe {
        if (*alone).mm != (*space).mm || cfg!(mutant = "records-not-gathered") {
            return;
        }
        let mut left = CPUS.load();
        let word = &raw mut (*target).lock;
        let is_locked = lock(word);
        if locked && is_locked {
            (*alone).cut = cut;
            (*alone).left = left;
            let mut gathering = Gathering {
                alone,
                space,
                target,
            };
            bpf_loop(TURNS, take as *mut _, (&raw mut gathering).cast(), 0);
            left = read_volatile(&raw const (*alone).left);
        }
        if is_locked {
            unlock(word);
        }
        if left != 0 {
            bump(&raw mut (*space).unscanned, 1);
            // No space has more resident than it has mapped.
            let most = (*space).vm.peak as i64;
            raise(&raw mut (*space).unscanned_most, most);
            raise(&raw mut (*target).unscanned_most, most);
        }
    }
}

/// What [`gather`] needs in each turn.
#[repr(C)]
struct Gathering {
    alone: *mut Alone,
    space: *mut Space,
    target: *mut Target,
}

/// Takes what the next CPU has recorded, or waits for it. By the kernel's loop helper, and with its
/// place in a map: the verifier looks at it once and not at each turn.
#[inline(never)]
extern "C" fn take(_turn: u64, gathering: *mut Gathering) -> u64 {
    static FIRST: u32 = 0;
    // SAFETY: `gather` hands over its own place, in it live map values, and holds their locks. A map
    // and a key of its type; the kernel checks the CPU's number.
    unsafe {
        let Gathering {
            alone,
            space,
            target,
        } = *gathering;
        let seen: *mut Seen = bpf_map_lookup_percpu_elem(
            (&raw const SEEN).cast_mut().cast(),
            (&raw const FIRST).cast(),
            ((*alone).left - 1) as u32,
        )
        .cast();
        if seen.is_null() {
            return 1;
        }
        if first(&raw mut (*seen).looking) != 0 {
            return 0;
        }
        (*alone).left -= 1;
        let record = &raw const (*seen).record;
        let of_cut = (*record).cut.wrapping_add(CUT).wrapping_sub((*alone).cut);
        let is_of_cut = Mask::of_zero(of_cut as i64);
        merge(record, is_of_cut, space, target);
        u64::from((*alone).left == 0)
    }
}

/// Takes a record into the ledgers where the mask is set. Without branches, each of which would double
/// the verifier's paths.
///
/// # Safety
///
/// Live map values, whose locks are held.
#[inline(always)]
unsafe fn merge(record: *const Record, of_cut: Mask, space: *mut Space, target: *mut Target) {
    // SAFETY: by the caller. Both peaks and what follows them are whole aligned words, in the order of
    // the record's.
    unsafe {
        let (rss, at_ns) = ((*record).peak.rss, (*record).peak.at_ns);
        let is_higher = |known: i64| Mask::of_negative(known - rss).and(of_cut);
        (*space).segment = is_higher((*space).segment).choose(rss, (*space).segment);
        (*target).segment = is_higher((*target).segment).choose(rss, (*target).segment);
        // Higher, or as high and earlier.
        let is_above = |known: *const Peak| {
            let is_earlier = Mask::of_negative(at_ns as i64 - (*known).at_ns as i64);
            let as_high = Mask::of_zero(rss - (*known).rss).and(is_earlier);
            is_higher((*known).rss).or(as_high.and(of_cut))
        };
        let from = (&raw const (*record).peak).cast();
        let to = &raw mut (*space).peak;
        is_above(to).copy::<{ PEAK_WORDS + 2 }>(from, to.cast());
        let to = &raw mut (*target).peak;
        let higher = is_above(to);
        higher.copy::<PEAK_WORDS>(from, to.cast());
        (*target).peak_processes =
            higher.choose((*record).processes as i64, (*target).peak_processes as i64) as u64;
        (*target).peak_spaces = higher.choose(1, (*target).peak_spaces as i64) as u64;
    }
}
