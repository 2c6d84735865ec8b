//! Timelines and histograms out of the model's history.

use tracer_common::{latency, ledger::Split};

use super::{
    schema::{ClassPoint, ClassTimeline, Histogram, Histograms, TimeAtLevel, Timeline},
    scope::Scope,
};
use crate::{
    latency::FaultLatencies,
    model::{
        distribution::{DIGITS, Distribution},
        held::Held,
        row::Row,
        timeline::Point,
    },
};

/// The stream's outline with two points that only the ledger knows: the peak and the end.
pub(super) fn of_target(scope: &Scope<'_>) -> Timeline {
    let mut timeline = scope.history.target().clone();
    if let Some(ended) = scope.ended.filter(|ended| ended.target.last_space > 0) {
        if let Some(peak) = scope.highest().and_then(|highest| highest.peak) {
            timeline.add(Point {
                at_ns: peak.at_ns,
                pages: peak.rss,
            });
        }
        timeline.add(Point {
            at_ns: scope.end_ns(),
            pages: ended.target.level_rss,
        });
    }
    let points = timeline.points();
    Timeline {
        unit: ["ns", "bytes"],
        points: points
            .iter()
            .map(|p| (scope.since_start(p.at_ns), scope.bytes(p.pages)))
            .collect(),
    }
}

/// The same by class, with the same two points.
pub(super) fn of_classes(scope: &Scope<'_>) -> ClassTimeline {
    let mut timeline = scope.history.classes().clone();
    if let Some(ended) = scope.ended.filter(|ended| ended.target.last_space > 0) {
        if let Some(peak) = scope.highest().and_then(|highest| highest.peak) {
            timeline.add(Point {
                at_ns: peak.at_ns,
                pages: peak.split,
            });
        }
        timeline.add(Point {
            at_ns: scope.end_ns(),
            pages: ended.target.level,
        });
    }
    by_class(scope, &timeline.points())
}

fn by_class(scope: &Scope<'_>, points: &[Point<Split>]) -> ClassTimeline {
    ClassTimeline {
        unit: ClassTimeline::UNIT,
        points: points
            .iter()
            .map(|point| ClassPoint {
                at_ns: scope.since_start(point.at_ns),
                anon_bytes: scope.bytes(point.pages.anon),
                file_bytes: scope.bytes(point.pages.file),
                shmem_bytes: scope.bytes(point.pages.shmem),
                swap_bytes: scope.bytes(point.pages.swap),
            })
            .collect(),
    }
}

/// When a row's space ended: torn down, or tracing with it; `None` if that is not known.
fn space_end_ns(scope: &Scope<'_>, row: &Row<'_>) -> Option<u64> {
    match row.ledger()?.closed_ns {
        0 => Some(scope.end_ns()),
        closed_ns => Some(closed_ns),
    }
}

/// A row's level over time: what the stream told, with start, peak and end from the ledger.
pub(super) fn of_row(scope: &Scope<'_>, row: &Row<'_>) -> ClassTimeline {
    let (Some(ledger), Some(end_ns)) = (row.ledger(), space_end_ns(scope, row)) else {
        return by_class(scope, &[]);
    };
    let of_ledger = [
        Some((ledger.opened_ns, ledger.start)),
        row.highest()
            .and_then(|highest| highest.peak)
            .map(|peak| (peak.at_ns, peak.split)),
        Some((end_ns, ledger.level)),
    ];
    let of_ledger = of_ledger.into_iter().flatten();
    let of_ledger = of_ledger.map(|(at_ns, pages)| Point { at_ns, pages });
    match scope.history.of(ledger.id) {
        Some(told) => {
            let mut timeline = told.timeline.clone();
            of_ledger.for_each(|point| timeline.add(point));
            by_class(scope, &timeline.points())
        }
        None => by_class(scope, &of_ledger.collect::<Vec<_>>()),
    }
}

