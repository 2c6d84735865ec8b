//! What was lost on the way: spaces without room, unread counters, ledgers and records.

use std::collections::BTreeMap;

use tracer_common::{
    ledger::Space,
    limits::{MAX_PROCESSES, MAX_SPACES},
    record::kind,
};

use super::{DEFECT, Doubts, RUN_AGAIN, Touches};
use crate::{
    event::Ended,
    report::{schema::RecordCount, scope::Scope},
    units::{Bytes, Count},
};

/// Counts by name, as text.
fn listed(counts: &BTreeMap<String, u64>) -> String {
    let each = counts.iter();
    let each = each.map(|(name, count)| format!("{} of {name}", Count(*count)));
    each.collect::<Vec<_>>().join(", ")
}

/// Records of one kind that were made and did not reach the model.
pub(super) fn missing(ended: &Ended, kind: u32) -> u64 {
    let kind = kind as usize;
    ended.lost[kind] + ended.emitted[kind].saturating_sub(ended.read[kind])
}

/// What records of each kind tell.
const KINDS: [(u32, &str); 12] = [
    (kind::LEVEL, "level"),
    (kind::PROCESS_STARTED, "process_started"),
    (kind::SPACE_OPENED, "space_opened"),
    (kind::EXECED, "execed"),
    (kind::PROCESS_EXITED, "process_exited"),
    (kind::PROCESS_FREED, "process_freed"),
    (kind::SPACE_CLOSED, "space_closed"),
    (kind::VM_CHANGED, "vm_changed"),
    (kind::MARKED, "marked"),
    (kind::CALLED, "called"),
    (kind::PROCESS_LEFT, "process_left"),
    (kind::VICTIM, "victim"),
];

/// Emitted, read and lost, by kind.
pub(super) fn by_kind(ended: &Ended) -> Vec<RecordCount> {
    let counts = KINDS.map(|(number, kind)| RecordCount {
        kind,
        emitted: ended.emitted[number as usize],
        read: ended.read[number as usize],
        lost: ended.lost[number as usize],
    });
    let some = |count: &RecordCount| count.emitted + count.lost > 0;
    counts.into_iter().filter(some).collect()
}

/// Spaces and processes that found no room.
pub(super) fn limits(doubts: &mut Doubts, ended: &Ended) {
    const REMEDY: &str = "Trace a smaller part of it: --pid, or --no-follow.";
    let target = &ended.target;
    if target.spaces_refused > 0 {
        doubts.add(
            Touches::Target,
            "spaces-refused",
            format!(
                "More than {} processes with memory of their own lived at once; {} were not \
                 counted.",
                Count(MAX_SPACES.into()),
                Count(target.spaces_refused),
            ),
            REMEDY,
        );
    }
    if target.processes_refused > 0 {
        doubts.add(
            Touches::Target,
            "processes-refused",
            format!(
                "More than {} processes lived at once; {} were not followed.",
                Count(MAX_PROCESSES.into()),
                Count(target.processes_refused),
            ),
            REMEDY,
        );
    }
}

/// Changes at which no scan of the counters was accepted. What memory there can have been at most
/// is known; below the peak it changes nothing.
fn unscanned(doubts: &mut Doubts, scope: &Scope<'_>, ended: &Ended) {
    let kept: u64 = scope.ledgers().map(|ledger| ledger.unscanned).sum();
    let changes = Count(kept + scope.model.fold().unscanned);
    let peak = scope.highest().map_or(0, |highest| highest.rss);
    let above = scope.bytes(ended.target.unscanned_most - peak);
    let row_touched =
        scope.model.fold().unscanned_above_peak || scope.ledgers().any(Space::may_have_missed_peak);
    let (touches, text) = if let Ok(above @ 1..) = u64::try_from(above) {
        let text = format!("The peak can be higher by {} at most.", Bytes(above as i64));
        (Touches::TargetBy(above), text)
    } else if row_touched {
        (
            Touches::Rows,
            "The peak of a single process can be higher than told.".to_owned(),
        )
    } else {
        return;
    };
    let text = format!(
        "Changes at which a CPU stood still inside one of the kernel's counters: {changes}. {text}"
    );
    doubts.add(touches, "unscanned", text, RUN_AGAIN);
}

