//! Reading in order. Some processors (arm64) carry out reads in another order than that of the
//! program, unless one needs the other's result for its address; the kernel's `smp_rmb` is no
//! instruction of BPF, and an atomic addition in its place would cost as much as the whole scan.

use core::{
    intrinsics::{AtomicOrdering::SeqCst, atomic_xadd},
    ptr::read_volatile,
};

use super::layout::IN_ORDER;

/// Reads a word before all that is read after it, by an atomic addition of nothing where that takes
/// one: for what is read seldom.
///
/// # Safety
///
/// `word` is an aligned word of a live map value.
#[inline(always)]
pub unsafe fn first(word: *mut u64) -> u64 {
    // SAFETY: by the caller; volatile, because other CPUs write here.
    unsafe {
        if IN_ORDER.load() != 0 {
            read_volatile(word)
        } else {
            atomic_xadd::<u64, u64, { SeqCst }>(word, 0)
        }
    }
}

/// `pointer`, which can be read through only once `value` is there: nothing is added to it, but what
/// is added is made from `value` (Arm ARM, B2.3: an address dependency orders two reads).
#[inline(always)]
pub(super) fn after(value: u64, pointer: *const u8) -> *const u8 {
    if IN_ORDER.load() != 0 {
        return pointer;
    }
    let later: u64;
    // SAFETY: sets registers. The verifier knows that nothing is added; compiler and kernel keep the
    // instructions as they are.
    unsafe {
        core::arch::asm!(
            "{value} &= 0",
            "{pointer} += {value}",
            value = inout(reg) value => _,
            pointer = inout(reg) pointer as u64 => later,
            options(pure, nomem, nostack),
        );
    }
    later as *const u8
}
