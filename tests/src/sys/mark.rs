//! The marker call, as any program makes it.

use std::{ffi::CStr, hint::black_box};

/// First argument: "MTRC".
const CALL: i32 = 0x4D54_5243;

/// What a marker says.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Mark {
    /// A phase begins.
    Begin = 1,
    /// A phase ends.
    End = 2,
    /// A moment.
    Instant = 3,
    /// A phase of the whole target begins.
    BeginTarget = 4,
    /// A phase of the whole target ends.
    EndTarget = 5,
}

/// Makes the call, with the name in memory; the empty one is none.
pub fn mark(what: Mark, name: &str, track: u64) {
    let address = if name.is_empty() {
        0
    } else {
        // As the call asks for: so that it is in memory.
        black_box(name.bytes().fold(0, u8::wrapping_add));
        name.as_ptr() as usize
    };
    call(what, address, name.len(), track);
}

/// Makes the call with a name that cannot be read.
pub fn mark_unreadable(what: Mark) {
    call(what, 8, 16, 0);
}

/// Begins (0) or ends (1) a phase as systing's users do: by a call of `faccessat2`.
pub fn mark_by_sentinel(what: i32, name: &CStr) {
    const SENTINEL: i32 = -975;
    // SAFETY: no file is looked for with such a mode; the name is a C string.
    unsafe { libc::syscall(libc::SYS_faccessat2, what, name.as_ptr(), SENTINEL, 0) };
}

fn call(what: Mark, address: usize, length: usize, track: u64) {
    // SAFETY: the kernel knows no such option: it refuses and touches nothing.
    unsafe { libc::prctl(CALL, what as u64, address, length, track) };
}
