//! `memtrace judge`: how wrong a tool is that looks now and then, held against the exact run in a
//! capture; and what other tools said of the same run.
//!
//! The report tells what there is to judge ([`subjects`]); further passes over the capture give
//! its levels ([`pass`]) to tracks, whose folds know what every poller sees. Memory stays bounded:
//! what does not fit takes another pass. Pure but for the files named.

pub mod action;
pub mod case;
pub mod charge;
pub mod cost;
pub mod fold;
pub mod import;
pub mod ladder;
pub mod live;
pub mod marks;
pub mod part;
pub mod pass;
pub mod place;
pub mod sampled;
pub mod scale;
pub mod schema;
pub mod score;
pub mod shift;
pub mod subjects;
pub mod track;
pub mod verdict;
pub mod windows;
pub mod wrap;

use std::{collections::HashSet, path::Path};

use anyhow::Context as _;

use self::{
    fold::LONGEST_NS,
    import::Imported,
    ladder::LADDER,
    part::{Command, Highest, Part},
    pass::{Begun, pass},
    place::Place,
    sampled::{Evidence, Looked},
    schema::{Judgement, PhaseJudgement, RowJudgement, SCHEMA, ToolVerdict, Wrapping},
    track::{Span, Track, Whose},
    windows::Windows,
};
use crate::{
    capture::Reader,
    event::{Doubt, Event},
    replay,
    report::schema::{ProcessRow, Report},
};

/// Pieces that the folds of a pass share, each an equal part: 8 bytes each, up to twice that while
/// they grow. More would take fewer passes.
const PIECES: usize = 1_500_000;
/// With fewer, a fold would take too many passes.
const PIECES_EACH: usize = 1_000;

/// A capture that can be passed over again and again.
struct Run<'a> {
    capture: &'a Path,
    begun: Begun,
    readable_until: Vec<(u64, u32)>,
    /// The spaces that are the target, if not all are.
    only: Option<HashSet<u32>>,
    /// Spaces torn down at the same time, at most.
    most_hidden: usize,
}

impl Run<'_> {
    /// Lets tracks of these spans see the run, as often as they need.
    fn fold(&mut self, asked: &[(Span, Vec<u64>)]) -> anyhow::Result<Vec<Track>> {
        let folds: usize = asked.iter().map(|(_, intervals)| intervals.len()).sum();
        let most_pieces = (PIECES / folds.max(1)).max(PIECES_EACH);
        let mut tracks: Vec<_> = asked
            .iter()
            .map(|(span, intervals)| Track::new(*span, intervals, most_pieces))
            .collect();
        let mut is_left = folds > 0;
        while is_left {
            let events = Reader::open(self.capture)?;
            let only = self.only.as_ref();
            let hidden = pass(events, self.begun, &self.readable_until, only, &mut tracks);
            self.most_hidden = self.most_hidden.max(hidden);
            is_left = false;
            for track in &mut tracks {
                is_left |= track.end_pass();
            }
        }
        Ok(tracks)
    }

    /// Lets windows see the run.
    fn look(&self, windows: &mut [Windows]) -> anyhow::Result<()> {
        let events = Reader::open(self.capture)?;
        let only = self.only.as_ref();
        pass(events, self.begun, &self.readable_until, only, windows);
        Ok(())
    }
}

/// What else is known of a run: what others said of it.
#[derive(Clone, Copy, Default)]
pub struct Others<'a> {
    /// Files of other tools.
    pub imported: &'a [Imported],
    /// Samplers beside it.
    pub looked: Option<&'a Looked>,
    /// A tool ran the command, and is not to be judged with it.
    pub wrapped: Option<Wrapped<'a>>,
}

/// A command that a tool ran.
#[derive(Clone, Copy)]
pub struct Wrapped<'a> {
    /// The command.
    pub command: &'a Command,
    /// The tool, with the command in its place.
    pub line: &'a [String],
}

