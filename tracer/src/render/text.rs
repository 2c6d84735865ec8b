//! The report as text for people: the peak first, then what made it, then how sure it is.

mod certainty;
mod history;
pub mod judge;
mod memory;
mod page;
mod phases;
mod processes;
mod pss;
mod readings;

use std::fmt;

use nix::sys::signal::Signal;

pub(crate) use self::page::wrap;
use self::page::{LABEL, Look, Page, visible};
use crate::{
    event::{EndReason, TargetAsked},
    report::schema::{BudgetVerdict, Certainty, Exit, Report, TargetPeak},
    units::{Bytes, Count, Nanos},
};

/// Writes the report, no line wider than 80 columns; with ANSI colours if `colour`.
pub fn write(report: &Report, colour: bool, out: &mut impl fmt::Write) -> fmt::Result {
    let page = &mut Page::new(out, colour);
    peak(page, report)?;
    history(page, report)?;
    budget(page, report)?;
    pss::write(page, report)?;
    page.gap()?;
    target(page, report)?;
    page.gap()?;
    memory::write(page, report)?;
    history::faults(page, report)?;
    phases::write(page, report)?;
    processes::write(page, report)?;
    readings::write(page, report)?;
    page.gap()?;
    certainty::write(page, report)
}

fn peak(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let Some(peak) = &report.peak else {
        let least = report.certainty.stream.max_rss_bytes.map(|least| {
            let least = Bytes(least);
            format!("at least {least}, the highest that the record tells")
        });
        let text = least.as_deref().unwrap_or("not known");
        return page.labelled("peak memory", &[(Look::Bad, text)]);
    };
    let (look, worth) = worth(report);
    let size = Bytes(peak.rss_bytes).to_string();
    let sign = if peak.rss_bytes < 0 { "-" } else { "" };
    let bytes = format!(" = {sign}{} bytes, ", Count(peak.rss_bytes.unsigned_abs()));
    page.labelled(
        "peak memory",
        &[(Look::Bold, &size), (Look::Plain, &bytes), (look, &worth)],
    )?;
    page.wrapped(LABEL, Look::Plain, &made_of(peak))?;
    page.wrapped(LABEL, Look::Plain, &moment(peak, report))?;
    let beside = beside(peak);
    if beside.is_empty() {
        return Ok(());
    }
    page.wrapped(LABEL, Look::Dim, &beside)
}

/// What the peak is to the budget of `--max-peak`.
fn budget(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let Some(budget) = &report.budget else {
        return Ok(());
    };
    let size = Bytes(budget.bytes.cast_signed());
    let peak = report.peak.as_ref().map(|peak| peak.rss_bytes);
    let left = peak.map(|peak| budget.bytes.cast_signed().wrapping_sub(peak));
    let (look, what) = match (budget.verdict, left) {
        (BudgetVerdict::Within, Some(left)) => (
            Look::Good,
            format!("kept: {} less than {size}", Bytes(left)),
        ),
        (BudgetVerdict::Over, Some(left)) => {
            let over = Bytes(left.wrapping_neg());
            (Look::Bad, format!("exceeded: {over} more than {size}"))
        }
        _ => (Look::Bad, format!("of {size} perhaps exceeded")),
    };
    page.labelled("budget", &[(look, &what)])
}

/// What the peak is worth, in a few words.
fn worth(report: &Report) -> (Look, String) {
    let Certainty {
        peak_error_bound_bytes: bound,
        doubts,
        ..
    } = &report.certainty;
    if let Some(sampled) = &report.certainty.sampled {
        let how = match bound {
            Some(bound) => format!("not exact: at most {} off", Bytes(bound.cast_signed())),
            None => format!("not exact: looked at every {}", Nanos(sampled.every_ns)),
        };
        return (Look::Bad, how);
    }
    let attached = !matches!(report.target.asked, TargetAsked::Command { .. });
    match bound {
        Some(0) if attached => (Look::Good, "exact since memtrace attached".to_owned()),
        Some(0) if doubts.iter().any(|doubt| doubt.id == "still-running") => {
            (Look::Good, "exact so far".to_owned())
        }
        Some(0) => (Look::Good, "exact".to_owned()),
        Some(bound) => (
            Look::Bad,
            format!("at most {} off", Bytes(bound.cast_signed())),
        ),
        None => (Look::Bad, "not certain, see below".to_owned()),
    }
}

