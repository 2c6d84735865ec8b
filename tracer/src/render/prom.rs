//! The figures as OpenMetrics text: for Prometheus, node_exporter's textfile collector and others.

use std::{cmp::Reverse, io};

use crate::{
    event::TargetAsked,
    report::schema::{Histogram, PhaseSummary, Report},
};

/// Rows that have a series of their own, at most: those with the highest peaks.
const MOST_ROWS: usize = 100;
/// Names of phases, likewise.
const MOST_PHASES: usize = 100;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// Writes the metrics. What is not known is left out.
pub fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    let out = &mut Metrics(out);
    let command = match &report.target.asked {
        TargetAsked::Command { argv, .. } => argv.join(" "),
        TargetAsked::Pids { .. } | TargetAsked::Cgroup { .. } => String::new(),
    };
    out.head("target", "info", "", "What was traced.")?;
    out.sample("target_info", &[("command", &command)], "1")?;
    peak(report, out)?;
    certainty(report, out)?;
    out.head(
        "run_duration_seconds",
        "gauge",
        "seconds",
        "Length of the tracing.",
    )?;
    out.sample("run_duration_seconds", &[], &seconds(report.duration_ns))?;
    if let Some(code) = report.exit.and_then(|exit| exit.code) {
        out.head("exit_code", "gauge", "", "Exit code of the command.")?;
        out.sample("exit_code", &[], &code.to_string())?;
    }
    out.head(
        "processes",
        "gauge",
        "",
        "Processes that the target had in all.",
    )?;
    out.sample("processes", &[], &report.target.processes_seen.to_string())?;
    if let Some(held) = &report.histograms.rss_time_at_level {
        time_at_level(held, out)?;
    }
    if let Some(took) = &report.histograms.fault_ns {
        fault_latency(took, out)?;
    }
    phases(&report.phase_summary, out)?;
    rows(report, out)
}

fn peak<W: io::Write>(report: &Report, out: &mut Metrics<'_, W>) -> io::Result<()> {
    let Some(peak) = &report.peak else {
        return Ok(());
    };
    let name = "peak_rss_bytes";
    out.head(
        name,
        "gauge",
        "bytes",
        "Highest resident memory of the whole target.",
    )?;
    out.sample(name, &[], &peak.rss_bytes.to_string())?;
    let classes = [
        ("anon", peak.anon_bytes),
        ("file", peak.file_bytes),
        ("shmem", peak.shmem_bytes),
    ];
    let name = "peak_rss_class_bytes";
    out.head(name, "gauge", "bytes", "What the peak was made of.")?;
    for (class, bytes) in classes {
        if let Some(bytes) = bytes {
            out.sample(name, &[("class", class)], &bytes.to_string())?;
        }
    }
    if let Some(at_ns) = peak.at_ns {
        let name = "peak_time_seconds";
        out.head(
            name,
            "gauge",
            "seconds",
            "When, since the start of tracing.",
        )?;
        out.sample(name, &[], &seconds(at_ns))?;
    }
    Ok(())
}

fn certainty<W: io::Write>(report: &Report, out: &mut Metrics<'_, W>) -> io::Result<()> {
    let certainty = &report.certainty;
    out.head("exact", "gauge", "", "1 if every peak is exact.")?;
    out.sample("exact", &[], if certainty.exact { "1" } else { "0" })?;
    if let Some(bound) = certainty.peak_error_bound_bytes {
        let name = "peak_error_bound_bytes";
        out.head(
            name,
            "gauge",
            "bytes",
            "By how much the target's peak can be wrong.",
        )?;
        out.sample(name, &[], &bound.to_string())?;
    }
    out.head("events", "counter", "", "Records of the history.")?;
    out.sample("events_total", &[], &certainty.events.to_string())?;
    out.head(
        "events_lost",
        "counter",
        "",
        "Records lost; no peak depends on them.",
    )?;
    out.sample("events_lost_total", &[], &certainty.events_lost.to_string())
}

fn time_at_level<W: io::Write>(held: &Histogram, out: &mut Metrics<'_, W>) -> io::Result<()> {
    let name = "rss_time_at_level_bytes";
    out.head(
        name,
        "summary",
        "bytes",
        "Resident memory that was not exceeded for this part of the time.",
    )?;
    for (quantile, bytes) in [
        ("0.5", held.p50),
        ("0.9", held.p90),
        ("0.99", held.p99),
        ("1.0", held.max),
    ] {
        out.sample(name, &[("quantile", quantile)], &bytes.to_string())?;
    }
    Ok(())
}

