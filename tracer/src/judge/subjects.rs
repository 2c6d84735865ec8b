//! What of a run is judged: the whole target and the processes with the highest peaks. From the
//! report alone.

use std::{cmp::Reverse, collections::BTreeMap};

use super::track::{Span, Whose};
use crate::report::schema::{PhaseRow, PhaseScope, ProcessRow, Report};

/// Rows that are judged one by one, at most.
pub const MAX_ROWS: usize = 8;

/// Entries of phases that are judged, at most.
pub const MAX_PHASES: usize = 8;

/// The target; `None` if nothing of it was seen or if its peak is not above 0.
pub fn target(report: &Report) -> Option<Span> {
    let peak = report.peak.as_ref().filter(|peak| peak.rss_bytes > 0)?;
    let rows = || report.processes.iter().filter(|row| row.space.is_some());
    let last = report.processes.iter().filter_map(|row| row.end_ns).max();
    let is_over = report.target.processes_alive == 0;
    Some(Span {
        whose: Whose::Target,
        // Where the records of all starts were lost, tracing itself is the best that is known.
        start_ns: rows().filter_map(|row| row.start_ns).min().unwrap_or(0),
        end_ns: last.filter(|_| is_over).unwrap_or(report.duration_ns),
        peak_bytes: peak.rss_bytes,
        peak_at_ns: peak.at_ns,
    })
}

/// A row of the report; `None` if its peak is not known or not above 0.
pub fn of_row(report: &Report, row: &ProcessRow) -> Option<Span> {
    let peak = row.peak.filter(|peak| peak.rss_bytes > 0)?;
    Some(Span {
        whose: Whose::Space(row.space?),
        start_ns: row.start_ns?,
        end_ns: row.end_ns.unwrap_or(report.duration_ns),
        peak_bytes: peak.rss_bytes,
        peak_at_ns: peak.at_ns,
    })
}

/// The rows with the highest peaks, highest first.
pub fn rows(report: &Report) -> Vec<(&ProcessRow, Span)> {
    let rows = report.processes.iter();
    let mut rows: Vec<_> = rows
        .filter_map(|row| Some((row, of_row(report, row)?)))
        .collect();
    rows.sort_by_key(|(_, span)| Reverse(span.peak_bytes));
    rows.truncate(MAX_ROWS);
    rows
}

/// The entries of phases with the highest peaks, highest first. One without time, or of a process
/// that has no row, is left out.
pub fn phases(report: &Report) -> Vec<(&PhaseRow, Span)> {
    let phases = report.phases.iter();
    let mut phases: Vec<_> = phases
        .filter_map(|phase| Some((phase, of_phase(report, phase)?)))
        .collect();
    phases.sort_by_key(|(_, span)| Reverse(span.peak_bytes));
    phases.truncate(MAX_PHASES);
    phases
}

fn of_phase(report: &Report, phase: &PhaseRow) -> Option<Span> {
    let whose = match phase.scope {
        PhaseScope::Target => Whose::Target,
        _ => {
            let ran = |row: &&ProcessRow| {
                let began = row.start_ns.is_some_and(|at_ns| at_ns <= phase.start_ns);
                let ended = row.end_ns.is_some_and(|at_ns| at_ns <= phase.start_ns);
                row.pid == phase.pid && began && !ended
            };
            let row = report.processes.iter().rfind(ran)?;
            Whose::Space(row.space.or(row.shares_space_with)?)
        }
    };
    let has_time = phase.end_ns > phase.start_ns;
    let peak_bytes = phase
        .peak_rss_bytes
        .filter(|bytes| *bytes > 0 && has_time)?;
    Some(Span {
        whose,
        start_ns: phase.start_ns,
        end_ns: phase.end_ns,
        peak_bytes,
        // Where in it is not told: that lies in the stream.
        peak_at_ns: None,
    })
}

/// Until when each space could be read through a process, by time. What it still holds after that,
/// while the kernel tears it down, counts to the target, but no `/proc` file shows it.
pub fn readable_until(report: &Report) -> Vec<(u64, u32)> {
    let mut until: BTreeMap<u32, u64> = BTreeMap::new();
    for row in &report.processes {
        if let Some(space) = row.space.or(row.shares_space_with) {
            let end_ns = row.end_ns.unwrap_or(u64::MAX);
            let last = until.entry(space).or_default();
            *last = end_ns.max(*last);
        }
    }
    let mut until: Vec<_> = until.into_iter().map(|(space, ns)| (ns, space)).collect();
    until.retain(|(end_ns, _)| *end_ns < u64::MAX);
    until.sort_unstable();
    until
}
