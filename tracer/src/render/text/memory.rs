//! The cgroup's own figures, and whom the kernel killed for want of memory.

use std::fmt;

use super::page::{LABEL, Look, Page, fit, right, visible};
use crate::{
    report::schema::{CgroupSection, Oom, Refusals, Report},
    units::{Bytes, Count, Nanos},
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
    match &report.refusals {
        Some(refusals) => refused(page, refusals),
        None => Ok(()),
    }
}

fn refused(page: &mut Page<'_>, refusals: &Refusals) -> fmt::Result {
    let calls = match refusals.count {
        1 => "one call for memory was".to_owned(),
        more => format!("{} calls for memory were", Count(more)),
    };
    let headline = format!("{calls} refused (ENOMEM), which kills nobody");
    page.labelled("refused", &[(Look::Bad, &headline)])?;
    let pid = refusals.pid.map_or("?".to_owned(), |pid| pid.to_string());
    let text = format!(
        "the largest: {} of {} by {} (PID {pid}), after {}. {}",
        refusals.call,
        Bytes(refusals.bytes.cast_signed()),
        visible(&refusals.comm),
        Nanos(refusals.at_ns),
        refusals.why,
    );
    page.wrapped(LABEL, Look::Plain, &text)?;
    page.gap()
}

fn of_cgroup(page: &mut Page<'_>, cgroup: &CgroupSection) -> fmt::Result {
    let size = |bytes: u64| Bytes(bytes.cast_signed()).to_string();
    if let Some(anon) = cgroup.anon_peak_bytes {
        let text = format!("peak {}, exact", Bytes(anon));
        page.labelled("anonymous", &[(Look::Plain, &text)])?;
    }
    let state = &cgroup.state;
    let limit = state.limit_bytes.map_or("none".to_owned(), size);
    let said = state.peak_bytes.map_or("not told".to_owned(), size);
    let text =
        format!("limit of the cgroup {limit}; highest usage by the kernel's own count {said}");
    page.wrapped(LABEL, Look::Dim, &text)?;
    let classes = [
        ("anonymous", state.anon_bytes),
        ("of it in huge pages", state.thp_bytes),
        ("page cache", state.cache_bytes),
        ("of it shared", state.shmem_bytes),
        ("kernel", state.kernel_bytes),
        ("hugetlb", state.hugetlb_bytes),
        ("in swap", state.swap_bytes),
    ];
    let classes = classes.into_iter().filter_map(|(name, bytes)| {
        let bytes = bytes.filter(|bytes| *bytes > 0)?;
        Some(format!("{name} {}", size(bytes)))
    });
    let classes: Vec<_> = classes.collect();
    if !classes.is_empty() {
        let text = format!("at the fullest seen: {}", classes.join(", "));
        page.wrapped(LABEL, Look::Dim, &text)?;
    }
    if let Some(pressure) = cgroup.pressure.filter(|pressure| pressure.some_ns > 0) {
        let whose = if pressure.of_machine {
            " of the machine"
        } else {
            ""
        };
        let text = format!(
            "tasks{whose} waited for memory: any of them {}, all of them {}",
            Nanos(pressure.some_ns),
            Nanos(pressure.full_ns)
        );
        page.wrapped(LABEL, Look::Dim, &text)?;
    }
    if let Some(by) = &cgroup.limit_hit_by {
        page.wrapped(LABEL, Look::Bad, by)?;
    }
    page.gap()
}

fn kill(page: &mut Page<'_>, oom: &Oom) -> fmt::Result {
    let pid = |pid: Option<u32>| pid.map_or("?".to_owned(), |pid| pid.to_string());
    let who = format!("{} (PID {})", visible(&oom.comm), pid(oom.pid));
    let what = match (oom.of_target, oom.killed) {
        (false, _) => format!("the kernel killed {who}, not of the target"),
        (true, Some(false)) => format!("the kernel chose {who}, which was ending anyway"),
        (true, _) => format!("the kernel killed {who}"),
    };
    let headline = format!("{what}, after {}", Nanos(oom.at_ns));
    page.labelled("out of memory", &[(Look::Bad, &headline)])?;
    page.wrapped(LABEL, Look::Plain, &place(oom))?;
    let mut told = Vec::new();
    if let (Some(rss), Some(anon)) = (oom.rss_bytes, oom.anon_bytes) {
        told.push(format!(
            "it held {} ({} anonymous)",
            Bytes(rss),
            Bytes(anon)
        ));
    }
    told.push(format!("the whole target {}", Bytes(oom.target_rss_bytes)));
    let asked = match oom.order {
        None | Some(0) => "the page was".to_owned(),
        Some(order) => format!("{} pages in a row were", 1_u64 << order.min(63)),
    };
    told.push(format!(
        "{asked} asked for by {} (PID {})",
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

/// Where there was no memory, in words.
fn place(oom: &Oom) -> String {
    let size = |bytes: u64| Bytes(bytes.cast_signed()).to_string();
    let mut place = match (oom.constraint.as_deref(), &oom.limit_cgroup) {
        (Some("CONSTRAINT_MEMCG"), Some(cgroup)) => {
            let limit = oom
                .limit_bytes
                .map_or(String::new(), |bytes| format!(" of {}", size(bytes)));
            format!(
                "the limit{limit} of the cgroup {} was reached",
                visible(cgroup)
            )
        }
        (Some("CONSTRAINT_NONE"), _) => "the whole machine had no memory left".to_owned(),
        (Some(constraint), _) => format!("its part of the machine was full ({constraint})"),
        (None, _) => oom.log_why.clone().unwrap_or_default(),
    };
    if let Some(group) = &oom.group {
        place += &format!(
            "; memory.oom.group of {} had all its processes killed",
            visible(group)
        );
    }
    place
}
