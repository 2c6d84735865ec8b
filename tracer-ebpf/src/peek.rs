//! The only reader of kernel memory, by the layout that user space took from BTF.
//!
//! Every offset is a frozen constant, so loads from pointers that the verifier knows are direct;
//! a bad address reads as zero (the kernel's exception table) and harms nothing.

mod cast;
mod layout;
mod mm;
mod order;
mod registers;
mod scan;
mod thread;
mod user;

use core::{mem::MaybeUninit, ptr::read_volatile};

use aya_ebpf::{Global, helpers::generated::bpf_probe_read_kernel};

use self::layout::TWO_WORDS;

pub use self::{
    layout::{BPF_ARRAY_PPTRS, COUNTS_BY_THREAD, CPUS, IN_ORDER},
    mm::{Mm, bprm_mm, vma_mm},
    order::first,
    registers::{Call, Registers, is_error},
    scan::{nothing, rss_of_slots},
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

/// Reads a field at a known offset of any pointer, of at most a word. (A load from a task as a
/// program is handed it is no better: for each the verifier searches the kernel's types by name,
/// which takes it a millisecond.)
#[inline(always)]
fn peek<T: Copy>(base: *const u8, offset: &Global<u64>) -> T {
    const { assert!(size_of::<T>() <= size_of::<u64>()) }
    let address = base.wrapping_add(offset.load() as usize);
    if TWO_WORDS.load() != 0 {
        // SAFETY: the kernel's exception table catches a bad address and gives zero; only integers
        // and pointers are read, for which zero is a value. Volatile as in `field`.
        return unsafe { read_volatile(cast::cast(address, &TWO_WORDS).cast()) };
    }
    copy(address)
}

/// Copies what is at any address; zero if nothing is. For what is more than a word, or in an array,
/// into which older verifiers do not look.
#[inline(always)]
fn copy<T: Copy>(address: *const u8) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper may be given any address, and clears the value when it fails; only
    // integers and pointers are copied, for which zero is a value.
    unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address.cast(),
        );
        value.assume_init()
    }
}
