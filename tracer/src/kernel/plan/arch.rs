//! What differs between processors, as the kernel side is told: one object serves all of them.

use std::iter::zip;

use tracer_common::layout::global;

use crate::kernel::facts::Arch;

/// What a processor and the kernel's interface on it are like.
struct Processor {
    /// Numbers of [`global::SYSTEM_CALLS`].
    system_calls: [u64; global::SYSTEM_CALLS.len()],
    /// See [`global::MODE_MASK`].
    mode_mask: u64,
    /// See [`global::MODE_64_BIT`].
    mode_64_bit: u64,
    /// See [`global::IN_ORDER`].
    in_order: bool,
}

/// `arch/x86/entry/syscalls/syscall_64.tbl`. 64-bit code runs in the segment `__USER_CS` (segment.h).
/// Memory is read and written in order (Intel SDM 3A, 10.2.2).
const X86_64: Processor = Processor {
    system_calls: [9, 11, 25, 12, 10, 28, 157, 439],
    mode_mask: 0xffff,
    mode_64_bit: 0x33,
    in_order: true,
};

/// `include/uapi/asm-generic/unistd.h`. 32-bit code has `PSR_MODE32_BIT` (ptrace.h).
const ARM64: Processor = Processor {
    system_calls: [222, 215, 216, 214, 226, 233, 167, 439],
    mode_mask: 0x10,
    mode_64_bit: 0,
    in_order: false,
};

pub(super) fn globals(arch: Arch) -> impl Iterator<Item = (&'static str, u64)> {
    let Processor {
        system_calls,
        mode_mask,
        mode_64_bit,
        in_order,
    } = match arch {
        Arch::X86_64 => X86_64,
        Arch::Aarch64 => ARM64,
    };
    zip(global::SYSTEM_CALLS, system_calls).chain([
        (global::MODE_MASK, mode_mask),
        (global::MODE_64_BIT, mode_64_bit),
        (global::IN_ORDER, u64::from(in_order)),
    ])
}

#[cfg(test)]
mod tests {
    use super::{Arch, global, globals, zip};

    #[test]
    fn numbers_of_system_calls_are_those_of_this_machine() {
        let own = [
            libc::SYS_mmap,
            libc::SYS_munmap,
            libc::SYS_mremap,
            libc::SYS_brk,
            libc::SYS_mprotect,
            libc::SYS_madvise,
            libc::SYS_prctl,
            libc::SYS_faccessat2,
        ];
        let told: Vec<_> = globals(Arch::OWN).take(own.len()).collect();
        let own = own.map(|number| number as u64);
        assert_eq!(told, zip(global::SYSTEM_CALLS, own).collect::<Vec<_>>());
    }
}
