//! The only reader of kernel memory, by the layout that user space took from BTF.
//!
//! Every offset is a frozen constant, so loads from pointers that the verifier knows are direct;
//! a bad address reads as zero (the kernel's exception table) and harms nothing.

mod layout;
mod mm;
mod registers;
mod scan;
mod thread;
mod user;

use core::{mem::MaybeUninit, ptr::read_volatile};

use aya_ebpf::{Global, helpers::generated::bpf_probe_read_kernel};

pub use self::{
    layout::{BPF_ARRAY_PPTRS, CPUS},
    mm::{Mm, bprm_mm},
    registers::Registers,
    scan::nothing,
    thread::{Thread, current_tgid},
    user::{read_user, read_user_text},
};

/// Reads a field at a known offset of a pointer that the verifier tracks.
///
/// # Safety
///
/// `base` comes from a program argument, or from such a pointer's field, so that the load is
/// checked by the verifier and caught by the exception table.
#[inline(always)]
unsafe fn field<T: Copy>(base: *const u8, offset: &Global<u64>) -> T {
    // SAFETY: by the caller; volatile, because the kernel writes this memory concurrently.
    unsafe { read_volatile(base.add(offset.load() as usize).cast()) }
}

/// Reads a field at a known offset of any pointer, by the probing helper: slower than a direct
/// load, and for what is rarely read. (For each direct load from a task the verifier searches the
/// kernel's types by name, a millisecond a time.)
#[inline(always)]
fn peek<T: Copy>(base: *const u8, offset: &Global<u64>) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper may be given any address, and clears the value when it fails; only
    // integers and pointers are read, for which zero is a value.
    unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            base.wrapping_add(offset.load() as usize).cast(),
        );
        value.assume_init()
    }
}
