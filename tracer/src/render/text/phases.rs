//! Phases as a table: each entry while they are few, summed up by name when many.

use std::fmt;

use super::page::{Look, Page, fit, right};
use crate::{
    report::schema::{PhaseEnd, PhaseRow, PhaseSummary, Report},
    units::{Bytes, Count, Nanos},
};

/// Lines of the table.
const MOST: usize = 16;
/// Depth that shows.
const DEEPEST: usize = 6;

/// Writes the section, if there were phases.
pub(super) fn write(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    if report.phase_summary.is_empty() {
        return Ok(());
    }
    let entries: u64 = report.phase_summary.iter().map(|of| of.count).sum();
    if entries <= MOST as u64 && report.phases.len() as u64 == entries {
        one_by_one(page, &report.phases)?;
    } else {
        by_name(page, &report.phase_summary, entries)?;
    }
    page.gap()
}

fn cells(cells: [&str; 5]) -> String {
    let [peak, growth, target, time, count] = cells;
    right(peak, 9)
        + &right(growth, 11)
        + &right(target, 11)
        + &right(time, 9)
        + &right(count, 7)
        + "  "
}

fn size(bytes: i64) -> String {
    Bytes(bytes).to_string()
}

fn growth(bytes: i64) -> String {
    format!("+{}", Bytes(bytes))
}

fn one_by_one(page: &mut Page<'_>, phases: &[PhaseRow]) -> fmt::Result {
    let all = format!("{}, by their begin", Count(phases.len() as u64));
    page.labelled("phases", &[(Look::Plain, &all)])?;
    let heads = cells(["peak", "growth", "target", "time", "pid"]);
    page.line(&[(Look::Dim, &heads), (Look::Dim, "phase")])?;
    for phase in phases {
        let grown = phase.peak_rss_bytes.zip(phase.start_rss_bytes);
        let pid = phase.pid.map_or("?".to_owned(), |pid| pid.to_string());
        let line = cells([
            &phase.peak_rss_bytes.map_or("-".to_owned(), size),
            &grown.map_or("-".to_owned(), |(peak, start)| growth(peak - start)),
            &size(phase.peak_target_bytes),
            &Nanos(phase.end_ns - phase.start_ns).to_string(),
            &pid,
        ]);
        let indent = " ".repeat(2 * phase.depth.min(DEEPEST));
        let ended = match phase.ended_by {
            PhaseEnd::Mark => "",
            PhaseEnd::ThreadEnd => " (to its thread's end)",
            PhaseEnd::Exit => " (to the exit)",
            PhaseEnd::Exec => " (to the exec)",
            PhaseEnd::Jump => " (left by a jump)",
            PhaseEnd::TraceEnd => " (still open)",
        };
        let name = fit(&phase.name, 20);
        let pieces = [
            (Look::Plain, line.as_str()),
            (Look::Plain, indent.as_str()),
            (Look::Plain, name.as_str()),
            (Look::Dim, ended),
        ];
        page.line(&pieces)?;
    }
    Ok(())
}

fn by_name(page: &mut Page<'_>, rows: &[PhaseSummary], entries: u64) -> fmt::Result {
    let all = format!("{} of {} names", Count(entries), Count(rows.len() as u64));
    let mut shown: Vec<&PhaseSummary> = rows.iter().collect();
    let order = if rows.len() > MOST {
        shown.sort_by_key(|row| std::cmp::Reverse(row.peak_max_bytes));
        shown.truncate(MOST - 1);
        "; the highest"
    } else {
        ""
    };
    page.labelled("phases", &[(Look::Plain, &format!("{all}{order}"))])?;
    let heads = cells(["peak", "growth", "target", "time", "count"]);
    page.line(&[(Look::Dim, &heads), (Look::Dim, "phase")])?;
    for row in &shown {
        let line = cells([
            &size(row.peak_max_bytes),
            &growth(row.growth_max_bytes),
            &size(row.peak_target_max_bytes),
            &Nanos(row.duration_ns).to_string(),
            &Count(row.count).to_string(),
        ]);
        let indent = " ".repeat(2 * row.depth.min(DEEPEST));
        page.line(&[
            (Look::Plain, &line),
            (Look::Plain, &indent),
            (Look::Plain, &row.name),
        ])?;
    }
    if rows.len() > shown.len() {
        let rest = format!("{} more names", Count((rows.len() - shown.len()) as u64));
        page.line(&[
            (Look::Plain, &cells(["", "", "", "", ""])),
            (Look::Dim, &rest),
        ])?;
    }
    Ok(())
}
