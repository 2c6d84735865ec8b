//! What must hold in every run, whatever the kernel does.

use tracer_common::ledger::Split;

use super::{DEFECT, Doubts, Touches};
use crate::{
    event::Ended,
    report::{schema::StreamCheck, scope::Scope},
    units::Bytes,
};

/// What must hold in every run; a broken rule is told, never made to hold.
pub(super) fn find(doubts: &mut Doubts, scope: &Scope<'_>, ended: &Ended, stream: &StreamCheck) {
    let target = &ended.target;
    let peak = scope.highest().map_or(0, |highest| highest.rss);
    if stream.agrees == Some(false) {
        doubts.add(
            Touches::Target,
            "stream-disagrees",
            format!(
                "The stream's highest level is {}, the ledger's is {}: they may differ by {}.",
                stream
                    .max_rss_bytes
                    .map_or("none".to_owned(), |max| Bytes(max).to_string()),
                Bytes(scope.bytes(peak)),
                Bytes(stream.allowed_bytes.cast_signed()),
            ),
            DEFECT,
        );
    }
    let zero = target.level == Split::ZERO && target.level_rss == 0;
    if target.spaces == 0 && !zero {
        doubts.add(
            Touches::Target,
            "level-not-zero",
            format!(
                "All memory was given back, yet the total ended at {}.",
                Bytes(scope.bytes(target.level_rss)),
            ),
            DEFECT,
        );
    }
    let highest = scope
        .rows
        .iter()
        .filter_map(|row| row.highest())
        .map(|h| h.rss)
        .max();
    if let Some(row) = highest.filter(|row| *row > peak) {
        doubts.add(
            Touches::Target,
            "row-above-target",
            format!(
                "One process reached {}, which is more than the whole target's {}.",
                Bytes(scope.bytes(row)),
                Bytes(scope.bytes(peak)),
            ),
            DEFECT,
        );
    }
    let is_negative = |split: &Split| split.file.min(split.anon).min(split.shmem) < 0;
    let rows = scope
        .ledgers()
        .filter(|ledger| is_negative(&ledger.peak.split))
        .count();
    let touches = match is_negative(&target.peak.split) {
        true => Touches::Target,
        false => Touches::Rows,
    };
    if rows > 0 || touches == Touches::Target {
        doubts.add(
            touches,
            "negative-class",
            "A class of memory is below zero at a peak; it is printed as it was found.".into(),
            DEFECT,
        );
    }
}