/// What a row held for most of its time.
pub(super) fn time_at_level(scope: &Scope<'_>, row: &Row<'_>) -> Option<TimeAtLevel> {
    let (ledger, highest) = (row.ledger()?, row.highest()?);
    let end_ns = space_end_ns(scope, row)?;
    let told = scope.history.of(ledger.id);
    let mut held = told.map(|told| told.held.clone()).unwrap_or_default();
    // Before its first record it was where it began, after its last one where that left it.
    let (first_ns, last) = match told {
        Some(told) => (told.first_ns, told.last),
        None => (
            ledger.opened_ns,
            Point {
                at_ns: ledger.opened_ns,
                pages: ledger.start,
            },
        ),
    };
    let most = scope.history.levels_each();
    let before_ns = first_ns.saturating_sub(ledger.opened_ns);
    held.add(ledger.start.rss(), before_ns, most);
    held.add(last.pages.rss(), end_ns.saturating_sub(last.at_ns), most);
    let max = highest.rss;
    let level = |hundredths| Some(scope.bytes(held.percentile(hundredths)?.min(max)));
    Some(TimeAtLevel {
        p50_bytes: level(50)?,
        p90_bytes: level(90)?,
        p99_bytes: level(99)?,
        max_bytes: scope.bytes(max),
        bound_bytes: scope
            .quantum_bytes()
            .saturating_add(scope.bytes(held.error())),
        total_ns: held.total_ns(),
    })
}

/// The histograms of a run.
pub(super) fn histograms(scope: &Scope<'_>) -> Histograms {
    let mut lives = scope.model.fold().lives.clone();
    scope
        .model
        .processes()
        .for_each(|process| lives.add(process));
    let sizes = scope.model.sizes();
    let bytes = |pages: u64| scope.bytes_unsigned(pages);
    Histograms {
        rss_time_at_level: histogram(scope.history.held(), "bytes", "ns", bytes).map(|histogram| {
            Histogram {
                bound_bytes: Some(scope.quantum_bytes().unsigned_abs()),
                ..histogram
            }
        }),
        mmap_bytes: histogram(&sizes.mmap, "bytes", "calls", bytes),
        munmap_bytes: histogram(&sizes.munmap, "bytes", "calls", bytes),
        brk_bytes: histogram(&sizes.brk, "bytes", "calls", bytes),
        fault_ns: scope
            .ended
            .and_then(|ended| fault_latency(ended.fault_latencies.as_ref()?)),
        process_lifetime: histogram(&lives.lifetime_ns, "ns", "processes", |ns| ns),
        process_peak: histogram(&lives.peak_pages, "bytes", "spaces", bytes),
    }
}

fn fault_latency(of: &FaultLatencies) -> Option<Histogram> {
    let count = of.count();
    (count > 0).then(|| Histogram {
        unit: "ns",
        weight: "faults",
        significant_digits: latency::DIGITS,
        bound_bytes: None,
        count,
        min: of.least_ns,
        p50: of.percentile(50),
        p90: of.percentile(90),
        p99: of.percentile(99),
        max: of.greatest_ns,
        buckets: of.buckets.clone(),
    })
}

fn histogram(
    of: &Distribution,
    unit: &'static str,
    weight: &'static str,
    scale: impl Fn(u64) -> u64,
) -> Option<Histogram> {
    let percentile = |hundredths| scale(of.percentile(hundredths));
    Some(Histogram {
        unit,
        weight,
        significant_digits: DIGITS,
        bound_bytes: None,
        count: of.count(),
        min: scale(of.least()?),
        p50: percentile(50),
        p90: percentile(90),
        p99: percentile(99),
        max: scale(of.greatest()),
        buckets: of
            .buckets()
            .map(|(upper, weight)| (scale(upper), weight))
            .collect(),
    })
}

/// A histogram of few values, each told at most by [`Held::error`] too high.
pub(super) fn sparse(
    of: &Held,
    unit: &'static str,
    weight: &'static str,
    scale: impl Fn(i64) -> u64,
) -> Option<Histogram> {
    let buckets: Vec<_> = of.entries().map(|(upper, n)| (scale(upper), n)).collect();
    let percentile = |hundredths| of.percentile(hundredths).map(&scale);
    Some(Histogram {
        unit,
        weight,
        significant_digits: DIGITS,
        bound_bytes: None,
        count: of.total_ns(),
        min: buckets.first()?.0,
        p50: percentile(50)?,
        p90: percentile(90)?,
        p99: percentile(99)?,
        max: buckets.last()?.0,
        buckets,
    })
}
