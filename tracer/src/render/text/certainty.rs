//! How sure the figures are: one line if all is well, else each doubt with its remedy.

use std::fmt;

use super::page::{Look, Page};
use crate::{
    report::schema::Report,
    units::{Bytes, Count, Nanos},
};

/// Writes the section.
pub(super) fn write(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let certainty = &report.certainty;
    let (look, word) = match (certainty.exact, certainty.peak_error_bound_bytes) {
        (true, _) => (Look::Good, "exact"),
        (false, Some(0)) => (Look::Bad, "exact for all together, not for each process"),
        (false, _) => (Look::Bad, "not exact"),
    };
    if let Some(sampled) = &certainty.sampled {
        let looks = format!(": {} looks at /proc, no hooks", Count(sampled.looks));
        page.labelled("certainty", &[(look, word), (Look::Plain, &looks)])?;
        return doubts(page, report);
    }
    let lost = match certainty.events_lost {
        0 => "none".to_owned(),
        lost => Count(lost).to_string(),
    };
    let agrees = match certainty.stream.agrees {
        Some(true) => "; the history agrees",
        Some(false) => "; the history does not agree",
        None => "",
    };
    let records = format!(": {} records, {lost} lost{agrees}", Count(certainty.events));
    page.labelled("certainty", &[(look, word), (Look::Plain, &records)])?;
    doubts(page, report)
}

fn doubts(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    for doubt in &report.certainty.doubts {
        page.line(&[(Look::Plain, "  "), (Look::Bad, &doubt.id)])?;
        page.wrapped(6, Look::Plain, &doubt.text)?;
        if !doubt.remedy.is_empty() {
            page.wrapped(6, Look::Dim, &format!("-> {}", doubt.remedy))?;
        }
    }
    overhead(page, report)
}

fn overhead(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let (Some(peak), Some(cpu)) = (
        report.overhead.tracer_peak_rss_bytes,
        report.overhead.tracer_cpu_ns,
    ) else {
        return Ok(());
    };
    let text = format!(
        "itself {} and {} of CPU, not in these figures",
        Bytes(peak.cast_signed()),
        Nanos(cpu)
    );
    page.labelled("memtrace", &[(Look::Dim, &text)])?;
    if let (Some(runs), Some(ns)) = (report.overhead.hook_runs, report.overhead.bpf_ns) {
        let text = format!(
            "its programs ran {} times, {} in all",
            Count(runs),
            Nanos(ns)
        );
        page.labelled("", &[(Look::Dim, &text)])?;
    }
    Ok(())
}