fn made_of(peak: &TargetPeak) -> String {
    match (peak.anon_bytes, peak.file_bytes, peak.shmem_bytes) {
        (Some(anon), Some(file), Some(shmem)) => {
            format!(
                "anonymous {}, files {}, shared {}",
                Bytes(anon),
                Bytes(file),
                Bytes(shmem)
            )
        }
        _ => "what it was made of is not known".to_owned(),
    }
}

fn moment(peak: &TargetPeak, report: &Report) -> String {
    let whole = Nanos(report.duration_ns);
    let Some(at_ns) = peak.at_ns else {
        return format!("at a time not known, within {whole}");
    };
    let alive = match peak.processes {
        Some(1) => ", with one process alive".to_owned(),
        Some(processes) => format!(", with {} processes alive", Count(processes)),
        None => String::new(),
    };
    let phase = peak.phase.as_ref();
    let phase = phase.map_or_else(String::new, |name| format!(", in the phase {name}"));
    format!("after {} of {whole}{phase}{alive}", Nanos(at_ns))
}

/// What was held then and is no part of it.
fn beside(peak: &TargetPeak) -> String {
    let unsigned = |bytes: Option<u64>| bytes.map(u64::cast_signed);
    let parts = [
        ("page tables", unsigned(peak.pagetable_bytes)),
        ("huge pages (hugetlb)", unsigned(peak.hugetlb_bytes)),
        ("in swap", peak.swap_bytes),
    ];
    let parts = parts.into_iter().filter_map(|(name, bytes)| {
        bytes
            .filter(|bytes| *bytes != 0)
            .map(|bytes| format!("{name} {}", Bytes(bytes)))
    });
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("besides: {}", parts.join(", "))
    }
}

fn history(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let peak = report.peak.as_ref().map_or(0, |peak| peak.rss_bytes);
    if let Some(bars) = history::bars(&report.timeline, report.duration_ns, peak) {
        page.labelled("", &[(Look::Good, &bars)])?;
    }
    match history::quantiles(report) {
        Some(quantiles) => page.wrapped(LABEL, Look::Dim, &quantiles),
        None => Ok(()),
    }
}

/// Processes by their PIDs.
fn named(pids: &[u32]) -> String {
    let word = if pids.len() == 1 { "PID" } else { "PIDs" };
    let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
    format!("{word} {}", pids.join(", "))
}

fn target(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let (label, what, follow) = match &report.target.asked {
        TargetAsked::Command { argv, follow, .. } => ("command", command_line(argv), *follow),
        TargetAsked::Pids { pids, follow } => ("attached to", named(pids), *follow),
        TargetAsked::Cgroup {
            path,
            container_name,
            pod_name,
        } => {
            let within = |name: &str| format!("{}, {}", visible(name), visible(path));
            match (container_name, pod_name) {
                (Some(name), _) => ("container", within(name), true),
                (None, Some(name)) => ("pod", within(name), true),
                (None, None) => ("cgroup", visible(path), true),
            }
        }
    };
    page.labelled(label, &[(Look::Plain, &what)])?;
    let alone = if follow {
        ""
    } else {
        "; descendants were not followed"
    };
    page.wrapped(LABEL, Look::Plain, &format!("{}{alone}", ending(report)))
}

fn ending(report: &Report) -> String {
    let after = Nanos(report.duration_ns);
    match (report.ended_by, &report.exit) {
        (_, Some(exit)) => format!("{} after {after}", how(exit)),
        (Some(EndReason::TargetEnded), None) => format!("ended after {after}"),
        (Some(EndReason::Duration), None) => format!("watched for {after}, as asked"),
        (Some(EndReason::Interrupted), None) => format!("interrupted after {after}"),
        (None, None) => format!("the record breaks off after {after}"),
    }
}

fn how(exit: &Exit) -> String {
    match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(name) => format!("killed by signal {signal} ({name})"),
            Err(_) => format!("killed by signal {signal}"),
        },
        (None, None) => "ended".to_owned(),
    }
}

/// Arguments as one would type them, roughly: those with blanks or signs of the shell are quoted.
fn command_line(argv: &[String]) -> String {
    let quoted = argv.iter().map(|arg| {
        let arg = visible(arg);
        let special = |c: char| c.is_whitespace() || "|&;<>()$`\\\"'*?[]#".contains(c);
        let plain = !arg.is_empty() && !arg.contains(special);
        if plain { arg } else { format!("'{arg}'") }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
