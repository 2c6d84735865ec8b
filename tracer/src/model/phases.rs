//! Phases: markers come in, each with the segments of its space and of the target that it ended;
//! out come intervals with peaks of their own.
//!
//! Segments lie end to end, cut by every marker of whomever. So the peak of a phase is the highest
//! of the segments between its begin and its end, whoever cut them.

use std::collections::BTreeMap;

use tracer_common::{
    ledger::{Space, Target},
    record::{Level, Marked, mark},
};

use super::{
    held::Held,
    phase::{EndedBy, Open, Phase, Track},
    process::name as text,
};
use crate::event::PhaseCharge;

/// Entries kept one by one; the rest is in the summaries.
pub const MAX_KEPT: usize = 10_000;
/// Phases open at the same time, of all processes; what begins beyond is counted only.
pub const MAX_OPEN: usize = 4_096;
/// Names told apart.
pub const MAX_NAMES: usize = 4_096;
/// Values told apart in a summary's histograms.
const VALUES: usize = 128;

/// All entries of one name.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Entries that ended.
    pub count: u64,
    /// Entries that began.
    pub begun: u64,
    /// When the first one began, `CLOCK_MONOTONIC` nanoseconds.
    pub first_ns: u64,
    /// How deep the first one was.
    pub depth: usize,
    /// Highest peak, pages: of the own space, or of the target for its own phases.
    pub peak_max: i64,
    /// Sum of the peaks, pages.
    pub peak_sum: i128,
    /// Highest peak of the target, pages.
    pub target_peak_max: i64,
    /// Greatest growth above the begin, pages.
    pub growth_max: i64,
    /// Sum of the durations, nanoseconds.
    pub duration_ns: u64,
    /// How many entries had which peak, pages.
    pub peaks: Held,
    /// How many took how long, nanoseconds.
    pub durations: Held,
}

/// What went wrong with markers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Ends that no begin belongs to.
    pub unmatched_ends: u64,
    /// Names that could not be read: `phase-N` stands for them.
    pub unreadable_names: u64,
    /// Begins beyond [`MAX_OPEN`] or [`MAX_NAMES`].
    pub too_many: u64,
    /// Entries beyond [`MAX_KEPT`], which only the summaries tell.
    pub not_kept: u64,
    /// Phases that were still open at the end.
    pub left_open: u64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Phases {
    /// Markers that came before their turn.
    waiting: BTreeMap<u64, (Marked, Option<u32>)>,
    handled: u64,
    open: Vec<Open>,
    kept: Vec<Phase>,
    by_name: BTreeMap<String, Summary>,
    trouble: Trouble,
    functions: Vec<String>,
}

impl Phases {
    /// Names of the functions that are phases, by number.
    pub fn name_functions(&mut self, names: &[String]) {
        self.functions = names.to_vec();
    }

    /// Takes a marker in. Those of several CPUs may come a little out of order.
    pub fn add(&mut self, mark: Marked, pid: Option<u32>) {
        self.waiting.insert(mark.order, (mark, pid));
        while let Some((mark, pid)) = self.waiting.remove(&(self.handled + 1)) {
            self.handle(&mark, pid);
        }
    }

    /// The stream tells of a level.
    pub fn level(&mut self, level: &Level) {
        for open in &mut self.open {
            open.hold(
                level.space,
                level.split.rss(),
                level.target_rss,
                level.header.at_ns,
            );
        }
    }

    /// The ledger of a space, final or as it stands: its last segment.
    pub fn ledger(&mut self, ledger: &Space) {
        let segment = ledger.segment.max(ledger.late_segment);
        for open in self.open.iter_mut().filter(|open| open.space == ledger.id) {
            open.pass_space(segment, ledger.level.rss());
        }
    }

    /// A process ended. Its phases have ended by its marker, unless that was lost.
    pub fn exited(&mut self, process: u32, at_ns: u64) {
        let of_process = |open: &Open| open.phase.track.process() == Some(process);
        self.close(of_process, EndedBy::Exit, at_ns, None);
    }

