//! What another tool said, held against the exact run: how far off, of what kind, and why. A kind
//! is named only where the run shows it; else the error is unexplained.

use std::borrow::Cow;

use super::{
    import::{Imported, Measure},
    place::{Place, Subject},
    schema::{Clock, Kind, ToolVerdict},
};
use crate::{
    report::schema::{ProcessRow, Report, Verdict},
    units::{Bytes, Nanos},
};

/// The figure against the run. `aside` are rows of the tool that ran the command. `p_so_little` is the probability that a poller as fast as the tool
/// reports no more of what the tool follows; `None` if nobody knows how fast it looks.
pub fn verdict(
    report: &Report,
    aside: &[ProcessRow],
    peak_bytes: i64,
    imported: &Imported,
    place: &Place<'_>,
    p_so_little: Option<f64>,
) -> ToolVerdict {
    let own = place
        .subject
        .peak_bytes(report)
        .filter(|_| imported.pid.is_some());
    let against = own.unwrap_or(peak_bytes);
    let case = Case {
        report,
        aside,
        told: i64::try_from(imported.peak_bytes).unwrap_or(i64::MAX),
        step: i64::try_from(imported.step_bytes).unwrap_or(i64::MAX),
        peak: against,
        followed: place.subject.peak_bytes(report).unwrap_or(peak_bytes),
        follows: place.subject.name(),
        is_stranger: imported.pid.is_some() && matches!(place.subject, Subject::Target),
        imported,
        every_ns: place.every_ns,
        p_so_little,
    };
    let (kind, why) = case.judge();
    ToolVerdict {
        name: imported.name.clone(),
        bytes: imported.peak_bytes,
        error_bytes: case.told.saturating_sub(against),
        error_pct: (case.told as f64 - against as f64) * 100.0 / against as f64,
        against: match own {
            Some(_) => case.follows.clone(),
            None => "target".to_owned(),
        },
        kind,
        why,
        cost: None,
        cost_why: Some("No file of a tool tells what the tool cost."),
        cost_runs: None,
        cpu_ns: None,
        step_bytes: imported.step_bytes,
        samples: (!imported.samples.is_empty()).then_some(imported.samples.len() as u64),
        interval_ms: place.every_ns.map(super::verdict::ms),
        follows: place.clock.is_some().then_some(case.follows.clone()),
        same_run: place.same_run,
        clock: place.clock.as_ref().map(|fit| Clock {
            shift_ms: fit.shift_ns.map(|ns| ns as f64 / 1e6),
            shift_bound_ms: fit.shift_ns.map(|_| fit.bound_ns as f64 / 1e6),
            residual_pct: fit.residual_bytes * 100.0 / peak_bytes as f64,
            why: match fit.shift_ns {
                Some(_) => place.clock_of,
                None => "the level does not move enough to tell",
            },
        }),
    }
}

struct Case<'a> {
    report: &'a Report,
    aside: &'a [ProcessRow],
    told: i64,
    /// What the tool rounds to.
    step: i64,
    /// The exact peak that the figure is held against.
    peak: i64,
    /// The exact peak of what the tool follows, and that in words.
    followed: i64,
    follows: String,
    /// It names a PID that the run does not have.
    is_stranger: bool,
    imported: &'a Imported,
    every_ns: Option<u64>,
    p_so_little: Option<f64>,
}

