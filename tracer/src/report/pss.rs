//! Memory counted once where processes share it, out of the readings of PSS.

use super::{
    schema::{CountedOnce, PssRow},
    scope::Scope,
};
use crate::{
    event::{PssReading, Reading},
    units::Bytes,
};

/// What the kernel drops when it writes a process's PSS in whole KiB.
const ROUNDED_BYTES: u64 = 1024;
/// And of each page's share, whose fraction has twelve bits.
const PAGES_FOR_A_BYTE: u64 = 1 << 12;

/// The highest reading, with its bound.
pub(super) fn of(scope: &Scope<'_>) -> CountedOnce {
    let several = scope
        .ended
        .is_none_or(|ended| ended.target.peak_spaces > 1 || ended.target.last_space > 1);
    let readings = || scope.model.readings().iter();
    let best = readings()
        .filter_map(|reading| match reading {
            Reading::Pss(reading) => Some(reading),
            _ => None,
        })
        // Each that was told is better than those before.
        .next_back();
    let refused = readings().any(|reading| matches!(reading, Reading::PssRefused));
    let absent = |why: &str| CountedOnce {
        was_asked: scope.begun.counts_once,
        bytes: None,
        error_bound_bytes: None,
        reading: None,
        why: why.to_owned(),
    };
    match best {
        Some(best) => read(scope, best),
        None if !scope.begun.counts_once => absent("It was not asked for: --count-once."),
        None if refused => absent("Only root, or CAP_SYS_PTRACE, may read smaps_rollup."),
        None if !several => absent("There was one process: nothing is shared within the target."),
        None => absent("No two processes lived long enough for a reading."),
    }
}

fn read(scope: &Scope<'_>, reading: &PssReading) -> CountedOnce {
    let pages = reading.rss_bytes / scope.begun.page_bytes.max(1);
    let rounded = u64::from(reading.processes) * ROUNDED_BYTES + pages.div_ceil(PAGES_FOR_A_BYTE);
    let bound = reading.stood_still.then_some(rounded);
    let peak = scope.highest().map(|highest| scope.bytes(highest.rss));
    let below = peak.and_then(|peak| peak.checked_sub_unsigned(reading.rss_bytes));
    let mut why = String::from(
        "Shared pages once: the sum of PSS as smaps_rollup tells, at the highest of its readings. \
         A page that is shared with a process outside counts by its share.",
    );
    why += &match bound {
        Some(bound) => format!(
            " Nothing moved while it was read: it is of one moment, and at most {} too low by \
             rounding.",
            Bytes(bound.cast_signed())
        ),
        None => " Memory moved while the processes were read one after the other: it is of no one \
                 moment, and has no bound."
            .to_owned(),
    };
    CountedOnce {
        was_asked: scope.begun.counts_once,
        bytes: Some(reading.pss_bytes),
        error_bound_bytes: bound,
        reading: Some(PssRow {
            at_ns: scope.since_start(reading.from_ns),
            took_ns: reading.until_ns.saturating_sub(reading.from_ns),
            nth: reading.nth,
            processes: reading.processes,
            processes_missed: reading.ended,
            stood_still: reading.stood_still,
            rss_bytes: reading.rss_bytes,
            below_peak_bytes: below,
            anon_bytes: reading.anon_bytes,
            file_bytes: reading.file_bytes,
            shmem_bytes: reading.shmem_bytes,
        }),
        why,
    }
}
