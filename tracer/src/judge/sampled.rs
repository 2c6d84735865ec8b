//! What samplers said that ran beside the exact trace: how far off, of what kind, and why. The
//! error is split into parts that the run measures: processes not looked at, the highest level at
//! the times of the looks, what was read then. A kind is named only for a part of at least half
//! the error; else the error is unexplained.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    case::Case,
    charge,
    schema::{CostRuns, Kind, ToolVerdict},
    track::Whose,
    verdict::ms,
    windows::{Window, Windows},
};
use crate::{
    report::schema::{ProcessRow, Report},
    sampler::{
        Seen,
        asked::Instrument,
        charged::Place,
        eye::{Figure, Sampler, What},
    },
};

/// The history may tell of the change that made the peak a moment after the ledger's time of it.
const TOLD_WITHIN_NS: u64 = 1_000;
/// Processes whose levels at one time are looked up one by one, at most: those with the highest
/// peaks.
const MOST_UNSEEN: usize = 64;

/// Samplers of a run that have done their work.
pub struct Looked {
    /// Them.
    pub samplers: Vec<Seen<Sampler>>,
    /// The cgroup that they looked at.
    pub place: Option<Place>,
    /// What `wait4` is to be judged for too.
    pub judges_max_rss: bool,
    /// What each cost the target, by the name it was asked for with.
    pub costs: BTreeMap<String, Cost>,
}

/// What a sampler cost the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// The middle of the ratios.
    pub middle: f64,
    /// What it rests on.
    pub runs: CostRuns,
}

/// What of the run the verdicts rest on.
pub struct Evidence<'a> {
    /// The run.
    pub report: &'a Report,
    /// The exact peak, bytes.
    pub peak_bytes: i64,
    /// The command's first process.
    pub root: u32,
    /// When tracing began on the clock of the looks, nanoseconds.
    pub start_ns: u64,
    /// Levels between two records are off by less than this.
    pub quantum_bytes: i64,
}

/// The level of what a figure follows, as the run has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    /// Its exact peak, bytes.
    pub(super) peak: i64,
    /// The highest of it that any poller could have read, at any time.
    pub(super) readable: i64,
    /// The highest while one of the looks lasted, and the least that the same one can have read.
    pub(super) looked_at: i64,
    /// See `looked_at`.
    pub(super) least_then: i64,
    /// Processes that no look saw, and what they held at the peak.
    pub(super) unseen: (usize, i64),
}

