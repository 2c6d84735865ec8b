//! Registers with which user space entered the kernel.

use super::{layout::*, peek};

/// Saved registers of a system call: `struct pt_regs *`.
#[derive(Clone, Copy)]
pub struct Registers(pub(super) *const u8);

impl Registers {
    /// Takes a program's argument.
    #[inline(always)]
    pub fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    /// The first arguments of the call.
    #[inline(always)]
    pub fn first_five(self) -> [u64; 5] {
        [
            peek(self.0, &REGS_FIRST),
            self.second(),
            self.third(),
            self.fourth(),
            peek(self.0, &REGS_FIFTH),
        ]
    }

    /// All arguments that a call can have.
    #[inline(always)]
    pub fn arguments(self) -> [u64; 6] {
        let [first, second, third, fourth, fifth] = self.first_five();
        [
            first,
            second,
            third,
            fourth,
            fifth,
            peek(self.0, &REGS_SIXTH),
        ]
    }

    /// Number of the call; -1 if it is none (a fault).
    #[inline(always)]
    pub fn call(self) -> i64 {
        peek(self.0, &REGS_CALL)
    }

    /// The calling code is 64-bit: numbers and registers are those of its ABI.
    #[inline(always)]
    pub fn is_64_bit(self) -> bool {
        const USER_CS: u64 = 0x33;
        peek::<u64>(self.0, &REGS_CS) & 0xffff == USER_CS
    }

    #[inline(always)]
    pub fn second(self) -> u64 {
        peek(self.0, &REGS_SECOND)
    }

    #[inline(always)]
    pub fn third(self) -> u64 {
        peek(self.0, &REGS_THIRD)
    }

    #[inline(always)]
    pub fn fourth(self) -> u64 {
        peek(self.0, &REGS_FOURTH)
    }
}