/// Judges a capture, and what other tools said of the same run.
///
/// # Errors
///
/// If it gives no report, or if its peak is not known.
pub fn judge(capture: &Path, others: Others<'_>) -> anyhow::Result<Judgement> {
    let mut report = replay::report(capture)?;
    let begun = begun(capture)?;
    let (mut only, mut aside, mut wrap) = (None, Vec::new(), None);
    if let Some(wrapped) = others.wrapped {
        let part = Part::find(&report, wrapped.command)?;
        let mut highest = [Highest::default()];
        let events = Reader::open(capture)?;
        pass(events, begun, &[], Some(&part.spaces), &mut highest);
        let [highest] = highest;
        let together = report.peak.as_ref().map(|peak| peak.rss_bytes);
        (report, aside) = part.of(report, wrapped.command, highest)?;
        wrap = Some(Wrapping {
            argv: wrapped.line.to_vec(),
            times: part.times as u64,
            processes: own_pids(&aside, &report.processes),
            together_peak_bytes: together,
        });
        only = Some(part.spaces);
    }
    let report = report;
    let marks = others
        .looked
        .map_or_else(Vec::new, |looked| marks::of(&report, looked));
    let imported: Vec<_> = others.imported.iter().cloned().chain(marks).collect();
    let target = subjects::target(&report).with_context(|| {
        format!(
            "{} cannot be judged: what it tells has no peak to hold anything against",
            capture.display()
        )
    })?;
    let rows = subjects::rows(&report);
    let phases = subjects::phases(&report);
    let place = |imported| place::find(&report, &aside, begun.start_ns, wrap.is_some(), imported);
    let places = imported.iter().map(place);
    let places: Vec<_> = places.collect();

    let mut run = Run {
        capture,
        begun,
        readable_until: subjects::readable_until(&report),
        only,
        most_hidden: 0,
    };
    let parts = rows.iter().map(|row| row.1);
    let parts = parts.chain(phases.iter().map(|phase| phase.1));
    let spans = [target].into_iter().chain(parts);
    let mut asked: Vec<(Span, Vec<u64>)> = spans.map(|span| (span, LADDER.to_vec())).collect();
    let judged = asked.len();
    let looks: Vec<_> = places
        .iter()
        .map(|place| look(&report, place, &mut asked))
        .collect();
    let tracks = run.fold(&asked)?;
    let finer: Vec<_> = tracks[..judged]
        .iter()
        .map(|track| (track.span, verdict::finer(&track.folds()[..LADDER.len()])))
        .collect();
    let finer = run.fold(&finer)?;

    let bound_bytes = |spaces: usize| {
        let quantum_bytes = report.certainty.stream.allowed_bytes;
        let is_whole = report.certainty.stream.agrees == Some(true);
        is_whole.then(|| quantum_bytes.saturating_mul(spaces as u64))
    };
    let of_all = bound_bytes(1 + run.most_hidden);
    let pollers = |i: usize, bound: Option<u64>| {
        let track = &tracks[i];
        let ladder = &track.folds()[..LADDER.len()];
        verdict::pollers(ladder, track, finer[i].folds(), bound)
    };
    let processes = (1..).zip(&rows).map(|(i, (row, _))| RowJudgement {
        pid: row.pid,
        image: row.image,
        comm: row.comm.clone(),
        argv: row.argv.clone(),
        pollers: pollers(i, bound_bytes(1)),
    });
    let phases = (1 + rows.len()..).zip(&phases);
    let phases = phases.map(|(i, (phase, span))| PhaseJudgement {
        name: phase.name.clone(),
        nth: phase.nth,
        pid: phase.pid,
        pollers: pollers(
            i,
            match span.whose {
                Whose::Target => of_all,
                Whose::Space(_) => bound_bytes(1),
            },
        ),
    });
    let tools = imported.iter().zip(&places).zip(looks);
    let tools = tools.map(|((imported, place), look)| {
        let p_so_little = look.map(|(track, fold)| {
            let bytes = i64::try_from(imported.peak_bytes).unwrap_or(i64::MAX);
            let track: &Track = &tracks[track];
            verdict::at_most(&track.folds()[fold], track, bytes)
        });
        score::verdict(
            &report,
            &aside,
            target.peak_bytes,
            imported,
            place,
            p_so_little,
        )
    });
    let mut tools: Vec<ToolVerdict> = tools.collect();
    // Marks of the kernel are of this run, and are kept whether anybody reads them or not.
    for mark in &mut tools[others.imported.len()..] {
        mark.same_run = Some(true);
        mark.cost_why = Some("The kernel keeps it of every process anyway.");
    }
    if let Some(looked) = others.looked {
        let evidence = Evidence {
            report: &report,
            peak_bytes: target.peak_bytes,
            root: marks::root(&report),
            start_ns: begun.start_ns,
            quantum_bytes: report.certainty.stream.allowed_bytes.cast_signed(),
        };
        let sampled = evidence.verdicts(looked, |windows| run.look(windows))?;
        tools.splice(0..0, sampled);
    }
    let folded: u64 = report.folded.iter().map(|folded| folded.rows).sum();
    Ok(Judgement {
        schema: SCHEMA,
        target: report.target.asked.clone(),
        wrap,
        started_at: report.started_at.clone(),
        of_target: pollers(0, of_all),
        peak_error_bound_bytes: report.certainty.peak_error_bound_bytes,
        bound_bytes: of_all,
        error_steps_pct: verdict::error_steps(),
        processes: processes.collect(),
        phases: phases.collect(),
        processes_left_out: (report.processes.len() - rows.len()) as u64 + folded,
        tools,
        doubts: doubts(&report, others, &places),
    })
}

