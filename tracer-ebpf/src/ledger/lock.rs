//! Atomic numbers and locks of the ledgers.

use core::{
    intrinsics::{AtomicOrdering::SeqCst, atomic_cxchg, atomic_xadd, atomic_xchg},
    sync::atomic::{Ordering::Release, compiler_fence},
};

use aya_ebpf::helpers::bpf_loop;

use crate::peek::IN_ORDER;

/// Tries to raise a number.
const RAISES: u32 = 4;

/// Tries to get a lock: some eight hundred microseconds. The section behind it takes a tenth of one;
/// whoever waits longer waits for a virtual CPU that does not run. That can take for ever, but mostly
/// it is back within a time slice, and a level that was not published stays old until the next event.
const SPINS: u32 = 16_384;

const FREE: u64 = 0;
pub(super) const HELD: u64 = 1;

#[inline(always)]
pub(super) unsafe fn compare_exchange(word: *mut u64, old: u64, new: u64) -> bool {
    // SAFETY: by the caller, `word` is an aligned word of a live map value.
    unsafe { atomic_cxchg::<u64, { SeqCst }, { SeqCst }>(word, old, new) }.1
}

#[cfg(not(mutant = "target-unlocked"))]
#[inline(always)]
pub(super) unsafe fn add(word: *mut i64, amount: i64) -> i64 {
    // SAFETY: as in `compare_exchange`.
    let before = unsafe { atomic_xadd::<u64, u64, { SeqCst }>(word.cast(), amount as u64) } as i64;
    before + amount
}

/// Adds what is not nothing: an event moves one class, and an atomic addition costs as much as all
/// that is around it.
#[inline(always)]
pub(super) unsafe fn add_some(word: *mut i64, amount: i64) {
    if amount != 0 {
        // SAFETY: by the caller, as in `add`.
        unsafe { add(word, amount) };
    }
}

/// Adds to a counter of the target or of a space.
///
/// # Safety
///
/// `word` is an aligned word of a live map value.
#[inline(always)]
pub unsafe fn bump(word: *mut u64, amount: u64) -> u64 {
    // SAFETY: by the caller.
    unsafe { atomic_xadd::<u64, u64, { SeqCst }>(word, amount) }.wrapping_add(amount)
}

/// Raises `word` to `value` if it is lower. Another CPU wins a round at most once for each value
/// that it raises, so a few rounds settle it.
///
/// # Safety
///
/// As for [`bump`].
#[inline(always)]
pub unsafe fn raise(word: *mut i64, value: i64) {
    let mut tries = 0;
    while tries < RAISES {
        // SAFETY: as in `compare_exchange`.
        unsafe {
            let now = core::ptr::read_volatile(word);
            if now >= value || compare_exchange(word.cast(), now as u64, value as u64) {
                return;
            }
        }
        tries += 1;
    }
}

/// A known wrong way, see [`crate::mutants`].
#[cfg(mutant = "target-unlocked")]
#[inline(always)]
pub(super) unsafe fn add(word: *mut i64, amount: i64) -> i64 {
    // SAFETY: as in `compare_exchange`.
    unsafe {
        let sum = core::ptr::read_volatile(word) + amount;
        core::ptr::write_volatile(word, sum);
        sum
    }
}

/// A known wrong way, see [`crate::mutants`].
#[cfg(mutant = "target-unlocked")]
#[inline(always)]
pub(super) unsafe fn lock(_word: *mut u64) -> bool {
    true
}

/// Takes a lock, or gives up after [`SPINS`] tries.
#[cfg(not(mutant = "target-unlocked"))]
#[inline(always)]
pub(super) unsafe fn lock(word: *mut u64) -> bool {
    // SAFETY: as in `compare_exchange`.
    if unsafe { compare_exchange(word, FREE, HELD) } {
        return true;
    }
    let mut wait = Wait { word };
    // By how many turns it took, and not by a word that the last one writes: for the verifier that
    // is one state and not three.
    // SAFETY: the function has the form that the helper asks for, and gets what it expects.
    let turns = unsafe { bpf_loop(SPINS, try_lock as *mut _, (&raw mut wait).cast(), 0) };
    turns < i64::from(SPINS)
}

/// Lets a lock go.
#[inline(always)]
pub(super) unsafe fn unlock(word: *mut u64) {
    // SAFETY: as in `compare_exchange`.
    unsafe {
        if IN_ORDER.load() != 0 {
            // A store comes after all that was written and read before it.
            compiler_fence(Release);
            core::ptr::write_volatile(word, FREE);
        } else {
            atomic_xchg::<u64, { SeqCst }>(word, FREE);
        }
    }
}

/// A CPU that waits for a lock.
#[cfg(not(mutant = "target-unlocked"))]
#[repr(C)]
struct Wait {
    word: *mut u64,
}

/// One try, but in the last turn, which says that there was none. By the kernel's loop helper, so
/// that the verifier looks at it once and not at each turn: a run starts in a tenth of the time.
#[cfg(not(mutant = "target-unlocked"))]
#[inline(never)]
extern "C" fn try_lock(turn: u64, wait: *mut Wait) -> u64 {
    // SAFETY: `lock` hands over its own place, and a word as in `compare_exchange`.
    let taken =
        turn + 1 < u64::from(SPINS) && unsafe { compare_exchange((*wait).word, FREE, HELD) };
    u64::from(taken)
}
