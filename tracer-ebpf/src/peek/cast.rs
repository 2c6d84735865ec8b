//! Reading any kernel address by direct loads: the kernel's `bpf_rdonly_cast` gives an address a
//! type, and the verifier leaves a move between registers of it. A bad address reads as zero.

use aya_ebpf::Global;
use tracer_common::layout::place::CAST;

/// Gives an address the type with this BTF id.
#[inline(always)]
pub(super) fn cast(address: *const u8, to: &Global<u64>) -> *const u8 {
    let typed: *const u8;
    // SAFETY: a call that gives back its first argument, with what calls change.
    unsafe {
        core::arch::asm!(
            ".quad {call}",
            call = const CAST,
            inout("r1") address => _,
            inout("r2") to.load() => _,
            out("r0") typed,
            out("r3") _,
            out("r4") _,
            out("r5") _,
            options(nostack),
        );
    }
    typed
}
