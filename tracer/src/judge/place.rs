//! Which part of a run another tool looked at, and when: by the PID that its file names, or by what
//! its series follows most closely. From the report's timelines alone.

use std::time::UNIX_EPOCH;

use super::{
    import::{Epoch, Imported, Measure},
    shift::{self, Fit},
    subjects,
    track::Span,
};
use crate::report::schema::{ProcessRow, Report};

/// How far clocks of one machine are searched, nanoseconds.
const CLOCKS_NS: i64 = 1_000_000_000;
/// A row is followed and not the target if it is nearer by this share of the peak.
const NEARER: f64 = 0.005;

/// A part of a run, by what the report says of it.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// All of it.
    Target,
    /// A process.
    Row(&'a ProcessRow),
}

impl Subject<'_> {
    /// Its exact peak, bytes.
    pub fn peak_bytes(&self, report: &Report) -> Option<i64> {
        match self {
            Self::Target => report.peak.as_ref().map(|peak| peak.rss_bytes),
            Self::Row(row) => row.peak.map(|peak| peak.rss_bytes),
        }
    }

    /// What is to be judged for it.
    pub fn span(&self, report: &Report) -> Option<Span> {
        match self {
            Self::Target => subjects::target(report),
            Self::Row(row) => subjects::of_row(report, row),
        }
    }

    /// In words.
    pub fn name(&self) -> String {
        match self {
            Self::Target => "target".to_owned(),
            Self::Row(row) => match row.pid {
                Some(pid) => format!("PID {pid} ({})", row.comm),
                None => format!("a process ({})", row.comm),
            },
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// What it looked at.
    pub subject: Subject<'a>,
    /// How far apart: the middle of the times between its samples, else by its own account.
    pub every_ns: Option<u64>,
    /// Its clock against the run's, if its file tells times.
    pub clock: Option<Fit>,
    /// What that shift is counted from.
    pub clock_of: &'static str,
    /// Its clock says that it is of this run, or of another; `None` if it says neither.
    pub same_run: Option<bool>,
}

/// Finds the place of a figure. `boot_ns` is when tracing began on `CLOCK_MONOTONIC`; `aside` are
/// rows that are not the target's, which it may follow all the same. It is sure to be of this run if
/// memtrace ran the tool.
pub fn find<'a>(
    report: &'a Report,
    aside: &'a [ProcessRow],
    boot_ns: u64,
    is_wrapped: bool,
    imported: &Imported,
) -> Place<'a> {
    let every_ns = middle_ns(&imported.samples).or(imported.nominal_ns);
    let clock = Clock::of(report, boot_ns, is_wrapped, imported);
    let fit = |subject: Subject<'_>| {
        let level = level(report, subject);
        let slack_bytes = peak(report) * NEARER / 10.0;
        shift::find(&level, &clock.samples, clock.limits_ns, slack_bytes)
    };
    let highest = || subjects::rows(report).into_iter().map(|(row, _)| row);
    let subject = match imported.measure {
        _ if imported.pid.is_some() => {
            let of_pid = report
                .processes
                .iter()
                .filter(|row| row.pid == imported.pid);
            let row = of_pid.max_by_key(|row| row.peak.map(|peak| peak.rss_bytes));
            row.map_or(Subject::Target, Subject::Row)
        }
        Measure::MaxRss => highest().next().map_or(Subject::Target, Subject::Row),
        Measure::Polled => {
            let residual = |subject| fit(subject).map(|fit| fit.residual_bytes);
            let least = residual(Subject::Target).map(|all| all - peak(report) * NEARER);
            // What did not hold as much is not what it followed, at least not alone.
            let slack_bytes = report.host.slack_bytes().unsigned_abs() + imported.step_bytes;
            let told = imported.peak_bytes.saturating_sub(slack_bytes);
            let can_be = |row: &&ProcessRow| {
                let peak = row.peak.and_then(|peak| u64::try_from(peak.rss_bytes).ok());
                peak.is_some_and(|peak| peak >= told)
            };
            let rows = highest().chain(aside).filter(can_be).map(Subject::Row);
            let rows = rows.filter_map(|row| Some((row, residual(row)?)));
            let nearest = rows.min_by(|a, b| a.1.total_cmp(&b.1));
            let nearer = nearest.filter(|row| least.is_some_and(|least| row.1 < least));
            nearer.map_or(Subject::Target, |(row, _)| row)
        }
        Measure::Heap | Measure::Container => Subject::Target,
    };
    Place {
        subject,
        every_ns,
        clock: fit(subject).filter(|_| imported.measure == Measure::Polled),
        clock_of: clock.counted_from,
        same_run: clock.same_run,
    }
}

