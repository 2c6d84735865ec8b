//! `memtrace judge FILE`: how wrong a tool is that looks now and then, held against the exact run
//! in a capture.
//!
//! The report tells what there is to judge ([`subjects`]); further passes over the capture give
//! its levels ([`pass`]) to tracks, whose folds know what every poller sees. Memory stays bounded:
//! what does not fit takes another pass. Pure but for the files named.

pub mod fold;
pub mod import;
pub mod ladder;
pub mod pass;
pub mod place;
pub mod scale;
pub mod schema;
pub mod score;
pub mod shift;
pub mod subjects;
pub mod track;
pub mod verdict;

use std::path::Path;

use anyhow::Context as _;

use self::{
    fold::LONGEST_NS,
    import::{Asked, Imported},
    ladder::LADDER,
    pass::{Begun, pass},
    place::Place,
    schema::{Judgement, PhaseJudgement, RowJudgement, SCHEMA, ToolVerdict},
    track::{Span, Track, Whose},
};
use crate::{
    capture::Reader,
    cli::JudgeArguments,
    event::{Doubt, Event},
    failure::{Failure, code},
    output::{self, coloured},
    render::json,
    replay,
    report::schema::Report,
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
            let hidden = pass(events, self.begun, &self.readable_until, &mut tracks);
            self.most_hidden = self.most_hidden.max(hidden);
            is_left = false;
            for track in &mut tracks {
                is_left |= track.end_pass();
            }
        }
        Ok(tracks)
    }
}

/// Judges a capture, and what other tools said of the same run.
///
/// # Errors
///
/// If it gives no report, or if its peak is not known.
pub fn judge(capture: &Path, imported: &[Imported]) -> anyhow::Result<Judgement> {
    let report = replay::report(capture)?;
    let target = subjects::target(&report).with_context(|| {
        format!(
            "{} cannot be judged: what it tells has no peak to hold anything against",
            capture.display()
        )
    })?;
    let rows = subjects::rows(&report);
    let phases = subjects::phases(&report);
    let begun = begun(capture)?;
    let places = imported
        .iter()
        .map(|imported| place::find(&report, begun.start_ns, imported));
    let places: Vec<_> = places.collect();

    let mut run = Run {
        capture,
        begun,
        readable_until: subjects::readable_until(&report),
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
        score::verdict(&report, target.peak_bytes, imported, place, p_so_little)
    });
    let tools: Vec<ToolVerdict> = tools.collect();
    let folded: u64 = report.folded.iter().map(|folded| folded.rows).sum();
    Ok(Judgement {
        schema: SCHEMA,
        target: report.target.asked.clone(),
        started_at: report.started_at.clone(),
        of_target: pollers(0, of_all),
        peak_error_bound_bytes: report.certainty.peak_error_bound_bytes,
        bound_bytes: of_all,
        error_steps_pct: verdict::error_steps(),
        processes: processes.collect(),
        phases: phases.collect(),
        processes_left_out: (report.processes.len() - rows.len()) as u64 + folded,
        tools,
        doubts: doubts(&report, &places),
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
fn doubts(report: &Report, places: &[Place<'_>]) -> Vec<Doubt> {
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
    if places.iter().any(|place| place.same_run.is_none()) {
        doubts.push(Doubt {
            id: "imports-without-date".to_owned(),
            text: "Whether a file of another tool is of this very run cannot be told where it \
                   has no clock. No two runs of a program are quite the same."
                .to_owned(),
            remedy: "Run the tool under memtrace: memtrace -o run.mtr -- TOOL CMD.".to_owned(),
        });
    }
    doubts
}

/// Does what the action asks for: the judgement to stdout, a copy to its place. A copy on stdout
/// replaces the judgement.
///
/// # Errors
///
/// If there is no judgement, or if it cannot be written.
pub fn run(arguments: &JudgeArguments) -> Result<(), Failure> {
    let copy = arguments
        .json
        .as_deref()
        .map(output::Place::check)
        .transpose()?;
    let imported = imported(&arguments.import)?;
    let judgement = judge(&arguments.capture, &imported)?;
    if !matches!(copy, Some(output::Place::Stdout)) {
        let colour = coloured(arguments.color, &std::io::stdout());
        let mut bytes = Vec::new();
        arguments
            .format
            .write(&judgement, colour, &mut bytes)
            .context("the judgement cannot be put into words")?;
        output::Place::Stdout.write(&bytes)?;
    }
    if let Some(place) = copy {
        let mut bytes = Vec::new();
        json::write(&judgement, &mut bytes).context("the judgement cannot be put into JSON")?;
        place.write(&bytes)?;
    }
    Ok(())
}

/// Reads other tools' files, all of them or none.
fn imported(asked: &[Asked]) -> Result<Vec<Imported>, Failure> {
    let files = asked.iter().map(import::read);
    let files = files.collect::<Result<Vec<_>, _>>();
    let files = files.map_err(|error| Failure {
        code: code::USAGE,
        error: error.into(),
    })?;
    Ok(files.into_iter().flatten().collect())
}
