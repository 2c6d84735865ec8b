//! Choosing without branches, each of which would double the verifier's paths.

use core::ptr::{read_volatile, write_volatile};

/// All bits, or none.
#[derive(Clone, Copy)]
pub(super) struct Mask(i64);

impl Mask {
    /// Not in a way that the compiler sees through: it would make branches of it.
    #[inline(always)]
    pub(super) fn of_negative(mut number: i64) -> Self {
        // SAFETY: sets a register.
        unsafe {
            core::arch::asm!(
                "{number} s>>= 63",
                number = inout(reg) number,
                options(pure, nomem, nostack),
            );
        }
        Self(number)
    }

    #[inline(always)]
    pub(super) fn of_zero(number: i64) -> Self {
        Self(!Self::of_negative(number | number.wrapping_neg()).0)
    }

    #[inline(always)]
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[inline(always)]
    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline(always)]
    pub(super) fn choose(self, set: i64, unset: i64) -> i64 {
        unset ^ ((unset ^ set) & self.0)
    }

    /// Copies so many words where it is set.
    ///
    /// # Safety
    ///
    /// Both are valid for that many.
    #[inline(always)]
    pub(super) unsafe fn copy<const N: usize>(self, from: *const i64, to: *mut i64) {
        let mut word = 0;
        while word < N {
            // SAFETY: by the caller.
            unsafe {
                let (new, old) = (read_volatile(from.add(word)), read_volatile(to.add(word)));
                write_volatile(to.add(word), self.choose(new, old));
            }
            word += 1;
        }
    }
}