fn peak(report: &Report) -> f64 {
    report
        .peak
        .as_ref()
        .map_or(0.0, |peak| peak.rss_bytes as f64)
}

/// The middle of the times between samples, nanoseconds; `None` if there are fewer than two.
fn middle_ns(samples: &[(i64, u64)]) -> Option<u64> {
    let gaps = samples
        .windows(2)
        .map(|pair| pair[1].0.saturating_sub(pair[0].0));
    let mut gaps: Vec<_> = gaps.filter_map(|gap| u64::try_from(gap).ok()).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().filter(|gap| *gap > 0)
}

fn level(report: &Report, subject: Subject<'_>) -> Vec<(u64, i64)> {
    match subject {
        Subject::Target => report.timeline.points.clone(),
        Subject::Row(row) => {
            let points = row.timeline.points.iter();
            points
                .map(|point| (point.at_ns, point.rss_bytes()))
                .collect()
        }
    }
}

/// A series on the run's clock, as far as the clocks themselves tell.
struct Clock {
    samples: Vec<(i64, u64)>,
    limits_ns: (i64, i64),
    counted_from: &'static str,
    same_run: Option<bool>,
}

impl Clock {
    fn of(report: &Report, boot_ns: u64, is_wrapped: bool, imported: &Imported) -> Self {
        let unix = humantime::parse_rfc3339(&report.started_at).ok();
        let unix = unix.and_then(|start| start.duration_since(UNIX_EPOCH).ok());
        let unix_ns = unix.and_then(|since| i64::try_from(since.as_nanos()).ok());
        let (begin_ns, counted_from) = match imported.epoch {
            Epoch::Unix => (unix_ns, "beyond what the wall clocks say"),
            Epoch::Boot => (
                i64::try_from(boot_ns).ok(),
                "beyond what the kernel's clock says",
            ),
            Epoch::Own => (None, OWN),
        };
        let duration_ns = i64::try_from(report.duration_ns).unwrap_or(i64::MAX);
        if let Some(begin_ns) = begin_ns {
            let samples = since(&imported.samples, begin_ns);
            let is_near =
                |at_ns: i64| at_ns >= -CLOCKS_NS && at_ns <= duration_ns.saturating_add(CLOCKS_NS);
            if samples.iter().any(|sample| is_near(sample.0)) {
                return Self {
                    samples,
                    limits_ns: (-CLOCKS_NS, CLOCKS_NS),
                    counted_from,
                    same_run: Some(true),
                };
            }
        }
        if is_wrapped {
            let first_ns = imported.samples.first().map_or(0, |first| first.0);
            let samples = since(&imported.samples, first_ns);
            // The whole series lies within the run.
            let length_ns = samples.last().map_or(0, |last| last.0);
            return Self {
                limits_ns: (0, duration_ns.saturating_sub(length_ns).max(0)),
                samples,
                counted_from: OWN,
                same_run: Some(true),
            };
        }
        let is_other = imported.epoch != Epoch::Own && !imported.samples.is_empty();
        let first_ns = match imported.samples.first() {
            Some(first) if is_other => first.0,
            _ => 0,
        };
        Self {
            samples: since(&imported.samples, first_ns),
            limits_ns: (-CLOCKS_NS, duration_ns),
            counted_from: if is_other { OTHER } else { OWN },
            same_run: is_other.then_some(false),
        }
    }
}

const OWN: &str = "when the tool began to look, from the start of tracing";
const OTHER: &str = "when the tool's first look would be, from the start of tracing";

fn since(samples: &[(i64, u64)], begin_ns: i64) -> Vec<(i64, u64)> {
    let samples = samples.iter();
    samples
        .map(|(at_ns, bytes)| (at_ns.saturating_sub(begin_ns), *bytes))
        .collect()
}
