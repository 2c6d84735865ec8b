//! Levels over time as CSV in long form: one figure a line, for pandas and its like.
//!
//! `class` is `rss` or one of its parts `anon`, `file`, `shmem`, or `swap`, which is no part of
//! it. A level lasts until the next line of the same space and class. Lines without a space are
//! of the whole target.
//!
//! `phase` is the innermost phase of the process that was open at that time, or, in lines of the
//! target, of the target itself; empty if none was. Phases cut no lines of their own: a level may
//! last beyond the end of its phase.

use std::{borrow::Cow, io};

use super::phases::{Innermost, Owners};
use crate::report::schema::{ClassTimeline, Report};

/// Writes the levels: of the target first, then of each row.
pub fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    writeln!(out, "ns,pid,image,space,comm,class,bytes,phase")?;
    let owners = Owners::of(report);
    let mut phases = owners.target();
    for (at_ns, bytes) in &report.timeline.points {
        let phase = field(phases.at(*at_ns).name.unwrap_or_default());
        writeln!(out, "{at_ns},,,,,rss,{bytes},{phase}")?;
    }
    let by_class = &report.timeline_by_class;
    classes(by_class, ",,,", owners.target(), false, out)?;
    for row in &report.processes {
        let pid = row.pid.map_or(String::new(), |pid| pid.to_string());
        let space = row.space.map_or(String::new(), |space| space.to_string());
        let whose = format!("{pid},{},{space},{}", row.image, field(&row.comm));
        classes(&row.timeline, &whose, owners.process(row.pid), true, out)?;
    }
    Ok(())
}

fn classes(
    timeline: &ClassTimeline,
    whose: &str,
    mut phases: Innermost<'_>,
    with_rss: bool,
    out: &mut impl io::Write,
) -> io::Result<()> {
    for point in &timeline.points {
        let phase = field(phases.at(point.at_ns).name.unwrap_or_default());
        let rss = with_rss.then(|| ("rss", point.rss_bytes()));
        let parts = [
            ("anon", point.anon_bytes),
            ("file", point.file_bytes),
            ("shmem", point.shmem_bytes),
            ("swap", point.swap_bytes),
        ];
        for (class, bytes) in rss.into_iter().chain(parts) {
            writeln!(out, "{},{whose},{class},{bytes},{phase}", point.at_ns)?;
        }
    }
    Ok(())
}

/// A field, in quotes where RFC 4180 wants them.
fn field(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}
