//! The run as `mprof run` would have left it, for `mprof plot`: `MEM` is the whole target, `CHLD`
//! each process by itself, `FUNC` the longest phases, drawn as mprof draws functions. Since mprof
//! joins points by lines, each level is told at both its ends.

use std::{cmp::Reverse, collections::BTreeMap, io, time::UNIX_EPOCH};

use crate::{event::TargetAsked, report::schema::Report};

/// Phases, at most: each gets brackets and a line in the legend.
const MOST_PHASES: usize = 24;
const NS_PER_SECOND: u128 = 1_000_000_000;

/// Writes the lines. Its times are those of the wall clock, in seconds.
pub fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    let start = humantime::parse_rfc3339(&report.started_at).unwrap_or(UNIX_EPOCH);
    let start_ns = start
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let command = match &report.target.asked {
        TargetAsked::Command { argv, .. } => argv.join(" "),
        TargetAsked::Pids { pids, .. } => {
            let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
            format!("--pid {}", pids.join(","))
        }
        TargetAsked::Cgroup { path, .. } => format!("--cgroup {path}"),
    };
    // A line break would begin a line that mprof cannot read.
    let command = command.replace(char::is_control, "?");
    writeln!(out, "CMDLINE {command}")?;
    steps(&report.timeline.points, |at_ns, bytes| {
        writeln!(out, "MEM {} {}", Mib(bytes), Seconds(start_ns, at_ns))
    })?;
    let mut levels: BTreeMap<u32, Vec<(u64, i64)>> = BTreeMap::new();
    for row in &report.processes {
        if let Some(pid) = row.pid {
            let points = row.timeline.points.iter();
            let points = points.map(|point| (point.at_ns, point.rss_bytes()));
            levels.entry(pid).or_default().extend(points);
        }
    }
    for (pid, mut points) in levels {
        // After an exec the old space is torn down while the new one is in use already.
        points.sort_by_key(|(at_ns, _)| *at_ns);
        steps(&points, |at_ns, bytes| {
            let (mib, seconds) = (Mib(bytes), Seconds(start_ns, at_ns));
            writeln!(out, "CHLD {pid} {mib} {seconds}")
        })?;
    }
    phases(report, start_ns, out)
}

/// The longest phases, with the target's level where they begin and end: mprof puts these points
/// on its line of the target.
fn phases(report: &Report, start_ns: u128, out: &mut impl io::Write) -> io::Result<()> {
    let points = &report.timeline.points;
    let level = |at_ns: u64| {
        let next = points.partition_point(|(point_ns, _)| *point_ns <= at_ns);
        Mib(next.checked_sub(1).map_or(0, |last| points[last].1))
    };
    let mut longest: Vec<_> = report.phases.iter().collect();
    longest.sort_by_key(|phase| Reverse(phase.end_ns - phase.start_ns));
    for phase in longest.into_iter().take(MOST_PHASES) {
        // A blank would end the name, a dot cut it.
        let is_mark = |c: char| c.is_whitespace() || c.is_control() || c == '.';
        let name = phase.name.replace(is_mark, "_");
        let (from_ns, to_ns) = (phase.start_ns, phase.end_ns);
        let (from, to) = (Seconds(start_ns, from_ns), Seconds(start_ns, to_ns));
        let (first, last) = (level(from_ns), level(to_ns));
        writeln!(
            out,
            "FUNC {name} {first} {from} {last} {to} {}",
            phase.depth
        )?;
    }
    Ok(())
}

/// Each point, with the level before it at the same time.
fn steps(
    points: &[(u64, i64)],
    mut tell: impl FnMut(u64, i64) -> io::Result<()>,
) -> io::Result<()> {
    let mut before = None;
    for &(at_ns, bytes) in points {
        if let Some(before) = before.filter(|before| *before != bytes) {
            tell(at_ns, before)?;
        }
        tell(at_ns, bytes)?;
        before = Some(bytes);
    }
    Ok(())
}

/// Bytes, printed in MiB.
struct Mib(i64);

impl std::fmt::Display for Mib {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A page is 1/256 MiB or a multiple of it: eight decimals tell it exactly.
        let sign = if self.0 < 0 { "-" } else { "" };
        let bytes = u128::from(self.0.unsigned_abs());
        let decimals = ((bytes % (1 << 20)) * 100_000_000) >> 20;
        write!(f, "{sign}{}.{decimals:08}", bytes >> 20)
    }
}

/// Wall clock at the start and time since then, nanoseconds; printed in seconds.
struct Seconds(u128, u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ns = self.0 + u128::from(self.1);
        write!(f, "{}.{:09}", ns / NS_PER_SECOND, ns % NS_PER_SECOND)
    }
}
