//! The marker call, for scripts: what `memtrace mark` says to the memtrace that traces it.

use tracer_common::{limits::MARK_NAME_BYTES, record::mark};

/// Begins a phase of the whole target, or ends the one of that name, or the last one. Does nothing
/// when nobody traces.
pub fn mark_target(name: Option<&str>, is_end: bool) {
    let what = if is_end {
        mark::END_TARGET
    } else {
        mark::BEGIN_TARGET
    };
    let name = name.unwrap_or_default();
    // The last byte is for the kernel side's zero.
    let name = &name.as_bytes()[..name.floor_char_boundary(MARK_NAME_BYTES - 1)];
    let no_track = 0_u64;
    // SAFETY: the kernel knows no such option: it refuses and touches nothing. memtrace's programs
    // only read the name, which lives until the call returns.
    unsafe {
        libc::prctl(
            mark::CALL.cast_signed(),
            u64::from(what),
            name.as_ptr(),
            name.len(),
            no_track,
        )
    };
}
