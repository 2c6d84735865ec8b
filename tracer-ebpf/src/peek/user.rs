//! The running process's own memory.

use aya_ebpf::helpers::generated::{bpf_probe_read_user, bpf_probe_read_user_str};

/// Copies `length` bytes of the running process's memory to `to`; false if they are not resident.
#[inline(always)]
pub fn read_user<const N: usize>(to: *mut [u8; N], length: u64, from: u64) -> bool {
    let length = if length > N as u64 { N as u64 } else { length };
    // SAFETY: `length` is at most N; the helper clears the destination when it fails.
    unsafe { bpf_probe_read_user(to.cast(), length as u32, from as *const _) == 0 }
}

/// Copies text of the running process's memory up to its zero, or as much as there is room for.
/// Gives the bytes without the zero; `None` if they are not resident.
#[inline(always)]
pub fn read_user_text<const N: usize>(to: *mut [u8; N], from: u64) -> Option<u32> {
    // SAFETY: there is room for N bytes.
    let read = unsafe { bpf_probe_read_user_str(to.cast(), N as u32, from as *const _) };
    if read > 0 {
        Some(read as u32 - 1)
    } else {
        None
    }
}