impl Case<'_> {
    fn judge(&self) -> (Kind, Cow<'static, str>) {
        if self.is_stranger {
            return (
                Kind::Unexplained,
                "This run has no process of that PID: the file is of another one.".into(),
            );
        }
        if (self.told - self.peak).abs() <= self.step {
            return (
                Kind::None,
                "It is the exact peak, as finely as it prints.".into(),
            );
        }
        match self.imported.measure {
            Measure::Heap => (
                Kind::HeapNotResident,
                "It counts what the program asked its allocators for. Code, stacks and the \
                 interpreter's own memory are resident too, and memory that was asked for but \
                 never touched is not."
                    .into(),
            ),
            Measure::Container => self.container(),
            Measure::MaxRss => self.max_rss(),
            Measure::Polled => self.polled(),
        }
    }

    fn container(&self) -> (Kind, Cow<'static, str>) {
        if self.told > self.peak {
            return (
                Kind::CacheCounted,
                "A container is charged for page cache and kernel memory too, which no process \
                 has resident."
                    .into(),
            );
        }
        if self.sharing_shows() {
            return (
                Kind::DoubleCountedSharing,
                "A container is charged once for a page that several processes share; the sum of \
                 RSS counts it for each of them."
                    .into(),
            );
        }
        (
            Kind::Unexplained,
            "It looks once a second, counts shared pages once and leaves out files that others \
             were charged for: the run alone cannot tell these apart."
                .into(),
        )
    }

    /// The run's own cgroup was never charged for as much as the peak, and files that others are
    /// charged for do not make up for it: so pages were shared.
    fn sharing_shows(&self) -> bool {
        let charged = self.report.checks.iter().filter_map(|check| {
            let is_charge = check.against.starts_with("memory.");
            let is_known = check.verdict != Verdict::Unavailable;
            check.bytes.filter(|_| is_charge && is_known)
        });
        let charged = charged.filter_map(|bytes| i64::try_from(bytes).ok()).max();
        let peak = self.report.peak.as_ref();
        let files = peak.and_then(|peak| peak.file_bytes);
        let several = peak.is_some_and(|peak| peak.spaces.is_some_and(|spaces| spaces > 1));
        let shared = charged
            .zip(files)
            .map(|(charged, files)| self.peak - charged - files);
        several && shared.is_some_and(|bytes| bytes > 0)
    }

    fn max_rss(&self) -> (Kind, Cow<'static, str>) {
        // Of all processes that of a tool may be any; else it says which it is of.
        let rows = self.report.processes.iter().chain(self.aside);
        let rows = rows.filter(|row| {
            let is_named = self.imported.pid.is_some() && row.pid == self.imported.pid;
            is_named || !self.aside.is_empty()
        });
        let of_rows = rows.flat_map(|row| &row.checks);
        let inherited = self.report.checks.iter().chain(of_rows).find(|check| {
            let bytes = check.bytes.and_then(|bytes| i64::try_from(bytes).ok());
            check.verdict == Verdict::Inherited
                && bytes.is_some_and(|bytes| (bytes - self.told).abs() <= self.step)
        });
        if let Some(check) = inherited {
            return (Kind::Inherited, check.why.clone());
        }
        let below = self.followed - self.told;
        if -below > self.slack() + self.step {
            return (Kind::Unexplained, MORE_THAN_ANY.into());
        }
        if below > self.slack() + self.step {
            return (
                Kind::Unexplained,
                "The largest process held more than that, by more than the kernel's figure can \
                 be off: it may be of another run."
                    .into(),
            );
        }
        // What is missing, in two parts: the other processes, and the mark's own error.
        if self.peak - self.followed > below {
            return (
                Kind::MissedProcess,
                format!(
                    "It is the largest process's, never a sum: {} reached {}, all together {}.",
                    self.follows,
                    Bytes(self.followed),
                    Bytes(self.peak)
                )
                .into(),
            );
        }
        (
            Kind::KernelInexactness,
            "The kernel's own mark is off by what was counted but not yet handed in.".into(),
        )
    }

    fn polled(&self) -> (Kind, Cow<'static, str>) {
        if self.told > self.peak {
            if self.told - self.peak <= self.slack() {
                return (
                    Kind::KernelInexactness,
                    "It is above the peak by no more than the kernel's own figures are off.".into(),
                );
            }
            if let Some(parent) = self.parent_of_the_tool() {
                return parent;
            }
            return (Kind::Unexplained, MORE_THAN_ANY.into());
        }
        let (others, unseen) = (self.peak - self.followed, self.followed - self.told);
        if others > unseen {
            return (
                Kind::MissedProcess,
                format!(
                    "It follows {} alone, which reached {}; all together needed {}.",
                    self.follows,
                    Bytes(self.followed),
                    Bytes(self.peak)
                )
                .into(),
            );
        }
        let Some((p, every_ns)) = self.p_so_little.zip(self.every_ns) else {
            return (
                Kind::Unexplained,
                "How often it looks is not known, so that the run cannot tell whether it missed \
                 a spike."
                    .into(),
            );
        };
        let every = Nanos(every_ns);
        if p > 0.0 {
            let often = match p * 100.0 {
                pct if pct >= 1.0 => format!("{pct:.0} %"),
                _ => "less than 1 %".to_owned(),
            };
            return (
                Kind::MissedSpike,
                format!(
                    "It did not look while the peak lasted: of all pollers that look every \
                     {every}, {often} report no more than this."
                )
                .into(),
            );
        }
        if unseen <= self.slack() {
            return (
                Kind::KernelInexactness,
                "It is below the peak by no more than the kernel's own figures are off.".into(),
            );
        }
        (
            Kind::Unexplained,
            format!(
                "Every poller that looks every {every} must have seen more than this in this run: \
                 it may be of another one, or of a part of this one."
            )
            .into(),
        )
    }

    /// What it tells too much is what the command's parent had, which is the tool's: a shell.
    fn parent_of_the_tool(&self) -> Option<(Kind, Cow<'static, str>)> {
        let is_parent = |row: &&ProcessRow| {
            let mut own = self.report.processes.iter();
            row.pid.is_some() && own.any(|own| own.parent_pid == row.pid)
        };
        let above = self.told - self.peak;
        let mut parents = self.aside.iter().filter(is_parent);
        parents.find_map(|row| {
            let (pid, peak) = (row.pid?, row.peak?.rss_bytes);
            let is_it = (above - peak).abs() <= self.slack() + self.step;
            is_it.then(|| {
                let text = format!(
                    "It counts PID {pid} ({}) with the command: the tool started it to run the \
                     command, and it had {}.",
                    row.comm,
                    Bytes(peak)
                );
                (Kind::OtherProcesses, text.into())
            })
        })
    }

    /// By how much a figure of the kernel's may be off.
    fn slack(&self) -> i64 {
        self.report.host.slack_bytes()
    }
}

const MORE_THAN_ANY: &str = "It is more than the run ever held: it is of another run, or counts what is no part of this \
     one.";
