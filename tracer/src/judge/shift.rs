//! Where a series lies on the run's clock: the shift at which it follows a level most closely.
//! It knows points in time and bytes.

/// Samples that are held against the level, at most: those in between say the same.
const MAX_SAMPLES: usize = 1_000;
/// Shifts tried in the first round, about.
const TRIED: i64 = 2_000;
/// Rounds of finer steps, each a tenth of the one before.
const ROUNDS: u32 = 3;

/// A shift that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// To be added to the series' times, nanoseconds; `None` if any fits as well as any other.
    pub shift_ns: Option<i64>,
    /// Shifts within this of it fit about as well, nanoseconds.
    pub bound_ns: i64,
    /// How far the series is from the level then, in the mean, bytes.
    pub residual_bytes: f64,
}

/// A level over time: each point holds until the next one, before the first there is nothing.
pub type Level<'a> = &'a [(u64, i64)];

fn at(level: Level<'_>, at_ns: i64) -> i64 {
    let Ok(at_ns) = u64::try_from(at_ns) else {
        return 0;
    };
    let after = level.partition_point(|point| point.0 <= at_ns);
    after.checked_sub(1).map_or(0, |last| level[last].1)
}

/// Mean distance between the series, shifted, and the level, bytes.
fn distance(level: Level<'_>, samples: &[(i64, u64)], shift_ns: i64) -> f64 {
    let distances = samples.iter().map(|(at_ns, bytes)| {
        let level = at(level, at_ns.saturating_add(shift_ns));
        (*bytes as f64 - level as f64).abs()
    });
    distances.sum::<f64>() / samples.len() as f64
}

/// The shift between two limits at which the series follows the level most closely; `None` if
/// there is nothing to follow. Distances that
/// differ by no more than `slack_bytes` and a twentieth count as equal.
pub fn find(
    level: Level<'_>,
    samples: &[(i64, u64)],
    limits_ns: (i64, i64),
    slack_bytes: f64,
) -> Option<Fit> {
    if level.is_empty() || samples.is_empty() || limits_ns.0 > limits_ns.1 {
        return None;
    }
    let every = samples.len().div_ceil(MAX_SAMPLES);
    let samples: Vec<_> = samples.iter().step_by(every).copied().collect();
    let distance = |shift_ns| distance(level, &samples, shift_ns);
    let (from_ns, until_ns) = limits_ns;
    let mut step_ns = (until_ns.saturating_sub(from_ns) / TRIED).max(1);
    let mut tried: Vec<(i64, f64)> = steps(from_ns, until_ns, step_ns)
        .map(|shift_ns| (shift_ns, distance(shift_ns)))
        .collect();
    for _ in 0..ROUNDS {
        let best_ns = best(&tried)?.0;
        let (from_ns, until_ns) = (best_ns - step_ns, best_ns + step_ns);
        step_ns = (step_ns / 10).max(1);
        let finer = steps(from_ns.max(limits_ns.0), until_ns.min(limits_ns.1), step_ns);
        tried.extend(finer.map(|shift_ns| (shift_ns, distance(shift_ns))));
    }
    tried.sort_unstable_by_key(|(shift_ns, _)| *shift_ns);
    let (best_ns, least) = best(&tried)?;
    let is_good = |(_, distance): &&(i64, f64)| *distance <= least * 1.05 + slack_bytes;
    let place = tried.partition_point(|(shift_ns, _)| *shift_ns < best_ns);
    let first = tried[..=place].iter().rev().take_while(is_good).last()?;
    let last = tried[place..].iter().take_while(is_good).last()?;
    let is_anywhere = first.0 == limits_ns.0 && last.0 >= limits_ns.1.saturating_sub(step_ns);
    Some(Fit {
        shift_ns: (!is_anywhere).then_some(best_ns),
        bound_ns: (best_ns - first.0).max(last.0 - best_ns),
        residual_bytes: least,
    })
}

fn steps(from_ns: i64, until_ns: i64, step_ns: i64) -> impl Iterator<Item = i64> {
    std::iter::successors(Some(from_ns), move |at_ns| at_ns.checked_add(step_ns))
        .take_while(move |at_ns| *at_ns <= until_ns)
}

fn best(tried: &[(i64, f64)]) -> Option<(i64, f64)> {
    let tried = tried.iter().copied();
    tried.min_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// 10, then 50 for a quarter of a second, then 20, up to two seconds.
    fn level() -> Vec<(u64, i64)> {
        let ms = |ms: u64| ms * MS.unsigned_abs();
        vec![(0, 10), (ms(700), 50), (ms(950), 20), (ms(2_000), 0)]
    }

    /// Looks at the level every so often, with a clock that is late.
    fn samples(every_ms: i64, late_ms: i64) -> Vec<(i64, u64)> {
        let times = (0..2_000 / every_ms).map(|i| i * every_ms * MS);
        times
            .map(|at_ns| (at_ns - late_ms * MS, at(&level(), at_ns).unsigned_abs()))
            .collect()
    }

    #[test]
    fn a_late_clock_is_found_within_the_time_between_two_looks() {
        for late_ms in [-400, 0, 123, 800] {
            let fit = find(
                &level(),
                &samples(20, late_ms),
                (-1_000 * MS, 1_000 * MS),
                0.01,
            );
            let fit = fit.unwrap();
            let off_ns = fit.shift_ns.unwrap() - late_ms * MS;
            assert!(off_ns.abs() <= fit.bound_ns, "{late_ms}: {fit:?}");
            assert!(fit.bound_ns <= 21 * MS, "{fit:?}");
            assert!(fit.residual_bytes < 0.01, "{fit:?}");
        }
    }

    #[test]
    fn a_level_that_never_moves_tells_no_shift() {
        let flat = [(0, 10), (100_000 * MS.unsigned_abs(), 0)];
        let samples: Vec<_> = (5..50).map(|i| (i * 100 * MS, 10)).collect();
        let fit = find(&flat, &samples, (-MS, MS), 0.1).unwrap();
        assert_eq!(fit.shift_ns, None);
        assert_eq!(find(&[], &samples, (0, 1), 0.1), None);
        assert_eq!(find(&flat, &[], (0, 1), 0.1), None);
    }
}
