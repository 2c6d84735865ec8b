//! What the report says of memory counted once where it is shared.

use serde::Serialize;

/// The whole target with each page counted once, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CountedOnce {
    /// It was asked for. Reading it holds a process's memory for some milliseconds, also if the
    /// process ends meanwhile.
    pub was_asked: bool,
    /// The highest that was read; `None` if nothing was. What came between two readings is not
    /// seen: it may have been more, up to the peak.
    pub bytes: Option<u64>,
    /// By how much that reading may be too low; `None` if it is of no one moment.
    pub error_bound_bytes: Option<u64>,
    /// The reading.
    pub reading: Option<PssRow>,
    /// What the figure is, or why there is none.
    pub why: String,
}

/// A reading of PSS over all processes of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PssRow {
    /// When it began.
    pub at_ns: u64,
    /// How long it took.
    pub took_ns: u64,
    /// Which one it was.
    pub nth: u32,
    /// Processes read.
    pub processes: u32,
    /// Processes that ended before they could be read.
    pub processes_missed: u32,
    /// No fault and no change of resident memory came between its begin and its end.
    pub stood_still: bool,
    /// Sum of RSS in the same reading: shared pages for each.
    pub rss_bytes: u64,
    /// How far that sum was below the peak; `None` if the record of the run breaks off.
    pub below_peak_bytes: Option<i64>,
    /// Anonymous memory.
    pub anon_bytes: u64,
    /// File pages.
    pub file_bytes: u64,
    /// Shared memory.
    pub shmem_bytes: u64,
}
