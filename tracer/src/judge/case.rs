//! One figure of a sampler against the run: which part of its error is the largest, and what kind
//! that makes it.

use std::borrow::Cow;

use super::{
    charge,
    sampled::{Evidence, Followed, life},
    schema::Kind,
};
use crate::{
    sampler::{
        eye::{Beside, Figure, Sampler, What},
        series::Look,
    },
    units::{Bytes, Count, Nanos},
};

/// One figure against the run.
pub(super) struct Case<'a> {
    /// The run.
    pub(super) evidence: &'a Evidence<'a>,
    /// The figure.
    pub(super) figure: &'a Figure,
    /// Its highest look.
    pub(super) look: Look,
    /// What else that saw.
    pub(super) beside: Beside,
    /// What it says, bytes.
    pub(super) told: i64,
    /// What it follows.
    pub(super) followed: Followed,
    /// It walks the page tables.
    pub(super) is_walk: bool,
}

impl Case<'_> {
    /// In words, what it follows.
    pub(super) fn follows(&self) -> String {
        match self.figure.what {
            What::Root | What::Mark => {
                let comm = self.evidence.own_rows().last().map(|row| row.comm.as_str());
                let comm = comm.unwrap_or("the command");
                format!("PID {} ({comm})", self.evidence.root)
            }
            _ => "target".to_owned(),
        }
    }

    /// By how much the kernel's own figures may be off in one look.
    fn slack(&self) -> i64 {
        let several = match self.figure.what {
            What::Root | What::Mark => 1,
            _ => {
                let peak = self.evidence.report.peak.as_ref();
                peak.and_then(|peak| peak.processes).unwrap_or(1).max(1)
            }
        };
        let one = match self.is_walk {
            // It counts pages, and no counters.
            true => 0,
            false => self.evidence.report.host.slack_bytes(),
        };
        one.saturating_mul(i64::try_from(several).unwrap_or(i64::MAX))
    }

    pub(super) fn resident(&self) -> (Kind, Cow<'static, str>) {
        let below = self.evidence.peak_bytes - self.told;
        if below < 0 {
            return self.above(-below);
        }
        let is_half = |part: i64| part > 0 && part.saturating_mul(2) >= below;
        if let Some(alone) = self.alone().filter(|(others, _)| is_half(*others)) {
            return (Kind::MissedProcess, alone.1.into());
        }
        if let Beside::Rss(rss_bytes, processes) = self.beside {
            let rss = i64::try_from(rss_bytes).unwrap_or(i64::MAX);
            if is_half(rss - self.told) {
                let (rss, shared) = (Bytes(rss), Bytes(rss - self.told));
                let text = match processes {
                    1 => format!(
                        "The same look counts {rss} of RSS: {shared} of that are pages that other \
                         processes have mapped too, which PSS divides up."
                    ),
                    _ => format!(
                        "The same look counts {rss} of RSS in {processes} processes: {shared} of \
                         that are pages that several have mapped. PSS divides them up, the sum of \
                         RSS counts them for each."
                    ),
                };
                return (Kind::DoubleCountedSharing, text.into());
            }
        }
        let Followed {
            peak,
            readable,
            looked_at,
            least_then,
            unseen: (processes, held),
        } = self.followed;
        if is_half(held) {
            let text = match processes {
                1 => format!(
                    "No look saw one of the processes in all its life; at the peak it held {}.",
                    Bytes(held)
                ),
                several => format!(
                    "No look saw {} of the processes in all their lives; at the peak they held {}.",
                    Count(several as u64),
                    Bytes(held)
                ),
            };
            return (Kind::MissedProcess, text.into());
        }
        let quantum = self.evidence.quantum_bytes;
        if is_half(peak - readable - quantum) {
            let text = format!(
                "Processes that had just ended still held {} of the peak, which no file of /proc \
                 shows.",
                Bytes(peak - readable)
            );
            return (Kind::MissedProcess, text.into());
        }
        let between = readable - looked_at;
        if is_half(between - quantum) {
            let looks = match self.figure.series.count() {
                1 => "Its only look".to_owned(),
                several => format!("Each of its {} looks", Count(several)),
            };
            let text = format!(
                "{looks} fell beside the peak: there was never more than {} then.",
                Bytes(looked_at)
            );
            return (Kind::MissedSpike, text.into());
        }
        // What it read of resident memory: of shares too it read that first.
        let read = match self.beside {
            Beside::Rss(rss_bytes, _) => i64::try_from(rss_bytes).unwrap_or(i64::MAX),
            _ => self.told,
        };
        let can_be_read = read >= least_then - self.slack() - quantum;
        if can_be_read && is_half(looked_at - read) && is_half(looked_at - least_then) {
            let text = format!(
                "It reads one process after the other, and meanwhile they moved: its best look can \
                 have come to anything from {} to {}.",
                Bytes(least_then),
                Bytes(looked_at)
            );
            return (Kind::SlowLook, text.into());
        }
        // What the history does not tell may be time as well as the kernel.
        let is_read_well = (looked_at - self.told).abs() <= self.slack();
        if is_read_well && !is_half(between + quantum) {
            return (Kind::KernelInexactness, BELOW.into());
        }
        if below <= quantum.saturating_mul(2) {
            let text = format!(
                "It is off by little more than {}, the least movement that the history tells, if \
                 at all: whether it looked at the wrong time or the kernel told it too little \
                 cannot be known.",
                Bytes(quantum)
            );
            return (Kind::Unexplained, text.into());
        }
        let parts = [
            (between, "between its looks"),
            (looked_at - read, "while a look lasted"),
            (read - self.told, "by what is shared"),
        ];
        let parts = parts.into_iter().filter(|(bytes, _)| *bytes > quantum);
        let parts: Vec<_> = parts.collect();
        if can_be_read && parts.len() > 1 && is_half(parts.iter().map(|(bytes, _)| bytes).sum()) {
            let parts = parts
                .iter()
                .map(|(bytes, how)| format!("{} {how}", Bytes(*bytes)));
            let parts: Vec<_> = parts.collect();
            let text = format!("No cause of it is half of it: {}.", parts.join(", "));
            return (Kind::Unexplained, text.into());
        }
        (Kind::Unexplained, NOTHING_TELLS.into())
    }

    /// Peak of all beyond that of the process that it follows, and that in words.
    fn alone(&self) -> Option<(i64, String)> {
        let own = self.evidence.own_peak(self.figure.what)?;
        let others = self.evidence.peak_bytes - own;
        let text = format!(
            "It looks at {} alone, which reached {}; all together needed {}.",
            self.follows(),
            Bytes(own),
            Bytes(self.evidence.peak_bytes),
        );
        Some((others, text))
    }

    /// It told more than there ever was at once.
    fn above(&self, above: i64) -> (Kind, Cow<'static, str>) {
        if above <= self.slack() {
            return (Kind::KernelInexactness, ABOVE.into());
        }
        let since = |ns: u64| ns.saturating_sub(self.evidence.start_ns);
        let (begin_ns, end_ns) = (since(self.look.begin_ns), since(self.look.end_ns));
        let shares = self.evidence.report.processes.iter().any(|row| {
            let (began_ns, ended_ns) = life(&[row]);
            row.shares_space_with.is_some() && began_ns <= end_ns && ended_ns >= begin_ns
        });
        if shares {
            return (Kind::DoubleCountedSharing, SHARED_SPACE.into());
        }
        let text = format!(
            "It is more than there ever was at once. The look took {}, and what one process gave \
             back meanwhile may have been counted beside what another took; the run cannot tell.",
            Nanos(end_ns - begin_ns)
        );
        (Kind::Unexplained, text.into())
    }

    pub(super) fn mark(&self) -> (Kind, Cow<'static, str>) {
        let below = self.evidence.peak_bytes - self.told;
        let is_half = |part: i64| part > 0 && part.saturating_mul(2) >= below.abs();
        if let Some(alone) = self.alone().filter(|(others, _)| is_half(*others)) {
            return (Kind::MissedProcess, alone.1.into());
        }
        let own = self.followed.peak - self.told;
        if own.abs() <= self.slack() {
            return (
                Kind::KernelInexactness,
                if own < 0 { ABOVE } else { BELOW }.into(),
            );
        }
        let rows = self.evidence.own_rows().filter_map(|row| row.peak);
        let highest = rows.max_by_key(|peak| peak.rss_bytes);
        let last_ns = self.figure.series.looks().last().map(|look| look.end_ns);
        let last_ns = last_ns.map(|ns| ns.saturating_sub(self.evidence.start_ns));
        let peak_ns = highest.and_then(|peak| peak.at_ns);
        if let Some((last_ns, peak_ns)) = last_ns.zip(peak_ns).filter(|(last, peak)| last < peak) {
            let text = format!(
                "It was read last after {}, the peak came after {}.",
                Nanos(last_ns),
                Nanos(peak_ns)
            );
            return (Kind::MissedSpike, text.into());
        }
        (Kind::Unexplained, NOTHING_TELLS.into())
    }

    /// What a cgroup's figure is judged by; `None` if the look did not read its files. A mark shows
    /// only afterwards what it was: it is judged by the look at which there was most.
    pub(super) fn charge(&self, sampler: &Sampler) -> Option<charge::Charge> {
        let is_mark = self.figure.what == What::ChargedMark;
        let of_usage = || {
            sampler
                .figures
                .iter()
                .find(|figure| figure.what == What::Charged)
        };
        let beside = match is_mark {
            true => of_usage()?.series.highest()?.1,
            false => self.beside,
        };
        let Beside::Charged(charged) = beside else {
            return None;
        };
        Some(charge::Charge {
            told: self.told,
            charged,
            looked_at: self.followed.looked_at,
            between: match is_mark {
                true => 0,
                false => self.followed.readable - self.followed.looked_at,
            },
            looks: self.figure.series.count(),
        })
    }
}

const BELOW: &str = "It looked in time. The kernel's figure leaves out what was counted but not yet \
     handed in.";
const ABOVE: &str = "It is above the peak by no more than the kernel's own figures are off.";
const SHARED_SPACE: &str = "A process in the middle of vfork or clone runs in the memory of its parent, and was counted \
     beside it.";
const NOTHING_TELLS: &str =
    "Neither the times of its looks nor the kernel's inexactness explain it.";