fn fault_latency<W: io::Write>(took: &Histogram, out: &mut Metrics<'_, W>) -> io::Result<()> {
    let name = "page_fault_duration_seconds";
    out.head(name, "summary", "seconds", "How long page faults took.")?;
    for (quantile, ns) in [
        ("0.5", took.p50),
        ("0.9", took.p90),
        ("0.99", took.p99),
        ("1.0", took.max),
    ] {
        out.sample(name, &[("quantile", quantile)], &seconds(ns))?;
    }
    let count = "page_fault_duration_seconds_count";
    out.sample(count, &[], &took.count.to_string())
}

/// A family of samples, one for each name of a phase.
type OfPhases = (
    &'static str,
    &'static str,
    &'static str,
    fn(&PhaseSummary) -> String,
);

/// What is told of each name of a phase, over all its entries.
const OF_PHASES: [OfPhases; 5] = [
    (
        "phase_peak_bytes",
        "bytes",
        "Highest resident memory of the process while the phase was open.",
        |of| of.peak_max_bytes.to_string(),
    ),
    (
        "phase_growth_bytes",
        "bytes",
        "Most by which it rose above its level at the phase's begin.",
        |of| of.growth_max_bytes.to_string(),
    ),
    (
        "phase_peak_target_bytes",
        "bytes",
        "Highest resident memory of the whole target while the phase was open.",
        |of| of.peak_target_max_bytes.to_string(),
    ),
    (
        "phase_duration_seconds",
        "seconds",
        "Time in the phase, all entries together.",
        |of| seconds(of.duration_ns),
    ),
    ("phase_entries", "", "Entries of the phase.", |of| {
        of.count.to_string()
    }),
];

fn phases<W: io::Write>(all: &[PhaseSummary], out: &mut Metrics<'_, W>) -> io::Result<()> {
    let mut shown: Vec<_> = all.iter().collect();
    shown.sort_by_key(|of| Reverse(of.peak_max_bytes));
    shown.truncate(MOST_PHASES);
    if shown.is_empty() {
        return Ok(());
    }
    for (name, unit, help, value) in OF_PHASES {
        out.head(name, "gauge", unit, help)?;
        for of in &shown {
            out.sample(name, &[("phase", &of.name)], &value(of))?;
        }
    }
    Ok(())
}

fn rows<W: io::Write>(report: &Report, out: &mut Metrics<'_, W>) -> io::Result<()> {
    let name = "process_peak_rss_bytes";
    out.head(
        name,
        "gauge",
        "bytes",
        "Highest resident memory of a process between its execs.",
    )?;
    let rows = report.processes.iter().enumerate();
    let mut rows: Vec<_> = rows
        .filter_map(|(i, row)| Some((Reverse(row.peak?.rss_bytes), i, row)))
        .collect();
    rows.sort_by_key(|(peak, i, _)| (*peak, *i));
    for (Reverse(peak), _, row) in rows.into_iter().take(MOST_ROWS) {
        let number = |number: Option<u32>| number.map_or(String::new(), |n| n.to_string());
        let labels = [
            ("pid", number(row.pid)),
            ("image", row.image.to_string()),
            ("space", number(row.space)),
            ("comm", row.comm.clone()),
        ];
        let labels = labels
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        out.sample(name, &labels, &peak.to_string())?;
    }
    writeln!(out.0, "# EOF")
}

fn seconds(ns: u64) -> String {
    format!("{}.{:09}", ns / NS_PER_SECOND, ns % NS_PER_SECOND)
}

struct Metrics<'a, W>(&'a mut W);

impl<W: io::Write> Metrics<'_, W> {
    fn head(&mut self, name: &str, kind: &str, unit: &str, help: &str) -> io::Result<()> {
        writeln!(self.0, "# TYPE memtrace_{name} {kind}")?;
        if !unit.is_empty() {
            writeln!(self.0, "# UNIT memtrace_{name} {unit}")?;
        }
        writeln!(self.0, "# HELP memtrace_{name} {help}")
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) -> io::Result<()> {
        write!(self.0, "memtrace_{name}")?;
        for (i, (label, text)) in labels.iter().enumerate() {
            let sign = if i == 0 { '{' } else { ',' };
            write!(self.0, "{sign}{label}=\"{}\"", escaped(text))?;
        }
        let end = if labels.is_empty() { "" } else { "}" };
        writeln!(self.0, "{end} {value}")
    }
}

/// A label's value; a line break of any kind would end the sample.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    let text = text.replace('\n', "\\n");
    text.replace(char::is_control, "?")
}
