//! Reading in order. Some processors (arm64) carry out reads in another order than that of the
//! program, unless one needs the other's result for its address; the kernel's `smp_rmb` is no
//! instruction of BPF, and an atomic addition in its place would cost as much as the whole scan.

use super::layout::IN_ORDER;

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
