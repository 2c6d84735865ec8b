//! What the report says over time: timelines and histograms.

use serde::{Serialize, Serializer};

/// A level over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Of the points: `["ns", "bytes"]`.
    pub unit: [&'static str; 2],
    /// Time and level, with the ledger's peak among them. At most
    /// [`crate::model::timeline::MAX_POINTS`]: beyond, each interval keeps its first, last, least
    /// and greatest.
    pub points: Vec<(u64, i64)>,
}

/// A level over time, by class. Resident is anon + file + shmem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassTimeline {
    /// Of the points: [`ClassTimeline::UNIT`].
    pub unit: [&'static str; 5],
    /// By time; each interval of a long one keeps its first, last, least and greatest.
    pub points: Vec<ClassPoint>,
}

impl ClassTimeline {
    /// What the columns of a point are.
    pub const UNIT: [&str; 5] = [
        "ns",
        "anon_bytes",
        "file_bytes",
        "shmem_bytes",
        "swap_bytes",
    ];
}

/// A point of a [`ClassTimeline`]; in JSON an array of five numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassPoint {
    /// Since the start of tracing.
    pub at_ns: u64,
    /// Anonymous memory.
    pub anon_bytes: i64,
    /// File pages.
    pub file_bytes: i64,
    /// Shared memory.
    pub shmem_bytes: i64,
    /// In swap: not resident.
    pub swap_bytes: i64,
}

impl ClassPoint {
    /// anon + file + shmem.
    pub fn rss_bytes(&self) -> i64 {
        let file_and_shmem = self.file_bytes.saturating_add(self.shmem_bytes);
        self.anon_bytes.saturating_add(file_and_shmem)
    }
}

impl Serialize for ClassPoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (
            self.at_ns,
            self.anon_bytes,
            self.file_bytes,
            self.shmem_bytes,
            self.swap_bytes,
        )
            .serialize(serializer)
    }
}

/// What a row held for most of its time: the level that it did not exceed for 50, 90 and 99 of
/// 100 nanoseconds. Time with nothing resident does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TimeAtLevel {
    /// Half of the time.
    pub p50_bytes: i64,
    /// Nine tenths of it.
    pub p90_bytes: i64,
    /// All but a hundredth.
    pub p99_bytes: i64,
    /// The peak, from the ledger.
    pub max_bytes: i64,
    /// How far off the three quantiles can be: the stream's quantum, and what was rounded.
    pub bound_bytes: i64,
    /// All the time.
    pub total_ns: u64,
}

/// How often or how long what was how much. Each is `None` if there was nothing to count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Histograms {
    /// How long the target was at each level; time with nothing resident does not count.
    pub rss_time_at_level: Option<Histogram>,
    /// Sizes of `mmap` calls.
    pub mmap_bytes: Option<Histogram>,
    /// Sizes of `munmap` calls.
    pub munmap_bytes: Option<Histogram>,
    /// By how much `brk` moved, either way.
    pub brk_bytes: Option<Histogram>,
    /// How long page faults took, those that the kernel counts, from the first call of its fault
    /// handler to the end of the last, with what memtrace itself adds. `None` without
    /// `--fault-latency`, or where it cannot be had: [`super::Certainty::absent`] says why.
    pub fault_ns: Option<Histogram>,
    /// From start to exit, of every process that tracing saw from start to exit.
    pub process_lifetime: Option<Histogram>,
    /// Peaks of all spaces, those of folded rows too.
    pub process_peak: Option<Histogram>,
}

/// A histogram. Buckets and quantiles are told at most 1/128 too high, 1/16 with one significant
/// digit; `min` and `max` as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Histogram {
    /// Of the values.
    pub unit: &'static str,
    /// What is counted.
    pub weight: &'static str,
    /// Significant decimal digits of buckets and quantiles.
    pub significant_digits: u8,
    /// How far off values can be, apart from that: the stream's quantum where they come from the
    /// stream.
    pub bound_bytes: Option<u64>,
    /// Sum of the weights.
    pub count: u64,
    /// Least value.
    pub min: u64,
    /// Not exceeded by half of the weight.
    pub p50: u64,
    /// By nine tenths.
    pub p90: u64,
    /// By all but a hundredth.
    pub p99: u64,
    /// Greatest value.
    pub max: u64,
    /// Greatest value of a bucket and its weight; those that hold something.
    pub buckets: Vec<(u64, u64)>,
}
