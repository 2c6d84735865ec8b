//! The target's level over time as one line of bars and one of quantiles; how long page faults took.

use std::fmt;

use super::page::{COLUMNS, LABEL, Look, Page};
use crate::{
    report::schema::{Report, Timeline},
    units::{Bytes, Count, Nanos},
};

/// Bars of the line.
pub(super) const BARS: usize = COLUMNS - LABEL;

const STEPS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One bar for each equal part of the tracing: the highest level in it, as a part of the peak.
/// `None` where there is nothing to see.
pub(super) fn bars(timeline: &Timeline, duration_ns: u64, peak_bytes: i64) -> Option<String> {
    if timeline.points.len() < 4 || duration_ns == 0 || peak_bytes <= 0 {
        return None;
    }
    let mut highest = [None::<i64>; BARS];
    let mut last = [None::<i64>; BARS];
    for &(at_ns, bytes) in &timeline.points {
        let part = u128::from(at_ns) * BARS as u128 / u128::from(duration_ns);
        let bar = usize::try_from(part).unwrap_or(BARS).min(BARS - 1);
        highest[bar] = highest[bar].max(Some(bytes));
        last[bar] = Some(bytes);
    }
    // A level lasts until the next point says otherwise.
    let mut level = None;
    let bars = (0..BARS).map(|bar| {
        let shown = highest[bar].max(level);
        level = last[bar].or(level);
        step(shown.unwrap_or(0), peak_bytes)
    });
    Some(bars.collect())
}

/// How much it needed for most of its time; `None` where there is nothing to tell.
pub(super) fn quantiles(report: &Report) -> Option<String> {
    let held = report.histograms.rss_time_at_level.as_ref()?;
    let [p50, p90, p99] =
        [held.p50, held.p90, held.p99].map(|bytes| Bytes(bytes.cast_signed()).to_string());
    Some(format!(
        "50 % of the time up to {p50}, 90 % {p90}, 99 % {p99}"
    ))
}

/// How long page faults took, where that is known.
pub(super) fn faults(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let Some(took) = &report.histograms.fault_ns else {
        return Ok(());
    };
    let (count, min, max) = (Count(took.count), Nanos(took.min), Nanos(took.max));
    let range = format!("{count} took from {min} to {max}");
    page.labelled("page faults", &[(Look::Plain, &range)])?;
    let [p50, p90, p99] = [took.p50, took.p90, took.p99].map(|ns| Nanos(ns).to_string());
    let quantiles = format!("50 % of them up to {p50}, 90 % {p90}, 99 % {p99}");
    page.wrapped(LABEL, Look::Dim, &quantiles)?;
    page.gap()
}

/// Something is never drawn as nothing, and only the peak fills its bar.
fn step(bytes: i64, peak_bytes: i64) -> char {
    let steps = STEPS.len() as i128 - 1;
    let step = (i128::from(bytes.max(0)) * steps).div_euclid(i128::from(peak_bytes));
    let step = if bytes > 0 { step.max(1) } else { 0 };
    STEPS[usize::try_from(step.min(steps)).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_hold_a_level_until_it_changes() {
        let points = vec![(0, 10), (50, 100), (51, 40), (100, 0)];
        let timeline = Timeline {
            unit: ["ns", "bytes"],
            points,
        };
        let bars = bars(&timeline, 100, 100).unwrap();
        assert_eq!(bars.chars().count(), BARS);
        assert_eq!(bars.chars().next(), Some('▁'));
        assert_eq!(bars.chars().filter(|bar| *bar == '█').count(), 1);
        // The last bar still shows the level that its beginning had.
        assert_eq!(bars.chars().last(), Some('▃'));
    }
}
