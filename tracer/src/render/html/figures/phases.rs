//! Phases as the page draws them: bands on tracks, and sums by name.

use std::{cmp::Reverse, collections::HashMap};

use serde::Serialize;

use super::pages;
use crate::{
    render::phases::{Place, tracks},
    report::schema::{PhaseEnd, PhaseRow, PhaseScope, PhaseSummary, Report},
};

/// Names, at most: those with the highest peaks.
const MOST_NAMES: usize = 400;
/// Entries drawn, at most: the longest.
const MOST_ENTRIES: usize = 3_000;

/// See the module.
#[derive(Serialize)]
pub(super) struct Phases<'a> {
    names: Vec<Name<'a>>,
    names_left_out: usize,
    tracks: Vec<TrackOf>,
    /// Of each track by begin, one track after the other.
    entries: Vec<Entry>,
    /// Entries that are not drawn.
    entries_left_out: u64,
}

/// All entries of one name.
#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
    depth: usize,
    count: u64,
    peak_bytes: i64,
    growth_bytes: i64,
    target_bytes: i64,
    duration_ns: u64,
}

/// What bands lie on.
#[derive(Serialize)]
struct TrackOf {
    pid: Option<u32>,
    scope: PhaseScope,
    /// As text: a program's own number may be larger than a script can hold.
    number: String,
}

/// A band: numbers of its name and track; begin and length, ns; peak, growth and the target's
/// peak, pages; which of that name it is; its depth; whether its end was marked; whether its
/// figures are exact.
#[derive(Serialize)]
struct Entry(
    usize,
    usize,
    u64,
    u64,
    Option<i64>,
    Option<i64>,
    i64,
    u64,
    usize,
    Option<PhaseEnd>,
    bool,
);

impl<'a> Phases<'a> {
    pub(super) fn of(report: &'a Report, page_bytes: u64) -> Self {
        let names = kept_names(&report.phase_summary);
        let numbers: HashMap<&str, usize> = (names.iter().zip(0..))
            .map(|(of, number)| (of.name.as_str(), number))
            .collect();
        let tracks = tracks(kept(&report.phases, &numbers));
        let mut entries = Vec::new();
        for (track, number) in tracks.iter().zip(0..) {
            let bands = track.phases.iter();
            let bands = bands
                .map(|phase| Entry::of(phase, (numbers[phase.name.as_str()], number), page_bytes));
            entries.extend(bands);
        }
        let all: u64 = report.phase_summary.iter().map(|of| of.count).sum();
        Self {
            names_left_out: report.phase_summary.len() - names.len(),
            names: names.into_iter().map(Name::of).collect(),
            tracks: tracks
                .iter()
                .map(|track| TrackOf::of(track.place))
                .collect(),
            entries_left_out: all.saturating_sub(entries.len() as u64),
            entries,
        }
    }
}

/// The names to tell apart, by first begin.
fn kept_names(all: &[PhaseSummary]) -> Vec<&PhaseSummary> {
    let mut kept: Vec<_> = all.iter().enumerate().collect();
    kept.sort_by_key(|(_, of)| Reverse(of.peak_max_bytes));
    kept.truncate(MOST_NAMES);
    kept.sort_by_key(|(i, _)| *i);
    kept.into_iter().map(|(_, of)| of).collect()
}

/// The entries to draw, by begin.
fn kept<'a>(all: &'a [PhaseRow], names: &HashMap<&str, usize>) -> Vec<&'a PhaseRow> {
    let known = all.iter().enumerate();
    let known = known.filter(|(_, phase)| names.contains_key(phase.name.as_str()));
    let mut kept: Vec<_> = known.collect();
    kept.sort_by_key(|(_, phase)| Reverse(phase.end_ns - phase.start_ns));
    kept.truncate(MOST_ENTRIES);
    kept.sort_by_key(|(i, _)| *i);
    kept.into_iter().map(|(_, phase)| phase).collect()
}

impl<'a> Name<'a> {
    fn of(of: &'a PhaseSummary) -> Self {
        Self {
            name: &of.name,
            depth: of.depth,
            count: of.count,
            peak_bytes: of.peak_max_bytes,
            growth_bytes: of.growth_max_bytes,
            target_bytes: of.peak_target_max_bytes,
            duration_ns: of.duration_ns,
        }
    }
}

impl TrackOf {
    fn of(place: Place) -> Self {
        Self {
            pid: place.pid,
            scope: place.scope,
            number: place.number.to_string(),
        }
    }
}

impl Entry {
    fn of(phase: &PhaseRow, (name, track): (usize, usize), page_bytes: u64) -> Self {
        let growth = phase.peak_rss_bytes.zip(phase.start_rss_bytes);
        let pages = |bytes| pages(bytes, page_bytes);
        Self(
            name,
            track,
            phase.start_ns,
            phase.end_ns - phase.start_ns,
            phase.peak_rss_bytes.map(pages),
            growth.map(|(peak, start)| pages(peak - start)),
            pages(phase.peak_target_bytes),
            phase.nth,
            phase.depth,
            (phase.ended_by != PhaseEnd::Mark).then_some(phase.ended_by),
            phase.exact,
        )
    }
}
