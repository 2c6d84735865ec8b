//! memtrace's judgement as a reader outside sees it: the keys of `memtrace.judge/1` that the tests
//! hold it to, spelt from the contract as in [`crate::report`].

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

/// A judgement.
#[derive(Clone, Debug, Deserialize)]
pub struct Judgement {
    /// Shape of the judgement.
    pub schema: String,
    /// The tool that ran the command.
    pub wrap: Option<Wrapping>,
    /// The exact peak.
    pub peak_bytes: u64,
    /// By interval.
    pub intervals: Vec<Interval>,
    /// What other tools said.
    pub tools: Vec<Tool>,
}

/// A tool that ran the command.
#[derive(Clone, Debug, Deserialize)]
pub struct Wrapping {
    /// As it was started.
    pub argv: Vec<String>,
    /// How often it ran the command.
    pub times: u64,
    /// Peak of both together.
    pub together_peak_bytes: u64,
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
    /// How far off.
    pub error_bytes: i64,
    /// The same, percent.
    pub error_pct: f64,
    /// Of what kind.
    pub kind: String,
    /// In a sentence.
    pub why: String,
    /// Looks.
    pub samples: Option<u64>,
    /// How many times as long the target ran with it.
    pub cost: Option<f64>,
    /// Why that is not known.
    pub cost_why: Option<String>,
    /// Pairs of runs behind it.
    pub cost_runs: Option<CostRuns>,
}

/// Pairs of runs.
#[derive(Clone, Debug, Deserialize)]
pub struct CostRuns {
    /// How many.
    pub pairs: u32,
    /// Least ratio.
    pub least: f64,
    /// Greatest.
    pub most: f64,
}

impl Judgement {
    /// Reads the file of one.
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("no judgement: {error}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
    }

    /// What this tool said.
    #[track_caller]
    pub fn tool(&self, name: &str) -> &Tool {
        let found = self.tools.iter().find(|tool| tool.name == name);
        found.unwrap_or_else(|| panic!("nothing of {name} in {:?}", self.tools))
    }

    /// Pollers of this interval, which must be on the ladder.
    #[track_caller]
    pub fn every_ms(&self, ms: f64) -> &Interval {
        let mut intervals = self.intervals.iter();
        let found = intervals.find(|interval| interval.ms == ms);
        found.unwrap_or_else(|| panic!("no interval of {ms} ms"))
    }
}
