//! What other tools said, each with how far off it is, of what kind that is, and why.

use std::fmt;

use super::interval;
use crate::{
    judge::schema::{Clock, Judgement, Kind, ToolVerdict},
    render::text::page::{Look, Page, left, right},
    units::{Bytes, Count, Nanos},
};

/// Writes the section; nothing if there is no other tool.
pub(super) fn write(page: &mut Page<'_>, judgement: &Judgement) -> fmt::Result {
    if judgement.tools.is_empty() {
        return Ok(());
    }
    page.gap()?;
    page.labelled("other tools", &[(Look::Plain, "what they say of this run")])?;
    let head = format!(
        "  {}{}{}",
        left("", 24),
        right("peak", 10),
        right("off by", 19)
    );
    page.line(&[(Look::Dim, &head)])?;
    for tool in &judgement.tools {
        let (look, kind) = worded(tool.kind);
        let figures = format!(
            "  {}{}{}{}  ",
            left(&tool.name, 24),
            right(&Bytes(tool.bytes.cast_signed()).to_string(), 10),
            right(&format!("{:+}", Bytes(tool.error_bytes)), 10),
            right(&signed(tool.error_pct), 9),
        );
        page.line(&[(Look::Plain, &figures), (look, kind)])?;
        page.wrapped(8, Look::Plain, &tool.why)?;
        if let Some(looks) = looks(tool) {
            page.wrapped(8, Look::Dim, &looks)?;
        }
        if let Some(clock) = tool.clock.as_ref() {
            page.wrapped(8, Look::Dim, &clock_line(clock, tool.same_run))?;
        }
    }
    Ok(())
}

/// How often a sampler looked, and what that cost; `None` for a file.
fn looks(tool: &ToolVerdict) -> Option<String> {
    let cpu = Nanos(tool.cpu_ns?);
    let mut text = match (tool.samples?, tool.interval_ms) {
        (1, _) => "One look".to_owned(),
        (looks, Some(ms)) => format!("{} looks, every {}", Count(looks), interval(ms)),
        (looks, None) => format!("{} looks", Count(looks)),
    };
    text += &format!("; {cpu} of CPU for itself");
    if let Some((cost, runs)) = tool.cost.zip(tool.cost_runs) {
        text += &format!(
            "; the command took {cost:.3} times as long ({:.3} to {:.3} in {} pairs of runs)",
            runs.least,
            runs.most,
            Count(runs.pairs.into())
        );
    }
    Some(text + ".")
}

fn worded(kind: Kind) -> (Look, &'static str) {
    match kind {
        Kind::None => (Look::Good, "right"),
        Kind::MissedSpike => (Look::Bad, "missed spike"),
        Kind::MissedProcess => (Look::Bad, "missed process"),
        Kind::SlowLook => (Look::Bad, "slow look"),
        Kind::DoubleCountedSharing => (Look::Plain, "double-counted sharing"),
        Kind::KernelInexactness => (Look::Bad, "kernel inexactness"),
        Kind::CacheCounted => (Look::Bad, "cache counted"),
        Kind::KernelMemory => (Look::Plain, "kernel memory counted"),
        Kind::OtherProcesses => (Look::Bad, "others' memory counted"),
        Kind::ChargedElsewhere => (Look::Bad, "charged elsewhere"),
        Kind::Inherited => (Look::Bad, "inherited"),
        Kind::HeapNotResident => (Look::Plain, "heap, not resident"),
        Kind::Unexplained => (Look::Bad, "unexplained"),
    }
}

fn clock_line(clock: &Clock, same_run: Option<bool>) -> String {
    let other = match same_run {
        Some(false) => "By its clock it is of another run. ",
        _ => "",
    };
    let off = clock.residual_pct;
    match (clock.shift_ms, clock.shift_bound_ms) {
        (Some(shift), Some(bound)) => format!(
            "{other}Its clock is shifted by {shift:+.1} ms (±{bound:.1} ms; {}); so it is \
             {off:.2} % of the peak off in the mean.",
            clock.why
        ),
        _ => format!("{other}Its clock's shift is not known: {}.", clock.why),
    }
}

/// A signed error in percent.
fn signed(pct: f64) -> String {
    match pct {
        0.0 => "0 %".to_owned(),
        _ if pct.abs() < 0.01 => format!("{}<0.01 %", if pct < 0.0 { "-" } else { "+" }),
        _ if pct.abs() < 1.0 => format!("{pct:+.2} %"),
        _ => format!("{pct:+.1} %"),
    }
}
