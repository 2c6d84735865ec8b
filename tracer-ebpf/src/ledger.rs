//! The ledgers: levels and peaks of every space and of the target.
//!
//! What holds here, and why the peaks are exact:
//! - a level is only ever a validated scan of the kernel's own counters ([`Mm::scan`]), so nothing
//!   drifts and a missed event heals at the next one;
//! - under the space's lock a scan and its publication are one step, so a stale level never
//!   replaces a fresh one;
//! - while the target has one space, each CPU keeps the highest level that it has seen, and whoever
//!   asks for a peak or a segment takes them in first (`alone`);
//! - the target's total is one atomic number to which every space adds its difference: its values
//!   are sums of published levels, in the order of the additions;
//! - a CPU that cannot have the lock in time (its holder's virtual CPU is not running) leaves its
//!   scan in `late_rss`, an atomic maximum.

mod alone;
mod cached;
mod change;
mod cut;
mod gather;
mod lock;
mod mask;
mod settle;
mod span;

use tracer_common::{
    ledger::{Space, Target},
    limits::PRESENCE_BUCKETS,
};

pub use self::{
    alone::is_quiet,
    cached::{begin_sync, end_sync, forget_cache, is_syncing, note_cache, seed_cache},
    change::{changed, publish, scan},
    cut::{cut, cut_target},
    gather::collect,
    lock::{bump, raise},
    span::{close, open, part},
};
use crate::{
    maps::{PRESENCE, SPACES, TARGET},
    peek::Mm,
};

/// The target's ledger. An array of one always has its element.
#[inline(always)]
pub fn target() -> Option<*mut Target> {
    TARGET.get_ptr_mut(0)
}

#[inline(always)]
fn bucket(mm: Mm) -> Option<*mut u32> {
    // Fibonacci hashing: `mm_struct`s come from a slab, their addresses differ in middle bits.
    let hash = mm.low_half().wrapping_mul(0x9E37_79B9) >> (32 - PRESENCE_BUCKETS.ilog2());
    let table = PRESENCE.get_ptr_mut(0)?;
    // SAFETY: the index is masked to the table's length.
    Some(unsafe {
        table
            .cast::<u32>()
            .add(hash as usize & (PRESENCE_BUCKETS - 1))
    })
}

/// The ledger of a space of the target.
#[inline(always)]
pub fn find(mm: Mm) -> Option<*mut Space> {
    let bucket = bucket(mm)?;
    // SAFETY: `bucket` points into a live map value.
    if unsafe { core::ptr::read_volatile(bucket) } == 0 {
        return None;
    }
    SPACES.get_ptr_mut(mm.address())
}
