//! Registers with which user space entered the kernel. Where they lie and what the numbers of calls
//! are differs between processors, and is told by user space.

use aya_ebpf::Global;

use super::{layout::*, peek};

/// Saved registers of a system call: `struct pt_regs *`.
#[derive(Clone, Copy)]
pub struct Registers(pub(super) *const u8);

/// A system call that hooks tell from others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Mmap,
    Munmap,
    Mremap,
    Brk,
    Mprotect,
    Madvise,
    Prctl,
    Faccessat2,
    /// No call: a fault.
    None,
    Other,
}

/// A call's result says that it failed (`IS_ERR_VALUE`, err.h).
#[inline(always)]
pub fn is_error(result: u64) -> bool {
    const MAX_ERRNO: u64 = 4095;
    result > u64::MAX - MAX_ERRNO
}

impl Registers {
    /// Takes a program's argument, or the context of a probe in user space.
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

    /// Which call it is.
    ///
    /// Its number is an `int`: on x86-64 the kernel extends it to a register's width
    /// (`do_syscall_64`), on arm64 it keeps no more (`pt_regs.syscallno`).
    #[inline(always)]
    pub fn call(self) -> Call {
        const NO_CALL: i32 = -1;
        let number: i32 = peek(self.0, &REGS_CALL);
        let is = |call: &Global<u64>| number == call.load() as i32;
        if is(&SYS_MMAP) {
            Call::Mmap
        } else if is(&SYS_MUNMAP) {
            Call::Munmap
        } else if is(&SYS_MREMAP) {
            Call::Mremap
        } else if is(&SYS_BRK) {
            Call::Brk
        } else if is(&SYS_MPROTECT) {
            Call::Mprotect
        } else if is(&SYS_MADVISE) {
            Call::Madvise
        } else if is(&SYS_PRCTL) {
            Call::Prctl
        } else if is(&SYS_FACCESSAT2) {
            Call::Faccessat2
        } else if number == NO_CALL {
            Call::None
        } else {
            Call::Other
        }
    }

    /// The calling code is 64-bit: numbers and registers are those of its ABI.
    #[inline(always)]
    pub fn is_64_bit(self) -> bool {
        peek::<u64>(self.0, &REGS_MODE) & MODE_MASK.load() == MODE_64_BIT.load()
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

    #[inline(always)]
    pub fn stack_pointer(self) -> u64 {
        peek(self.0, &REGS_STACK)
    }
}