    /// Tracing ended, with the target's ledger if it is known.
    pub fn end(&mut self, at_ns: u64, target: Option<&Target>) {
        // A gap in the order is a defect of the kernel side; what came after still counts.
        for (mark, pid) in std::mem::take(&mut self.waiting).into_values() {
            self.handle(&mark, pid);
        }
        if let Some(target) = target {
            let segment = target.segment.max(target.late_segment);
            for open in &mut self.open {
                open.pass_target(segment, target.level_rss);
            }
        }
        self.trouble.left_open += self.open.len() as u64;
        self.close(|_| true, EndedBy::TraceEnd, at_ns, None);
        self.kept.sort_by_key(|phase| (phase.start_ns, phase.depth));
    }

    /// Entries kept, by begin; complete after the end.
    pub fn kept(&self) -> &[Phase] {
        &self.kept
    }

    /// Entries that have not ended.
    pub fn open(&self) -> impl Iterator<Item = &Phase> {
        self.open.iter().map(|open| &open.phase)
    }

    /// What the target's cgroup was charged with at most, while a phase was open that a marker began.
    pub fn charged(&mut self, begun_by: u64, charge: PhaseCharge) {
        let mut kept = self.kept.iter_mut();
        // It has just ended.
        if let Some(phase) = kept.rfind(|phase| phase.begun_by == begun_by) {
            phase.charge = Some(charge);
        }
    }

    /// All entries, by name.
    pub fn by_name(&self) -> &BTreeMap<String, Summary> {
        &self.by_name
    }

    /// What went wrong.
    pub fn trouble(&self) -> Trouble {
        self.trouble
    }

    fn handle(&mut self, mark: &Marked, pid: Option<u32>) {
        self.handled = mark.order;
        self.open.iter_mut().for_each(|open| open.pass(mark));
        let (process, thread, at_ns) = (mark.process, mark.thread, mark.header.at_ns);
        let own = match mark.track {
            0 => Track::Thread { process, thread },
            track => Track::Named { process, track },
        };
        let functions = Track::Functions { process, thread };
        let of_process = |open: &Open| open.phase.track.process() == Some(process);
        match mark.what {
            mark::BEGIN => self.begin(mark, pid, own),
            mark::BEGIN_TARGET => self.begin(mark, pid, Track::Target),
            mark::PROGRAM => self.begin(mark, pid, Track::Programs { process }),
            mark::END => self.end_by_mark(mark, own),
            mark::END_TARGET => self.end_by_mark(mark, Track::Target),
            mark::INSTANT => {
                self.begin(mark, pid, own);
                self.end_innermost(mark, |open| open.phase.track == own);
            }
            mark::ENTERED => {
                self.drop_dead_frames(mark, functions);
                self.begin(mark, pid, functions);
            }
            mark::RETURNED => self.end_function(mark, functions),
            mark::THREAD_ENDS => self.close(
                |open| {
                    open.phase.track == Track::Thread { process, thread }
                        || open.phase.track == functions
                },
                EndedBy::ThreadEnd,
                at_ns,
                Some(mark),
            ),
            mark::PROCESS_ENDS => self.close(of_process, EndedBy::Exit, at_ns, Some(mark)),
            mark::EXECS => self.close(of_process, EndedBy::Exec, at_ns, Some(mark)),
            _ => {}
        }
    }

    fn begin(&mut self, mark: &Marked, pid: Option<u32>, track: Track) {
        let name = self.name(mark);
        let is_new = !self.by_name.contains_key(&name);
        if self.open.len() >= MAX_OPEN || (is_new && self.by_name.len() >= MAX_NAMES) {
            self.trouble.too_many += 1;
            return;
        }
        let depth = self.open.iter().filter(|open| open.phase.track == track);
        let depth = depth.count();
        let summary = self.by_name.entry(name.clone()).or_insert_with(|| Summary {
            first_ns: mark.header.at_ns,
            depth,
            ..Summary::default()
        });
        summary.begun += 1;
        let place = (summary.begun, depth);
        self.open.push(Open::begin(mark, pid, track, name, place));
    }

