//! Phases out of the model.

use super::{
    history,
    schema::{
        CgroupPeak, PhaseFaults, PhaseHistograms, PhaseRow, PhaseScope, PhaseSummary, TimeAtLevel,
    },
    scope::Scope,
    vm,
};
use crate::model::{
    phase::{Phase, Span, Track},
    phases::Summary,
};

/// Entries kept, by begin.
pub(super) fn entries(scope: &Scope<'_>) -> Vec<PhaseRow> {
    let kept = scope.phases.kept().iter();
    kept.map(|phase| entry(scope, phase)).collect()
}

fn entry(scope: &Scope<'_>, phase: &Phase) -> PhaseRow {
    let (kind, track) = match phase.track {
        Track::Thread { .. } => (PhaseScope::Thread, 0),
        Track::Named { track, .. } => (PhaseScope::Track, track),
        Track::Functions { .. } => (PhaseScope::Function, 0),
        Track::Programs { .. } => (PhaseScope::Program, 0),
        Track::Target => (PhaseScope::Target, 0),
    };
    let span = match phase.track {
        Track::Target => Some(phase.target),
        _ => phase.own,
    };
    let bytes = |of: fn(&Span) -> i64| span.as_ref().map(|span| scope.bytes(of(span)));
    let (duration_ns, max) = (phase.end_ns - phase.start_ns, bytes(|span| span.peak));
    PhaseRow {
        name: phase.name.clone(),
        pid: phase.pid,
        scope: kind,
        track,
        thread: phase.thread,
        nth: phase.nth,
        depth: phase.depth,
        start_ns: scope.since_start(phase.start_ns),
        end_ns: scope.since_start(phase.end_ns),
        ended_by: phase.ended_by,
        peak_rss_bytes: max,
        peak_target_bytes: scope.bytes(phase.target.peak),
        start_rss_bytes: bytes(|span| span.start),
        end_rss_bytes: bytes(|span| span.end),
        faults: phase
            .faults
            .map(|(minor, major)| PhaseFaults { minor, major }),
        vm: phase
            .vm
            .as_ref()
            .and_then(|calls| vm::of(scope, calls, None)),
        time_at_level: phase.held.zip(max).map(|(held, max_bytes)| TimeAtLevel {
            p50_bytes: scope.bytes(held.p50),
            p90_bytes: scope.bytes(held.p90),
            p99_bytes: scope.bytes(held.p99),
            max_bytes,
            bound_bytes: scope
                .quantum_bytes()
                .saturating_add(scope.bytes(held.error)),
            total_ns: duration_ns,
        }),
        cgroup_peak: phase.charge.map(|charge| CgroupPeak {
            bytes: charge.peak_bytes,
            from_ns: scope.since_start(charge.from_ns),
            until_ns: scope.since_start(charge.until_ns),
        }),
        exact: phase.is_exact,
    }
}

/// All entries by name, by their first begin.
pub(super) fn summary(scope: &Scope<'_>) -> Vec<PhaseSummary> {
    let names = scope.phases.by_name().iter().filter(|(_, of)| of.count > 0);
    let mut rows: Vec<_> = names
        .map(|(name, of)| summarised(scope, name, of))
        .collect();
    rows.sort_by_key(|row| row.first_start_ns);
    rows
}

fn summarised(scope: &Scope<'_>, name: &str, of: &Summary) -> PhaseSummary {
    let mean = of.peak_sum / i128::from(of.count);
    let pages = |pages| scope.bytes(pages).unsigned_abs();
    PhaseSummary {
        name: name.to_owned(),
        depth: of.depth,
        count: of.count,
        first_start_ns: scope.since_start(of.first_ns),
        peak_max_bytes: scope.bytes(of.peak_max),
        peak_mean_bytes: scope.bytes(i64::try_from(mean).unwrap_or(i64::MAX)),
        peak_target_max_bytes: scope.bytes(of.target_peak_max),
        growth_max_bytes: scope.bytes(of.growth_max),
        duration_ns: of.duration_ns,
        histograms: PhaseHistograms {
            peak_bytes: history::sparse(&of.peaks, "bytes", "entries", pages),
            duration_ns: history::sparse(&of.durations, "ns", "entries", i64::unsigned_abs),
        },
    }
}

/// The innermost phase that was open at a moment: the one that began last.
pub(super) fn open_at(scope: &Scope<'_>, at_ns: u64) -> Option<String> {
    let open = |phase: &&Phase| phase.start_ns <= at_ns && at_ns <= phase.end_ns;
    let found = scope.phases.kept().iter().rfind(open)?;
    Some(found.name.clone())
}
