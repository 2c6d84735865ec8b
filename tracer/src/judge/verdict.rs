//! Verdicts: what the folds of a track come to, in probabilities and percents.

use super::{
    fold::Fold,
    ladder::between,
    scale::{CLASSES, Class, at_error, worst},
    schema::{ByError, ErrorPct, ErrorStep, Interval, Need, Pollers},
    track::{ERRORS, Track},
};

/// Reports that may be off by more before an interval counts as too long: one in twenty.
const TOLERATED: u64 = 20;

/// Pollers of a track: what the ladder says, and what both say of how often one has to look.
pub fn pollers(
    ladder: &[Fold],
    track: &Track,
    finer: &[Fold],
    bound_bytes: Option<u64>,
) -> Pollers {
    Pollers {
        start_ns: track.span.start_ns,
        end_ns: track.span.end_ns,
        peak_bytes: track.span.peak_bytes,
        intervals: ladder
            .iter()
            .map(|fold| interval(fold, track, bound_bytes))
            .collect(),
        needs: needs(ladder, track, finer),
    }
}

/// What pollers of one interval say.
pub fn interval(fold: &Fold, track: &Track, bound_bytes: Option<u64>) -> Interval {
    let told = fold.told();
    let probability = |offsets_ns: u64| offsets_ns as f64 / fold.interval_ns() as f64;
    let of_classes = |is_in: &dyn Fn(Class) -> bool| {
        let classes = (0..).zip(told).filter(|(class, _)| is_in(*class));
        probability(classes.map(|(_, ns)| ns).sum())
    };
    let bound = bound_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    // The least level that is near enough, and what the highest level seen may have been.
    let enough = |error| at_error(track.span.peak_bytes, error);
    let surely = |error, bound| {
        of_classes(&|class| {
            let greatest = track.scale().levels(class).1;
            greatest.is_some_and(|bytes| bytes.saturating_add(bound) < enough(error))
        })
    };
    let perhaps = |error, bound| {
        of_classes(&|class| track.scale().levels(class).0.saturating_sub(bound) < enough(error))
    };
    let length_ns = track.span.end_ns.saturating_sub(track.span.start_ns);
    Interval {
        ms: ms(fold.interval_ns()),
        p_miss: ByError(ERRORS.map(|error| probability(missed_ns(fold, error)))),
        p_miss_least: bound.map(|bound| ByError(ERRORS.map(|error| surely(error, bound)))),
        p_miss_most: bound.map(|bound| ByError(ERRORS.map(|error| perhaps(error, bound)))),
        p_nothing: probability(fold.interval_ns().saturating_sub(length_ns)),
        error_pct: ErrorPct {
            p50: quantile(fold, 50),
            p90: quantile(fold, 90),
            max: quantile(fold, 100),
        },
    }
}

/// Offsets whose pollers are off by more than so many thousandths, nanoseconds.
fn missed_ns(fold: &Fold, error: u16) -> u64 {
    let classes = (0..).zip(fold.told());
    let missed = classes.filter(|(class, _)| worst(*class) > error);
    missed.map(|(_, ns)| ns).sum()
}

/// The least edge of an error that so many hundredths of the offsets do not exceed, percent.
fn quantile(fold: &Fold, hundredths: u128) -> f64 {
    let wanted = u128::from(fold.interval_ns()) * hundredths;
    let mut so_far = 0;
    let classes = (0..CLASSES as Class).rev().zip(fold.told().iter().rev());
    let mut reached = classes.skip_while(|(_, ns)| {
        so_far += u128::from(**ns) * 100;
        so_far < wanted
    });
    percent(reached.next().map_or(1000, |(class, _)| worst(class)))
}

/// How often one has to look for each error.
fn needs(ladder: &[Fold], track: &Track, finer: &[Fold]) -> ByError<Need> {
    let mut folds: Vec<_> = ladder.iter().chain(finer).collect();
    folds.sort_by_key(|fold| fold.interval_ns());
    let stays = track.longest_stays_ns();
    let need = |i: usize| {
        // Beyond the first that is too long, one may be right again: chance, no rule to live by.
        let too_long = folds.iter().position(|fold| !is_enough(fold, ERRORS[i]));
        let enough = too_long.unwrap_or(folds.len());
        let at = |place: usize| folds.get(place).map(|fold| ms(fold.interval_ns()));
        Need {
            ms: enough.checked_sub(1).and_then(at),
            too_long_ms: at(enough),
            never_missed_ms: ms(stays[i]),
        }
    };
    ByError(std::array::from_fn(need))
}

fn is_enough(fold: &Fold, error: u16) -> bool {
    let missed = u128::from(missed_ns(fold, error));
    missed * u128::from(TOLERATED) <= u128::from(fold.interval_ns())
}

/// The intervals worth a closer look: between the longest of the ladder that is enough and the
/// next one, for each error.
pub fn finer(ladder: &[Fold]) -> Vec<u64> {
    let of_error = |error: u16| {
        let first = ladder.iter().position(|fold| !is_enough(fold, error));
        let upper = first.filter(|first| *first > 0)?;
        let (lower, upper) = (&ladder[upper - 1], &ladder[upper]);
        Some(between(lower.interval_ns(), upper.interval_ns()))
    };
    let mut finer: Vec<u64> = ERRORS.into_iter().filter_map(of_error).flatten().collect();
    finer.sort_unstable();
    finer.dedup();
    finer
}

/// Probability that a poller of this interval reports so little, or less.
pub fn at_most(fold: &Fold, track: &Track, bytes: i64) -> f64 {
    let classes = fold
        .told()
        .iter()
        .take(usize::from(track.scale().class(bytes)) + 1);
    classes.sum::<u64>() as f64 / fold.interval_ns() as f64
}

/// How finely errors are told, from the lowest on.
pub fn error_steps() -> Vec<ErrorStep> {
    let mut steps: Vec<ErrorStep> = Vec::new();
    for class in (1..CLASSES as Class).rev() {
        let step_pct = percent(worst(class - 1) - worst(class));
        if steps.last().is_none_or(|last| last.step_pct != step_pct) {
            steps.push(ErrorStep {
                from_pct: percent(worst(class)),
                step_pct,
            });
        }
    }
    steps
}

fn percent(thousandths: u16) -> f64 {
    f64::from(thousandths) / 10.0
}

/// Nanoseconds as milliseconds.
pub fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
