//! What workloads know of themselves, as they write it for the tests: JSON, in bytes.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::sys::memory::page_bytes;

/// Resident memory by the kernel's classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The sum of the classes.
    pub rss_bytes: u64,
    /// Anonymous.
    pub anon_bytes: u64,
    /// File.
    pub file_bytes: u64,
    /// Shared memory.
    pub shmem_bytes: u64,
}

impl Level {
    /// This and so many pages of each class.
    pub fn plus_pages(self, anon: usize, file: usize, shmem: usize) -> Self {
        let bytes = |pages: usize| (pages * page_bytes()) as u64;
        Self {
            rss_bytes: self.rss_bytes + bytes(anon + file + shmem),
            anon_bytes: self.anon_bytes + bytes(anon),
            file_bytes: self.file_bytes + bytes(file),
            shmem_bytes: self.shmem_bytes + bytes(shmem),
        }
    }
}

/// Of `pages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PagesTruth {
    /// Its PID.
    pub pid: u32,
    /// Level at the standstill before the climb.
    pub base: Level,
    /// The peak by arithmetic.
    pub peak: Level,
    /// What `/proc` said at the plateau, where it was held for long; equal to `peak` then.
    pub seen: Option<Level>,
    /// Bytes that lay in huge pages at the plateau, where it was held for long.
    pub huge_bytes: Option<u64>,
    /// The peak was not held longer than this.
    pub held_ns: u64,
}

/// Of `classes`: what it held at the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassesTruth {
    /// Its PID.
    pub pid: u32,
    /// Resident memory, as `/proc` said at the standstill.
    pub level: Level,
    /// In swap, as `/proc` said.
    pub swap_bytes: u64,
    /// Huge pages of hugetlb, by arithmetic.
    pub hugetlb_bytes: u64,
}

/// Of workloads with one space and one plateau.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceTruth {
    /// PID of the process whose space it is.
    pub pid: u32,
    /// PIDs of other processes that took part.
    pub others: Vec<u32>,
    /// `statm` at the standstill at the plateau.
    pub peak_rss_bytes: u64,
}

/// Of `mapper`: its own log of calls, by kind, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapperTruth {
    /// Its PID.
    pub pid: u32,
    /// `mmap` calls that made something new.
    pub mmap: Calls,
    /// `mmap` calls laid over what was there.
    pub overlays: u64,
    /// `mmap` calls that were refused.
    pub refused: u64,
    /// `munmap` calls.
    pub munmap: Calls,
    /// `mremap` calls to more.
    pub grown: Calls,
    /// `mremap` calls to less.
    pub shrunk: Calls,
    /// `brk` calls to more.
    pub brk_up: Calls,
    /// `brk` calls to less.
    pub brk_down: Calls,
    /// Growth of the stack, as `VmStk` tells.
    pub stack_bytes: u64,
    /// `VmPeak` at the end.
    pub vm_peak_bytes: u64,
}

/// Calls of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// How many.
    pub count: u64,
    /// Bytes that they asked for.
    pub bytes: u64,
}

impl Calls {
    /// One more.
    pub fn add(&mut self, pages: usize) {
        self.count += 1;
        self.bytes += (pages * page_bytes()) as u64;
    }
}

/// Of `threads`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadsTruth {
    /// Its PID.
    pub pid: u32,
    /// `statm` at the standstill at the plateau.
    pub peak_rss_bytes: u64,
    /// How often its threads touched a page that was not there: a fault each.
    pub touched: u64,
}

/// Of `spikes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpikesTruth {
    /// Its PID.
    pub pid: u32,
    /// `statm` at the standstill before the spikes: the level between them, too.
    pub base_rss_bytes: u64,
    /// What each spike reaches, by arithmetic.
    pub peak_rss_bytes: u64,
    /// Each spike was not held longer than this.
    pub held_ns: Vec<u64>,
}

/// Of one process of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessTruth {
    /// Its PID.
    pub pid: u32,
    /// `statm` at the standstill at its own plateau.
    pub peak_rss_bytes: u64,
}

/// Of workloads with many processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeTruth {
    /// The first process.
    pub parent: ProcessTruth,
    /// Its children, in order of birth.
    pub children: Vec<ProcessTruth>,
    /// Sum over all that stood still together, where they did.
    pub together_rss_bytes: Option<u64>,
}

/// Of `spawner`: what the kernel told the parent of its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnerTruth {
    /// The parent; `statm` just before it made the child.
    pub parent: ProcessTruth,
    /// The child's PID.
    pub child: u32,
    /// The child's exit code.
    pub code: i32,
    /// The child's faults by `wait4`.
    pub minor_faults: u64,
    /// See `minor_faults`.
    pub major_faults: u64,
    /// The child's `ru_maxrss` by `wait4`.
    pub max_rss_bytes: u64,
}

/// Of `faulter`: its own counters at its very end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultsTruth {
    /// Its PID.
    pub pid: u32,
    /// At the start of its `main`.
    pub minor_at_start: u64,
    /// See `minor_at_start`.
    pub major_at_start: u64,
    /// At its last system call but two; nothing faults after that.
    pub minor_faults: u64,
    /// See `minor_faults`.
    pub major_faults: u64,
}

/// Of `waiter`: its faults between two standstills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiterTruth {
    /// Its PID.
    pub pid: u32,
    /// Pages that it touched and that were not there: a fault each.
    pub touched: u64,
    /// Faults, minor and major, by its own counters.
    pub counted: u64,
    /// One of them took so long, and a little less in the kernel.
    pub waited_ns: u64,
}

/// Of `spike`: one spike, and between which lengths its own lies, whatever height one asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpikeTruth {
    /// Its PID.
    pub pid: u32,
    /// What the spike adds.
    pub spike_bytes: u64,
    /// All of it was resident for this long.
    pub held_ns: u64,
    /// Any of it was, for no longer than this.
    pub whole_ns: u64,
}

/// Writes a truth where the test wants it: to a file, else to stdout.
pub fn write<T: Serialize>(truth: &T, file: Option<&Path>) {
    let text = serde_json::to_string(truth).expect("a truth is JSON");
    match file {
        Some(path) => {
            fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        None => println!("{text}"),
    }
}

/// Reads a truth back.
pub fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("the workload left no truth: {}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