    fn name(&mut self, mark: &Marked) -> String {
        if matches!(mark.what, mark::ENTERED | mark::RETURNED) {
            let known = self.functions.get(mark.function as usize);
            return known
                .cloned()
                .unwrap_or_else(|| format!("function-{}", mark.function));
        }
        match mark.name.get(..mark.name_len as usize) {
            Some(bytes) if !text(bytes).is_empty() => text(bytes),
            found => {
                self.trouble.unreadable_names += u64::from(found.is_none());
                format!("phase-{}", mark.order)
            }
        }
    }

    /// An end with a name closes the innermost of that name, one without the innermost, and so does
    /// one whose name could not be read.
    fn end_by_mark(&mut self, mark: &Marked, track: Track) {
        let name = mark.name.get(..mark.name_len as usize).map(text);
        self.trouble.unreadable_names += u64::from(name.is_none());
        let name = name.filter(|name| !name.is_empty());
        let ended = self.end_innermost(mark, |open| {
            let is_it = name.as_ref().is_none_or(|name| *name == open.phase.name);
            open.phase.track == track && is_it
        });
        self.trouble.unmatched_ends += u64::from(!ended);
    }

    fn end_innermost(&mut self, mark: &Marked, is_it: impl Fn(&Open) -> bool) -> bool {
        let Some(at) = self.open.iter().rposition(is_it) else {
            return false;
        };
        let phase = self.open.remove(at);
        self.keep(phase.end(EndedBy::Mark, mark.header.at_ns, Some(mark)));
        true
    }

    /// A frame at the stack pointer or below it is gone: its function was left by a jump.
    fn drop_dead_frames(&mut self, mark: &Marked, track: Track) {
        let is_dead =
            |open: &Open| open.phase.track == track && open.stack_pointer <= mark.stack_pointer;
        self.close(is_dead, EndedBy::Jump, mark.header.at_ns, Some(mark));
    }

    fn end_function(&mut self, mark: &Marked, track: Track) {
        let frame = mark.stack_pointer;
        // What was entered after it and has not returned was left by a jump.
        let is_inner = |open: &Open| open.phase.track == track && open.stack_pointer < frame;
        self.close(is_inner, EndedBy::Jump, mark.header.at_ns, Some(mark));
        // Without a beginning it was entered before the tracing began.
        self.end_innermost(mark, |open| {
            open.phase.track == track
                && open.function == mark.function
                && open.stack_pointer == frame
        });
    }

    /// Closes all of a kind, the innermost first.
    fn close(
        &mut self,
        is_it: impl Fn(&Open) -> bool,
        by: EndedBy,
        at_ns: u64,
        mark: Option<&Marked>,
    ) {
        for at in (0..self.open.len()).rev() {
            if is_it(&self.open[at]) {
                let phase = self.open.remove(at).end(by, at_ns, mark);
                self.keep(phase);
            }
        }
    }

    fn keep(&mut self, phase: Phase) {
        let summary = self.by_name.entry(phase.name.clone()).or_default();
        let span = phase.own.unwrap_or(phase.target);
        let duration_ns = phase.end_ns.saturating_sub(phase.start_ns);
        if summary.count == 0 {
            summary.peak_max = span.peak;
            summary.target_peak_max = phase.target.peak;
            summary.growth_max = span.growth();
        }
        summary.count += 1;
        summary.peak_max = summary.peak_max.max(span.peak);
        summary.peak_sum += i128::from(span.peak);
        summary.target_peak_max = summary.target_peak_max.max(phase.target.peak);
        summary.growth_max = summary.growth_max.max(span.growth());
        summary.duration_ns = summary.duration_ns.saturating_add(duration_ns);
        summary.peaks.add(span.peak, 1, VALUES);
        let duration = i64::try_from(duration_ns).unwrap_or(i64::MAX);
        summary.durations.add(duration, 1, VALUES);
        if self.kept.len() < MAX_KEPT {
            self.kept.push(phase);
        } else {
            self.trouble.not_kept += 1;
        }
    }
}
