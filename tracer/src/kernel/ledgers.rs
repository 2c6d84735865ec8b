//! Reading the ledgers: what the kernel side keeps in maps.

use aya::{
    Pod,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray},
};
use tracer_common::{
    WireSafe,
    latency::{BUCKETS, FaultSums},
    ledger::{Found, Space, Stats, Target},
    record::kind,
};

use crate::latency::FaultLatencies;

/// A map value that both sides define alike.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Shared<T>(pub T);

// SAFETY: `WireSafe` types are integers without padding, so any bytes are a value and all bytes
// are initialised.
unsafe impl<T: WireSafe> Pod for Shared<T> {}

/// The maps that user space reads and writes.
pub struct Ledgers {
    pub(super) spaces: HashMap<MapData, u64, Shared<Space>>,
    pub(super) closed: HashMap<MapData, u32, Shared<Space>>,
    pub(super) target: Array<MapData, Shared<Target>>,
    pub(super) stats: PerCpuArray<MapData, Shared<Stats>>,
    pub(super) found: Array<MapData, Shared<Found>>,
    pub(super) census: Array<MapData, u64>,
    pub(super) wanted: HashMap<MapData, u32, u32>,
    pub(super) fault_buckets: PerCpuArray<MapData, u64>,
    pub(super) fault_sums: PerCpuArray<MapData, Shared<FaultSums>>,
}

impl Ledgers {
    /// The target's ledger.
    ///
    /// # Errors
    ///
    /// If the kernel does not give the map's value.
    pub fn target(&self) -> Result<Target, MapError> {
        self.target.get(&0, 0).map(|shared| shared.0)
    }

    /// Ledgers of the spaces alive. A space that dies meanwhile may be missing: its closing record
    /// is in the ring then.
    ///
    /// # Errors
    ///
    /// If the kernel does not give the map's values.
    pub fn spaces(&self) -> Result<Vec<Space>, MapError> {
        self.spaces
            .iter()
            .map(|entry| entry.map(|(_, shared)| shared.0))
            .collect()
    }

    /// Takes the ledgers whose closing records found no room.
    ///
    /// # Errors
    ///
    /// If the kernel does not give the map's values.
    pub fn take_closed(&mut self) -> Result<Vec<Space>, MapError> {
        let entries: Vec<_> = self.closed.iter().collect::<Result<_, _>>()?;
        for (id, _) in &entries {
            self.closed.remove(id)?;
        }
        Ok(entries.into_iter().map(|(_, shared)| shared.0).collect())
    }

    /// Records emitted and lost, by kind, over all CPUs; and those lost, by CPU.
    ///
    /// # Errors
    ///
    /// If the kernel does not give the map's value.
    pub fn stats(&self) -> Result<(Stats, Vec<u64>), MapError> {
        let mut sum = Stats::default();
        let mut lost_by_cpu = Vec::new();
        for Shared(cpu) in self.stats.get(&0, 0)?.iter() {
            lost_by_cpu.push(cpu.lost.iter().sum());
            for index in 0..kind::COUNT {
                sum.emitted[index] += cpu.emitted[index];
                sum.lost[index] += cpu.lost[index];
            }
        }
        Ok((sum, lost_by_cpu))
    }

    /// How long page faults took, where the buckets have room.
    pub(super) fn fault_latencies(&self) -> Result<FaultLatencies, MapError> {
        let mut counted = Vec::new();
        for bucket in 0..BUCKETS {
            let cpus = self.fault_buckets.get(&bucket, 0)?;
            counted.push((bucket, cpus.iter().sum()));
        }
        // After the buckets, so that no fault in them is longer than the longest.
        let cpus = self.fault_sums.get(&0, 0)?;
        let sums = cpus.iter().map(|Shared(sums)| *sums);
        Ok(FaultLatencies::of(counted, sums))
    }

    pub(super) fn found(&self) -> Result<Found, MapError> {
        self.found.get(&0, 0).map(|shared| shared.0)
    }
}
