//! memtrace's judgement as a reader outside sees it: the keys of `memtrace.judge/1` that the tests
//! hold it to, spelt from the contract as in [`crate::report`].

use std::collections::BTreeMap;

use serde::Deserialize;

/// A judgement.
#[derive(Clone, Debug, Deserialize)]
pub struct Judgement {
    /// Shape of the judgement.
    pub schema: String,
    /// The exact peak.
    pub peak_bytes: u64,
    /// By interval.
    pub intervals: Vec<Interval>,
    /// What other tools said.
    pub tools: Vec<Tool>,
}

/// Pollers of one interval.
#[derive(Clone, Debug, Deserialize)]
pub struct Interval {
    /// The interval.
    pub ms: f64,
    /// Probability to miss the peak by more than so many percent.
    pub p_miss: BTreeMap<String, f64>,
    /// The least that it can be.
    pub p_miss_least: BTreeMap<String, f64>,
    /// The most.
    pub p_miss_most: BTreeMap<String, f64>,
}

/// What a tool said.
#[derive(Clone, Debug, Deserialize)]
pub struct Tool {
    /// The tool.
    pub name: String,
    /// Its peak.
    pub bytes: u64,
    /// How far off, percent.
    pub error_pct: f64,
    /// Of what kind.
    pub kind: String,
    /// In a sentence.
    pub why: String,
}

impl Judgement {
    /// Pollers of this interval, which must be on the ladder.
    #[track_caller]
    pub fn every_ms(&self, ms: f64) -> &Interval {
        let mut intervals = self.intervals.iter();
        let found = intervals.find(|interval| interval.ms == ms);
        found.unwrap_or_else(|| panic!("no interval of {ms} ms"))
    }
}
