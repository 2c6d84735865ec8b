//! The time of page faults: why it is not told, and what is missing in it. No peak depends on it.

use super::{Doubts, RUN_AGAIN, Touches};
use crate::{
    event::Ended,
    latency::FaultLatency,
    report::{schema::Absent, scope::Scope},
    units::Count,
};

/// Why there is no histogram; `None` if there is one, or nothing to count.
pub(super) fn absent(scope: &Scope<'_>) -> Option<Absent> {
    let why = match &scope.begun.fault_latency {
        FaultLatency::NotAsked => "It was not asked for: --fault-latency.".into(),
        FaultLatency::Unavailable { why } => format!("It cannot be had: {why}.").into(),
        FaultLatency::Taken if scope.ended.is_none() => {
            "It is told at the end, which this record lacks.".into()
        }
        FaultLatency::Taken => return None,
    };
    Some(Absent {
        key: "histograms.fault_ns",
        why,
    })
}

/// What was asked for and is not there, or not whole.
pub(super) fn find(doubts: &mut Doubts, scope: &Scope<'_>, ended: &Ended) {
    if let FaultLatency::Unavailable { why } = &scope.begun.fault_latency {
        doubts.add(
            Touches::NoPeak,
            "no-fault-latency",
            format!("How long page faults took is not told: {why}."),
            "",
        );
    }
    let lost = ended.fault_latencies.as_ref().map_or(0, |taken| taken.lost);
    if lost > 0 {
        doubts.add(
            Touches::NoPeak,
            "fault-latency-lost",
            format!(
                "Page faults whose time was not taken, because their begin or their end was not \
                 seen: {}. They are missing in the histogram of their time, and nowhere else.",
                Count(lost),
            ),
            RUN_AGAIN,
        );
    }
}
