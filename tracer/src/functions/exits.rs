//! Where a function leaves: the instructions after which its frame is gone. Reads machine code of
//! this machine's processor, and knows nothing of files.

mod arm64;
mod x86_64;

use object::Architecture;

/// Whose code it is.
pub(super) const ARCHITECTURE: Architecture = if cfg!(target_arch = "aarch64") {
    Architecture::Aarch64
} else {
    Architecture::X86_64
};

/// Addresses of the instructions by which the code at `start` leaves. `is_own` tells whether an
/// address belongs to the function as well: compilers put what is rarely needed elsewhere.
///
/// A jump to another function is its last act (a tail call), and leaves.
pub(super) fn exits(code: &[u8], start: u64, is_own: impl Fn(u64) -> bool) -> Vec<u64> {
    match ARCHITECTURE {
        Architecture::Aarch64 => arm64::exits(code, start, is_own),
        _ => x86_64::exits(code, start, is_own),
    }
}
