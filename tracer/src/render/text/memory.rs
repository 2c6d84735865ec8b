//! The cgroup's own figures, and whom the kernel killed for want of memory.

use std::fmt;

use super::page::{LABEL, Look, Page, fit, right, visible};
use crate::{
    report::schema::{CgroupSection, Oom, Report},
    units::{Bytes, Nanos},
};

/// Processes shown at a kill.
const MOST: usize = 5;

/// Writes the sections, where there is something to tell.
pub(super) fn write(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    if let Some(cgroup) = &report.cgroup {
        of_cgroup(page, cgroup)?;
    }
    for oom in &report.oom {
        kill(page, oom)?;
    }
    Ok(())
}

fn of_cgroup(page: &mut Page<'_>, cgroup: &CgroupSection) -> fmt::Result {
    let size = |bytes: u64| Bytes(bytes.cast_signed()).to_string();
    if let Some(anon) = cgroup.anon_peak_bytes {
        let text = format!("{} of anonymous memory alone, exact", Bytes(anon));
        page.labelled("at most", &[(Look::Plain, &text)])?;
    }
    let state = &cgroup.state;
    let limit = state.limit_bytes.map_or("none".to_owned(), size);
    let said = state.peak_bytes.map_or("not told".to_owned(), size);
    let text = format!("limit {limit}; highest usage by the kernel's own count {said}");
    page.wrapped(LABEL, Look::Dim, &text)?;
    if let Some(by) = &cgroup.limit_hit_by {
        page.wrapped(LABEL, Look::Bad, by)?;
    }
    page.gap()
}

fn kill(page: &mut Page<'_>, oom: &Oom) -> fmt::Result {
    let pid = |pid: Option<u32>| pid.map_or("?".to_owned(), |pid| pid.to_string());
    let who = format!("{} (PID {})", visible(&oom.comm), pid(oom.pid));
    let what = match (oom.of_target, oom.killed) {
        (false, _) => format!("the kernel killed {who}, which is not of the target"),
        (true, Some(false)) => format!("the kernel let {who} end early"),
        (true, _) => format!("the kernel killed {who}"),
    };
    let headline = format!("{what}, after {}", Nanos(oom.at_ns));
    page.labelled("out of memory", &[(Look::Bad, &headline)])?;
    let mut told = Vec::new();
    if let (Some(rss), Some(anon)) = (oom.rss_bytes, oom.anon_bytes) {
        told.push(format!(
            "it held {} ({} anonymous)",
            Bytes(rss),
            Bytes(anon)
        ));
    }
    told.push(format!("the whole target {}", Bytes(oom.target_rss_bytes)));
    told.push(format!(
        "the page was asked for by {} (PID {})",
        visible(&oom.asked_by),
        pid(oom.asked_by_pid)
    ));
    if let Some(phase) = &oom.phase {
        told.push(format!("in the phase {}", visible(phase)));
    }
    page.wrapped(LABEL, Look::Plain, &told.join("; "))?;
    let cells = |level: &str, grown: &str, pid: &str| {
        " ".repeat(LABEL) + &right(level, 9) + &right(grown, 14) + &right(pid, 8) + "  "
    };
    if !oom.processes.is_empty() {
        let heads = cells("then", "in 10 s", "pid");
        page.line(&[(Look::Dim, &heads), (Look::Dim, "process")])?;
    }
    for process in oom.processes.iter().take(MOST) {
        let grown = process.grown_bytes.map_or("?".to_owned(), |bytes| {
            let sign = if bytes >= 0 { "+" } else { "" };
            format!("{sign}{}", Bytes(bytes))
        });
        let level = Bytes(process.rss_bytes).to_string();
        let line = cells(&level, &grown, &pid(process.pid));
        page.line(&[(Look::Plain, &line), (Look::Plain, &fit(&process.comm, 20))])?;
    }
    page.gap()
}
