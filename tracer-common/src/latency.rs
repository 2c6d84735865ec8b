//! How long page faults take: what the kernel side keeps of them, and the buckets in which it
//! counts. Knows nothing of faults but their time.

use crate::wire_safe;

/// The last fault of a thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastFault {
    /// When it began, `CLOCK_MONOTONIC` nanoseconds; 0 once it is over.
    pub began_ns: u64,
    /// Address that was not there.
    pub address: u64,
    /// Faults of the thread that the kernel has counted, as far as they have been seen here.
    pub counted: u64,
}

/// What a CPU knows of the faults that ended on it, apart from the buckets.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultSums {
    /// Shortest, nanoseconds; 0 if there was none.
    pub least_ns: u64,
    /// Longest, nanoseconds.
    pub greatest_ns: u64,
    /// Faults that the kernel has counted and whose begin or end was not seen.
    pub lost: u64,
}

wire_safe! {
    LastFault { began_ns: u64, address: u64, counted: u64 }
    FaultSums { least_ns: u64, greatest_ns: u64, lost: u64 }
}

/// Significant decimal digits of the buckets: each is at most 1/16 of its values wide.
pub const DIGITS: u8 = 1;
/// Buckets of each power of two, which make that width.
const SHARE: u64 = 16;
/// Buckets for every number of 64 bits.
pub const BUCKETS: u32 = bucket(u64::MAX) + 1;

/// Number of the bucket of a value. Values below 32 have one each.
#[inline(always)]
pub const fn bucket(value: u64) -> u32 {
    // The four bits after the highest one, and how far that is to the left.
    let shift = (value | SHARE).ilog2() - SHARE.ilog2();
    shift * SHARE as u32 + (value >> shift) as u32
}

/// Greatest value of a bucket.
pub const fn greatest_of(bucket: u32) -> u64 {
    let shift = (bucket / SHARE as u32).saturating_sub(1);
    let highest_bits = (bucket - shift * SHARE as u32) as u64;
    (highest_bits << shift) | ((1 << shift) - 1)
}
