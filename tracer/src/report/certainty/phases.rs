//! What speaks against phases: lost, unreadable and unbalanced markers, and calls without a return.

use tracer_common::record::kind;

use super::{Doubts, RUN_AGAIN, Touches, losses};
use crate::{
    model::{
        phase::{EndedBy, Phase, Track},
        phases::Trouble,
    },
    report::scope::Scope,
    units::Count,
};

/// Finds it.
pub(super) fn find(doubts: &mut Doubts, scope: &Scope<'_>) {
    let Trouble {
        unmatched_ends,
        unreadable_names,
        too_many,
        not_kept,
        left_open,
    } = scope.phases.trouble();
    let missing = scope
        .ended
        .map_or(0, |ended| losses::missing(ended, kind::MARKED));
    let all = [
        (
            missing,
            "markers-lost",
            "Markers that were lost, so that phases may be missing or longer than they were",
            RUN_AGAIN,
        ),
        (
            unmatched_ends,
            "phase-ends-unmatched",
            "Ends of phases that no open phase belonged to",
            "End each phase in the thread, or on the track, that began it.",
        ),
        (
            unreadable_names,
            "phase-names-unreadable",
            "Names of phases that could not be read, so that a number stands for them, or that an \
             end closed the innermost",
            "Touch the name just before the call, so that it is in memory.",
        ),
        (
            too_many,
            "phases-too-many",
            "Phases that were not followed, because too many were open or had names of their own",
            "Use fewer names; end what has begun.",
        ),
        (
            not_kept,
            "phases-summed-up",
            "Entries of phases that are only in the sums by name",
            "",
        ),
        (
            left_open,
            "phases-left-open",
            "Phases that were still open when tracing ended",
            "",
        ),
    ];
    for (number, id, text, remedy) in all {
        if number > 0 {
            let text = format!("{text}: {}.", Count(number));
            doubts.add(Touches::NoPeak, id, text, remedy);
        }
    }
    let kept = || scope.phases.kept().iter();
    let is_left = |phase: &&Phase| {
        let has_return = matches!(phase.track, Track::Functions { .. });
        let ended_by = phase.ended_by;
        has_return && matches!(ended_by, EndedBy::Jump | EndedBy::Exit | EndedBy::ThreadEnd)
    };
    let left = kept().filter(is_left).count() as u64;
    if left > 0 {
        let text = format!(
            "Calls of functions that were not seen to return: {}. What an exception or a jump left \
             is told up to the thread's next probe or its end, and its peak may be of what came \
             after. Each is marked.",
            Count(left),
        );
        let remedy = "Mark such a phase in the program, where it ends.";
        doubts.add(Touches::NoPeak, "calls-not-returned", text, remedy);
    }
    let inexact = kept().filter(|phase| !phase.is_exact).count() as u64;
    if inexact > 0 {
        let text = format!(
            "Phases whose peak may lack a change, because a CPU that held a ledger did not run: \
             {}. Each is marked.",
            Count(inexact),
        );
        doubts.add(Touches::NoPeak, "phases-inexact", text, RUN_AGAIN);
    }
}
