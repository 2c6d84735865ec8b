//! What the report says of virtual memory.

use serde::Serialize;

/// Calls that changed the virtual size of a space. Counts and sums are exact; sizes are whole
/// pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Vm {
    /// `mmap`.
    pub mmap: VmCalls,
    /// `munmap`.
    pub munmap: VmCalls,
    /// `mremap`.
    pub mremap: VmBothWays,
    /// `brk`.
    pub brk: VmBothWays,
    /// Growth of stacks.
    pub stack: VmCalls,
    /// All else: what an exec maps, shared memory of System V, calls of another ABI; either way.
    pub other: VmCalls,
    /// `mmap` and `mremap` with `MAP_FIXED` that left the size as it was: laid over what was there,
    /// or refused. They are in none of the counts. `None` for a phase.
    pub overlays_or_refused: Option<u64>,
}

/// Calls of one sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct VmCalls {
    /// How many changed the size.
    pub count: u64,
    /// What they asked for, or gave back.
    pub bytes: u64,
}

/// Calls that make a mapping larger or smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct VmBothWays {
    /// How many made it larger, or moved it.
    pub count: u64,
    /// By how much.
    pub bytes: u64,
    /// How many made it smaller.
    pub shrunk_count: u64,
    /// By how much.
    pub shrunk_bytes: u64,
}