/// Adds a fold of the interval at which a tool looked, on what it looked at: the places of its
/// track and of the fold there.
fn look(
    report: &Report,
    place: &Place<'_>,
    asked: &mut Vec<(Span, Vec<u64>)>,
) -> Option<(usize, usize)> {
    let every_ns = place.every_ns.filter(|ns| *ns <= LONGEST_NS)?;
    let span = place.subject.span(report)?;
    let track = asked.iter().position(|(known, _)| *known == span);
    let track = track.unwrap_or_else(|| {
        asked.push((span, Vec::new()));
        asked.len() - 1
    });
    let folds = &mut asked[track].1;
    let fold = folds.iter().position(|known| *known == every_ns);
    let fold = fold.unwrap_or_else(|| {
        folds.push(every_ns);
        folds.len() - 1
    });
    Some((track, fold))
}

/// How the run began.
fn begun(capture: &Path) -> anyhow::Result<Begun> {
    let mut events = Reader::open(capture)?;
    let begun = events.find_map(|event| match event {
        Event::Begun(begun) => Some(Begun {
            start_ns: begun.start_ns,
            page_bytes: i64::try_from(begun.page_bytes).unwrap_or(i64::MAX),
        }),
        _ => None,
    });
    begun.context("the capture has no beginning")
}

/// What speaks against the run speaks against its judgement; and what speaks against this alone.
fn doubts(report: &Report, others: Others<'_>, places: &[Place<'_>]) -> Vec<Doubt> {
    let mut doubts = report.certainty.doubts.clone();
    if report.certainty.stream.agrees != Some(true) {
        doubts.push(Doubt {
            id: "judged-with-gaps".to_owned(),
            text: "The history is not whole, so that a spike may be told too short, too long or \
                   not at all: no bound can be given for the probabilities."
                .to_owned(),
            remedy: "Run again, with a larger --quantum if levels were lost.".to_owned(),
        });
    }
    let files = &places[..others.imported.len()];
    if files.iter().any(|place| place.same_run.is_none()) {
        doubts.push(Doubt {
            id: "imports-without-date".to_owned(),
            text: "Whether a file of another tool is of this very run cannot be told where it \
                   has no clock. No two runs of a program are quite the same."
                .to_owned(),
            remedy: "Run the tool under memtrace: memtrace -o run.mtr -- TOOL CMD.".to_owned(),
        });
    }
    if others.wrapped.is_some() && report.certainty.peak_error_bound_bytes.is_none() {
        doubts.push(Doubt {
            id: "command-not-exact".to_owned(),
            text:
                "The peak of the command alone is summed up from the history, which is not whole."
                    .to_owned(),
            remedy: "Run the command without the tool: memtrace -- CMD.".to_owned(),
        });
    }
    let samplers = others.looked.iter().flat_map(|looked| &looked.samplers);
    let figures = samplers.flat_map(|seen| &seen.eye.figures);
    for figure in figures.filter(|figure| figure.series.highest().is_none()) {
        doubts.push(Doubt {
            id: "tool-saw-nothing".to_owned(),
            text: format!(
                "{} saw nothing: at none of its looks was there anything to read.",
                figure.name
            ),
            remedy: "Let it look more often.".to_owned(),
        });
    }
    doubts
}

/// Processes of the tool that never were the command's.
fn own_pids(tool: &[ProcessRow], command: &[ProcessRow]) -> u64 {
    let commands: HashSet<_> = command.iter().map(|row| row.pid).collect();
    let tools: HashSet<_> = tool.iter().map(|row| row.pid).collect();
    tools.difference(&commands).count() as u64
}