/// Changes whose level could not be read, or not be added up, as it should.
pub(super) fn readings_of_counters(doubts: &mut Doubts, scope: &Scope<'_>, ended: &Ended) {
    unscanned(doubts, scope, ended);
    if ended.target.guesses > 0 {
        let peak = scope.highest().map_or(0, |highest| highest.rss);
        let guess = ended.target.guess_rss;
        let compared = if guess > peak {
            format!(
                "one of them is higher than the peak, {}",
                Bytes(scope.bytes(guess))
            )
        } else {
            "none of them is higher than the peak".to_owned()
        };
        doubts.add(
            Touches::Target,
            "guessed-totals",
            format!(
                "Changes whose total could only be estimated, because a CPU that held a ledger \
                 did not run: {}; {compared}.",
                Count(ended.target.guesses),
            ),
            "Run again on a machine whose CPUs are less busy.",
        );
    }
    match &ended.missed_runs {
        Some(missed) if missed.is_empty() => {}
        Some(missed) => doubts.add(
            Touches::Target,
            "runs-missed",
            format!(
                "Events that the kernel did not report: {}. A peak just there would have been missed.",
                listed(missed),
            ),
            RUN_AGAIN,
        ),
        None => doubts.add(
            Touches::NoPeak,
            "runs-untold",
            "The kernel does not tell whether it left out changes.".into(),
            "",
        ),
    }
}

/// Ledgers that did not arrive: their rows have no peak, and what they would have said against
/// the target's peak is not known.
pub(super) fn ledgers(doubts: &mut Doubts, scope: &Scope<'_>, ended: &Ended) {
    let had = scope.ledgers().count() as u64 + scope.model.fold().ledgers;
    let missing = ended
        .target
        .last_space
        .saturating_sub(had)
        .max(ended.target.ledgers_lost);
    if missing > 0 {
        doubts.add(
            Touches::Target,
            "ledgers-lost",
            format!(
                "Figures of memory spaces that did not arrive: {}.",
                Count(missing)
            ),
            RUN_AGAIN,
        );
    }
}

/// Records that did not arrive.
pub(super) fn records(doubts: &mut Doubts, ended: &Ended) {
    let levels = missing(ended, kind::LEVEL);
    if levels > 0 {
        doubts.add(
            Touches::NoPeak,
            "history-lost",
            format!(
                "Lost levels of the history: {}; no peak depends on them.",
                Count(levels)
            ),
            "Use a larger --ring, or a larger --quantum.",
        );
    }
    let calls = missing(ended, kind::VM_CHANGED) + missing(ended, kind::CALLED);
    if calls > 0 {
        doubts.add(
            Touches::NoPeak,
            "calls-lost",
            format!(
                "Lost records of calls that change memory: {}; their numbers and sums are right, \
                 histograms and lists of them are not complete.",
                Count(calls)
            ),
            "Use a larger --ring, or a larger --quantum.",
        );
    }
    let lives = [
        kind::PROCESS_STARTED,
        kind::SPACE_OPENED,
        kind::EXECED,
        kind::PROCESS_EXITED,
        kind::PROCESS_FREED,
        kind::PROCESS_LEFT,
        kind::VICTIM,
    ];
    let lives: u64 = lives.into_iter().map(|kind| missing(ended, kind)).sum();
    if lives > 0 {
        doubts.add(
            Touches::NoPeak,
            "records-lost",
            format!(
                "Lost records of starts, execs and exits: {}. Names, times or faults of some \
                 processes are missing; no peak depends on them.",
                Count(lives),
            ),
            RUN_AGAIN,
        );
    }
    if ended.undecoded > 0 {
        doubts.add(
            Touches::Rows,
            "undecoded",
            format!(
                "Bytes of the stream that were not understood: {}.",
                Count(ended.undecoded)
            ),
            DEFECT,
        );
    }
}
