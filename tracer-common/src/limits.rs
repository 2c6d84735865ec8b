//! Sizes that both sides must agree on, and the names of the maps.

/// Address spaces that can be alive in a target at the same time. One more is counted in
/// [`crate::ledger::Target::spaces_refused`], which makes the report say that it is not exact.
pub const MAX_SPACES: u32 = 16_384;
/// Processes that can be alive in a target at the same time.
pub const MAX_PROCESSES: u32 = 32_768;
/// Processes that the user can name at once (`--pid A,B,...`).
pub const MAX_WANTED: u32 = 1_024;
/// Buckets of the presence table that keeps foreign processes off the slow path. A power of two.
pub const PRESENCE_BUCKETS: usize = 8_192;
/// Possible CPUs that the scan of per-CPU counters can cover.
pub const MAX_CPUS: u32 = 1_024;
/// Bytes of a command line kept for an exec.
pub const ARGV_BYTES: usize = 512;
/// Bytes of a task's name, with its final zero (`TASK_COMM_LEN`).
pub const COMM_BYTES: usize = 16;
/// Bytes of a phase's name; what is longer is cut.
pub const MARK_NAME_BYTES: usize = 64;
/// The default quantum of the stream is at least the peak so far divided by two so many times:
/// 1/256 of it, less than a picture shows. A finer one costs looks at the other CPUs' counters.
pub const QUANTUM_SHIFT: u32 = 8;
/// Threads that can be alive in a target while the time of their page faults is taken. Faults of one
/// more are counted in [`crate::latency::FaultSums::lost`].
pub const MAX_FAULTING: u32 = 65_536;
/// Threads whose own counts can be known, where threads count apart from their space.
pub const MAX_CACHES: u32 = 65_536;
/// Default bytes of the ring that carries levels. Their loss costs history, never a peak.
pub const LEVEL_RING_BYTES: u32 = 4 << 20;
/// Default bytes of the ring that carries forks, execs, exits, closed ledgers and markers.
pub const LIFE_RING_BYTES: u32 = 1 << 20;

/// Names of the maps, as the object spells them.
pub mod map {
    /// Hash: `mm_struct` address to [`crate::ledger::Space`].
    pub const SPACES: &str = "SPACES";
    /// Hash: space id to [`crate::ledger::Space`]; ledgers whose closing record found the ring full.
    pub const CLOSED: &str = "CLOSED";
    /// Array of one [`crate::ledger::Target`].
    pub const TARGET: &str = "TARGET";
    /// Hash: thread group id in the initial PID namespace to [`crate::ledger::Task`].
    pub const TASKS: &str = "TASKS";
    /// Hash: PIDs that the user named, in the tracer's namespace; the value means nothing.
    pub const WANTED: &str = "WANTED";
    /// Array of one number: not 0 while the census runs, so that every event is published.
    pub const CENSUS: &str = "CENSUS";
    /// Per-CPU array of one [`crate::ledger::Stats`].
    pub const STATS: &str = "STATS";
    /// Array of one [`crate::ledger::Found`], what the probe and census programs learnt.
    pub const FOUND: &str = "FOUND";
    /// Array: CPU number to the offset of its per-CPU area.
    pub const PER_CPU_OFFSETS: &str = "PER_CPU_OFFSETS";
    /// Hash: `task_struct` address to [`crate::ledger::ThreadCache`]. One entry, unless threads count
    /// apart from their space.
    pub const THREAD_CACHES: &str = "THREAD_CACHES";
    /// Hash: `task_struct` address to [`crate::latency::LastFault`]. This and the next have one entry,
    /// unless the time of faults is to be taken.
    pub const LAST_FAULTS: &str = "LAST_FAULTS";
    /// Per-CPU array: number of a bucket ([`crate::latency::bucket`]) to the faults in it.
    pub const FAULT_BUCKETS: &str = "FAULT_BUCKETS";
    /// Per-CPU array of one [`crate::latency::FaultSums`].
    pub const FAULT_SUMS: &str = "FAULT_SUMS";
    /// Ring buffer of [`crate::record::Level`].
    pub const LEVELS: &str = "LEVELS";
    /// Ring buffer of the rare records.
    pub const LIVES: &str = "LIVES";
}