impl Evidence<'_> {
    /// Judges them all. `levels` lets windows see the run.
    ///
    /// # Errors
    ///
    /// What `levels` says.
    pub fn verdicts(
        &self,
        looked: &Looked,
        mut levels: impl FnMut(&mut [Windows]) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<ToolVerdict>> {
        let samplers = looked.samplers.iter();
        let figures = samplers.flat_map(|seen| seen.eye.figures.iter().map(move |of| (seen, of)));
        let figures: Vec<_> = figures.collect();
        let mut windows = vec![Windows::new(Whose::Target, vec![(0, u64::MAX)])];
        let mut ranges = Vec::new();
        for (seen, figure) in &figures {
            let looks = windows.len();
            windows.extend(self.looks(figure));
            let unseen = windows.len();
            windows.extend(self.unseen(&seen.eye));
            ranges.push((looks, unseen, windows.len()));
        }
        levels(&mut windows)?;
        let highest: Vec<(Window, (i64, i64))> = windows
            .iter_mut()
            .map(|of| of.best().unwrap_or_default())
            .collect();
        let best = |(looks, unseen, _): (usize, usize, usize)| {
            let best = highest[looks..unseen].iter();
            let best = best.max_by_key(|(_, (_, highest))| *highest);
            best.copied().unwrap_or_default()
        };
        let least = self.least(
            figures.iter().zip(&ranges).map(|((_, figure), range)| {
                let several = matches!(figure.what, What::Tree | What::Shares);
                several.then(|| best(*range).0)
            }),
            &mut levels,
        )?;
        let verdicts = figures
            .iter()
            .zip(ranges.into_iter().zip(least))
            .filter_map(|((seen, figure), (range, least))| {
                let (_, unseen, end) = range;
                let held = highest[unseen..end].iter().map(|(_, (_, bytes))| *bytes);
                let held = held.filter(|bytes| *bytes > 0);
                let (_, (least_then, looked_at)) = best(range);
                let least_then = least.map_or(least_then, |least| least.min(least_then));
                let own = self.own_peak(figure.what);
                let followed = Followed {
                    peak: own.unwrap_or(self.peak_bytes),
                    readable: own.unwrap_or(highest[0].1.1),
                    looked_at,
                    least_then,
                    unseen: (held.clone().count(), held.sum()),
                };
                self.verdict(looked, seen, figure, followed)
            });
        Ok(verdicts.collect())
    }

    /// The least that looks at all processes, one after the other, can have come to: what each had
    /// at least while the look lasted, summed.
    fn least(
        &self,
        looks: impl Iterator<Item = Option<Window>>,
        levels: &mut impl FnMut(&mut [Windows]) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<Option<i64>>> {
        let mut windows = Vec::new();
        let mut ranges = Vec::new();
        for look in looks {
            let first = windows.len();
            if let Some((from_ns, to_ns)) = look {
                let mut rows: Vec<_> = self.report.processes.iter().collect();
                // One that was not there all the time may have given nothing.
                rows.retain(|row| {
                    let (begin_ns, end_ns) = life(&[row]);
                    begin_ns <= from_ns && end_ns > to_ns
                });
                rows.sort_by_key(|row| Reverse(row.peak.map(|peak| peak.rss_bytes)));
                let spaces = rows.iter().filter_map(|row| row.space).take(MOST_UNSEEN);
                windows.extend(
                    spaces.map(|space| Windows::new(Whose::Space(space), vec![(from_ns, to_ns)])),
                );
            }
            ranges.push(look.map(|_| first..windows.len()));
        }
        levels(&mut windows)?;
        let least: Vec<i64> = windows
            .iter_mut()
            .map(|of| of.best().map_or(0, |(_, (least, _))| least))
            .collect();
        let sums = ranges
            .into_iter()
            .map(|range| Some(least[range?].iter().sum()));
        Ok(sums.collect())
    }

    /// The rows of the command's process.
    pub(super) fn own_rows(&self) -> impl Iterator<Item = &ProcessRow> {
        let rows = self.report.processes.iter();
        rows.filter(|row| row.pid == Some(self.root))
    }

    /// The peak of the process that a figure is of; `None` if it is of more.
    pub(super) fn own_peak(&self, what: What) -> Option<i64> {
        let peaks = self.own_rows().filter_map(|row| row.peak);
        let own = peaks.map(|peak| peak.rss_bytes).max();
        own.filter(|_| matches!(what, What::Root | What::Mark))
    }

    /// When a figure looked, at the spaces that it looked at.
    fn looks(&self, figure: &Figure) -> Vec<Windows> {
        let since = |ns: u64| ns.saturating_sub(self.start_ns);
        let looks = figure.series.looks().iter();
        let looks: Vec<Window> = looks
            .map(|look| (since(look.begin_ns), since(look.end_ns)))
            .collect();
        match figure.what {
            What::Root => {
                let rows = self.own_rows().filter_map(|row| Some((row, row.space?)));
                let windows = rows.map(|(row, space)| {
                    let (begin_ns, end_ns) = life(&[row]);
                    let within = looks
                        .iter()
                        .filter(|look| look.1 >= begin_ns && look.0 <= end_ns);
                    Windows::new(Whose::Space(space), within.copied().collect())
                });
                windows.collect()
            }
            // A mark is of all the time before.
            What::Mark | What::ChargedMark => Vec::new(),
            _ => vec![Windows::new(Whose::Target, looks)],
        }
    }

    /// Processes that lived at the peak and that no look saw in all their life.
    fn unseen(&self, sampler: &Sampler) -> Vec<Windows> {
        let is_of_tree = sampler
            .figures
            .iter()
            .any(|figure| figure.what == What::Tree);
        let peak = self.report.peak.as_ref();
        let Some(at_ns) = peak.and_then(|peak| peak.at_ns).filter(|_| is_of_tree) else {
            return Vec::new();
        };
        let mut rows: Vec<_> = self.report.processes.iter().collect();
        rows.retain(|row| {
            let (begin_ns, end_ns) = life(&[row]);
            let of_pid = self
                .report
                .processes
                .iter()
                .filter(|other| other.pid == row.pid);
            let lived = life(&of_pid.collect::<Vec<_>>());
            // On the clock of the looks.
            let [from_ns, to_ns] = [lived.0, lived.1].map(|ns| ns.saturating_add(self.start_ns));
            let saw = row
                .pid
                .and_then(|pid| sampler.known.saw(pid, from_ns, to_ns));
            row.space.is_some() && (begin_ns..=end_ns).contains(&at_ns) && saw == Some(false)
        });
        rows.sort_by_key(|row| Reverse(row.peak.map(|peak| peak.rss_bytes)));
        let spaces = rows.iter().filter_map(|row| row.space).take(MOST_UNSEEN);
        let windows = spaces
            .map(|space| Windows::new(Whose::Space(space), vec![(at_ns, at_ns + TOLD_WITHIN_NS)]));
        windows.collect()
    }

    fn verdict(
        &self,
        looked: &Looked,
        seen: &Seen<Sampler>,
        figure: &Figure,
        followed: Followed,
    ) -> Option<ToolVerdict> {
        let (look, beside) = figure.series.highest()?;
        let told = i64::try_from(look.bytes).unwrap_or(i64::MAX);
        let step_bytes = match figure.what {
            What::Tree | What::Root => self.report.host.page_bytes,
            _ => 1024,
        };
        let case = Case {
            evidence: self,
            figure,
            look: *look,
            beside: *beside,
            told,
            followed,
            is_walk: seen.eye.asked.instrument == Instrument::Smaps,
        };
        let is_right = told.abs_diff(self.peak_bytes) <= step_bytes;
        let (kind, why) = match figure.what {
            _ if is_right => (
                Kind::None,
                "It is the exact peak, as finely as it prints.".into(),
            ),
            What::Tree | What::Root | What::Shares => case.resident(),
            What::Mark => case.mark(),
            What::Charged | What::Docker | What::ChargedMark => charge::judge(
                self,
                looked.place.as_ref(),
                figure.what,
                &case.charge(&seen.eye)?,
            ),
        };
        let cost = looked.costs.get(&seen.eye.asked.name);
        Some(ToolVerdict {
            name: figure.name.clone(),
            bytes: look.bytes,
            error_bytes: told - self.peak_bytes,
            error_pct: (told - self.peak_bytes) as f64 * 100.0 / self.peak_bytes as f64,
            against: "target".to_owned(),
            kind,
            why,
            cost: cost.map(|cost| cost.middle),
            cost_why: cost.is_none().then_some(NOT_PAIRED),
            cost_runs: cost.map(|cost| cost.runs),
            cpu_ns: Some(seen.cpu_ns),
            step_bytes,
            samples: Some(figure.series.count()),
            interval_ms: figure.series.every_ns().map(ms),
            follows: Some(case.follows()),
            same_run: Some(true),
            clock: None,
        })
    }
}

const NOT_PAIRED: &str = "Pairs of runs tell: --cost N.";

/// From the first beginning to the last end, nanoseconds from the start of tracing.
pub(super) fn life(rows: &[&ProcessRow]) -> Window {
    let begins = rows.iter().map(|row| row.start_ns.unwrap_or(0));
    let ends = rows.iter().map(|row| row.end_ns.unwrap_or(u64::MAX));
    (begins.min().unwrap_or(0), ends.max().unwrap_or(u64::MAX))
}
