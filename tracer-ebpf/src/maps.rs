//! Every map, on one page. Names are those of [`tracer_common::limits::map`].

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, PerCpuArray, RingBuf},
};
use tracer_common::{
    alone::{Alone, Seen},
    latency::{FaultSums, LastFault},
    ledger::{Found, Space, Stats, Target, Task, ThreadCache},
    limits::{
        LEVEL_RING_BYTES, LIFE_RING_BYTES, MAX_CPUS, MAX_PROCESSES, MAX_SPACES, MAX_WANTED,
        PRESENCE_BUCKETS,
    },
};

/// `mm_struct` address to its ledger.
#[map]
pub static SPACES: HashMap<u64, Space> = HashMap::with_max_entries(MAX_SPACES, 0);

/// Ledgers of dead spaces that the ring could not take, by space id. Memory is taken only then: what
/// is charged to memtrace may be missing to the target.
#[map]
pub static CLOSED: HashMap<u32, Space> = HashMap::with_max_entries(MAX_SPACES, BPF_F_NO_PREALLOC);

/// An empty ledger: what a new entry of [`SPACES`] starts from. Never written.
#[map]
pub static EMPTY_SPACE: Array<Space> = Array::with_max_entries(1, 0);

/// What a new entry of [`TASKS`] starts from. Never written.
#[map]
pub static EMPTY_TASK: Array<Task> = Array::with_max_entries(1, 0);

/// The target's ledger.
#[map]
pub static TARGET: Array<Target> = Array::with_max_entries(1, 0);

/// Not 0 while the census runs.
#[map]
pub static CENSUS: Array<u64> = Array::with_max_entries(1, 0);

/// How many spaces hash to a bucket: 0 tells for most of the machine's address spaces, with one
/// load, that they are not the target's.
#[map]
pub static PRESENCE: Array<[u32; PRESENCE_BUCKETS]> = Array::with_max_entries(1, 0);

/// Processes of the target by thread group id (initial PID namespace).
#[map]
pub static TASKS: HashMap<u32, Task> = HashMap::with_max_entries(MAX_PROCESSES, 0);

/// Processes that exited and that the kernel has not freed yet: group leader's address to number.
#[map]
pub static EXITED: HashMap<u64, u32> = HashMap::with_max_entries(MAX_PROCESSES, 0);

/// PIDs that the user named, in the tracer's namespace.
#[map]
pub static WANTED: HashMap<u32, u32> = HashMap::with_max_entries(MAX_WANTED, 0);

/// What each CPU knows of the target's only space.
#[map]
pub static SEEN: PerCpuArray<Seen> = PerCpuArray::with_max_entries(1, 0);

/// What the CPUs share of it.
#[map]
pub static ALONE: Array<Alone> = Array::with_max_entries(1, 0);

/// The task whose change each CPU looked at last: see `preempt`.
#[map]
pub static LOOKED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Counters for `certainty`.
#[map]
pub static STATS: PerCpuArray<Stats> = PerCpuArray::with_max_entries(1, 0);

/// What each thread counts apart from its space, by its address. User space makes room in it on the
/// kernels that let them.
#[map]
pub static THREAD_CACHES: HashMap<u64, ThreadCache> = HashMap::with_max_entries(1, 0);

/// The last page fault of each thread, by its address. User space makes room in it, and in the next,
/// where their time is to be taken.
#[map]
pub static LAST_FAULTS: HashMap<u64, LastFault> = HashMap::with_max_entries(1, 0);

/// Faults by how long they took.
#[map]
pub static FAULT_BUCKETS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// What else is known of their time.
#[map]
pub static FAULT_SUMS: PerCpuArray<FaultSums> = PerCpuArray::with_max_entries(1, 0);

/// Findings of the programs that run on request.
#[map]
pub static FOUND: Array<Found> = Array::with_max_entries(1, 0);

/// Offsets of the per-CPU areas.
#[map]
pub static PER_CPU_OFFSETS: Array<u64> = Array::with_max_entries(MAX_CPUS, 0);

/// An element whose per-CPU addresses reveal the offsets of the per-CPU areas.
#[map]
pub static PER_CPU_PROBE: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// A place to turn a pointer into a number: the verifier forbids arithmetic on map pointers.
#[map]
pub static POINTER: Array<u64> = Array::with_max_entries(1, 0);

/// History: levels.
#[map]
pub static LEVELS: RingBuf = RingBuf::with_byte_size(LEVEL_RING_BYTES, 0);

/// Forks, execs, exits, closed ledgers.
#[map]
pub static LIVES: RingBuf = RingBuf::with_byte_size(LIFE_RING_BYTES, 0);
