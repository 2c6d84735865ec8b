//! Memory counted once where it is shared, beside the sum.

use std::fmt;

use super::page::{LABEL, Look, Page};
use crate::{
    report::schema::Report,
    units::{Bytes, Count, Nanos},
};

/// A reading is far below the peak from this part of it on.
const FAR: i64 = 100;

/// Writes the lines; nothing where nothing can be shared.
pub(super) fn write(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let Some(peak) = &report.peak else {
        return Ok(());
    };
    let once = &report.counted_once;
    let size = |bytes: u64| Bytes(bytes.cast_signed());
    let (Some(bytes), Some(reading)) = (once.bytes, &once.reading) else {
        if !once.was_asked || peak.processes.is_none_or(|processes| processes < 2) {
            return Ok(());
        }
        return page.hanging(
            "counted once",
            LABEL,
            Look::Dim,
            &format!("not known. {}", once.why),
        );
    };
    let text = format!(
        "{} as read, when the sum was {}",
        size(bytes),
        size(reading.rss_bytes)
    );
    page.labelled("counted once", &[(Look::Plain, &text)])?;
    let moved = match once.error_bound_bytes {
        Some(_) => "nothing moved meanwhile",
        None => "memory moved meanwhile, so it is no exact figure",
    };
    let processes = match reading.processes {
        1 => "one process".to_owned(),
        more => format!("{} processes", Count(more.into())),
    };
    let below = match reading.below_peak_bytes {
        Some(below) if below > reading.rss_bytes.cast_signed() / FAR => {
            format!("; the sum was {} below its peak", Bytes(below))
        }
        _ => String::new(),
    };
    let text = format!(
        "shared pages once (PSS of {processes}), read at {} in {}; {moved}{below}",
        Nanos(reading.at_ns),
        Nanos(reading.took_ns),
    );
    page.wrapped(LABEL, Look::Dim, &text)
}
