//! What the numbers of a run are worth.

use std::borrow::Cow;

use serde::Serialize;

use crate::event::{Doubt, Hook};

/// What the numbers are worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Certainty {
    /// The peaks are exact: nothing below speaks against it.
    pub exact: bool,
    /// By how much the target's peak can be wrong; `None` where no bound can be given.
    pub peak_error_bound_bytes: Option<u64>,
    /// Ring records emitted.
    pub events: u64,
    /// Ring records lost: history is missing, peaks are not touched.
    pub events_lost: u64,
    /// The same by kind of record; kinds of which there were none are left out.
    pub records: Vec<RecordCount>,
    /// Records lost, by CPU; empty if none was.
    pub lost_by_cpu: Vec<u64>,
    /// Least movement that the stream tells.
    pub quantum_bytes: u64,
    /// The stream's highest level held against the ledger's peak.
    pub stream: StreamCheck,
    /// Hooks in use.
    pub hooks: Vec<Hook>,
    /// Stated weaknesses.
    pub doubts: Vec<Doubt>,
    /// Figures that no run on this kernel has, and why.
    pub absent: Vec<Absent>,
    /// What can be said of a peak that was only looked at now and then; missing in a report of a
    /// traced run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled: Option<Sampled>,
}

/// A run that nothing traced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sampled {
    /// How often it was to be looked at.
    pub every_ns: u64,
    /// Looks that found something.
    pub looks: u64,
    /// The longest time between two of them.
    pub longest_ns: u64,
    /// The peak was no less, by a figure of one process; `None` if nothing was seen.
    pub peak_least_bytes: Option<i64>,
    /// It was no more; `None` if no bound can be given.
    pub peak_most_bytes: Option<i64>,
    /// Why there is no bound.
    pub peak_most_why: Option<String>,
}

/// Records of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordCount {
    /// What they tell.
    pub kind: &'static str,
    /// Handed to a ring.
    pub emitted: u64,
    /// Read from it.
    pub read: u64,
    /// Found it full.
    pub lost: u64,
}

/// A figure that is `None` for want of a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Absent {
    /// Its key in the report.
    pub key: &'static str,
    /// Why it cannot be had.
    pub why: Cow<'static, str>,
}

/// The stream against the ledger: memtrace's check on itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StreamCheck {
    /// Highest level of the target in the stream; `None` if the stream told nothing.
    pub max_rss_bytes: Option<i64>,
    /// How far it may lie below the ledger's peak.
    pub allowed_bytes: u64,
    /// It does; `None` if records were lost, so that nothing follows.
    pub agrees: Option<bool>,
}
