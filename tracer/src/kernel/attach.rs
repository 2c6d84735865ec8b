//! Carrying out a plan: loads the object, attaches its programs, runs the census.

mod census;
mod error;
mod kernel_functions;
mod loading;
mod missed;
mod runs;
mod user_functions;

use std::borrow::Cow;

use aya::{
    Btf, Ebpf, Endianness,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
    programs::{ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun},
};
use tracer_common::{
    latency::BUCKETS,
    limits::{MAX_CACHES, MAX_FAULTING, map},
};

pub use self::error::AttachError;
use self::{missed::Attached, runs::Timed};
use super::{calls, ledgers::Ledgers, outline::outline, plan::Plan, ring::Rings};
use crate::latency::FaultLatency;

/// The object as committed: `cargo xtask bpf --check` proves that it is what the source gives.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/memtrace.bpf.o");

/// The object to load: the committed one, unless `MEMTRACE_BPF_OBJECT` names another. The tests
/// use that to show that they notice a kernel side that is wrong.
///
/// # Errors
///
/// If the object named cannot be read.
pub fn object() -> Result<Cow<'static, [u8]>, AttachError> {
    match std::env::var_os("MEMTRACE_BPF_OBJECT") {
        None => Ok(Cow::Borrowed(OBJECT)),
        Some(path) => std::fs::read(&path)
            .map(Cow::Owned)
            .map_err(AttachError::OtherObject),
    }
}

/// Programs attached to the running kernel. Everything is gone from it when this is dropped, or
/// when the process dies in any way: nothing is pinned.
pub struct Live {
    /// Keeps programs, links and maps alive.
    bpf: Ebpf,
    /// What programs can attach to.
    types: Btf,
    /// What is attached for good.
    attached: Vec<Attached>,
    /// The time of page faults is taken.
    times_faults: bool,
    /// The time of the programs is taken.
    timed: Option<Timed>,
    /// The rings.
    pub rings: Rings,
    /// The ledgers.
    pub ledgers: Ledgers,
}

fn take<T>(bpf: &mut Ebpf, name: &'static str) -> Result<T, AttachError>
where
    T: TryFrom<Map, Error = MapError>,
{
    Ok(T::try_from(
        bpf.take_map(name).ok_or(AttachError::Object(name))?,
    )?)
}

impl Live {
    /// Loads `object` and attaches what the plan says. Nothing belongs to the target yet.
    ///
    /// # Errors
    ///
    /// [`AttachError`] with the kernel's reason.
    pub fn attach(object: &[u8], plan: &Plan) -> Result<Self, AttachError> {
        let mut loader = loading::loader();
        for (name, value) in &plan.globals {
            loader.override_global(name, value, true);
        }
        if let Some(bytes) = plan.ring_bytes {
            loader.map_max_entries(map::LEVELS, bytes);
        }
        if plan.counts_by_thread {
            loader.map_max_entries(map::THREAD_CACHES, MAX_CACHES);
        }
        let times_faults = plan.fault_latency == FaultLatency::Taken;
        if times_faults {
            loader.map_max_entries(map::LAST_FAULTS, MAX_FAULTING);
            loader.map_max_entries(map::FAULT_BUCKETS, BUCKETS);
        }
        let mut object = object.to_vec();
        calls::fill(&mut object, plan.calls);
        let mut bpf = loader
            .load(&object)
            .map_err(|error| AttachError::Load(Box::new(error)))?;
        let probe: &mut RawTracePoint = program(&mut bpf, "probe")?;
        let loaded = probe.load();
        let ran = loaded.and_then(|()| probe.test_run(RawTracePointRunOptions::new()));
        ran.map_err(AttachError::refused("probe", "per-CPU areas"))?;

        let ledgers = Ledgers {
            spaces: take::<HashMap<MapData, _, _>>(&mut bpf, map::SPACES)?,
            closed: take::<HashMap<MapData, _, _>>(&mut bpf, map::CLOSED)?,
            target: take::<Array<MapData, _>>(&mut bpf, map::TARGET)?,
            stats: take::<PerCpuArray<MapData, _>>(&mut bpf, map::STATS)?,
            found: take::<Array<MapData, _>>(&mut bpf, map::FOUND)?,
            census: take::<Array<MapData, _>>(&mut bpf, map::CENSUS)?,
            wanted: take::<HashMap<MapData, _, _>>(&mut bpf, map::WANTED)?,
            fault_buckets: take::<PerCpuArray<MapData, _>>(&mut bpf, map::FAULT_BUCKETS)?,
            fault_sums: take::<PerCpuArray<MapData, _>>(&mut bpf, map::FAULT_SUMS)?,
        };
        let rings = Rings::new(
            take::<RingBuf<MapData>>(&mut bpf, map::LEVELS)?,
            take::<RingBuf<MapData>>(&mut bpf, map::LIVES)?,
        );
        let cpus = plan.cpus();
        let found = ledgers.found()?;
        if found.cpus != cpus {
            return Err(AttachError::Probe(format!(
                "the per-CPU areas of only {} of {cpus} CPUs were found",
                found.cpus
            )));
        }
        if found.odd_counters != 0 {
            return Err(AttachError::Probe(
                "this kernel lays its memory counters out in a way that memtrace cannot sum"
                    .to_owned(),
            ));
        }
        let types = Btf::parse(&outline(plan.types.clone()), Endianness::default())?;
        loading::load_and_attach(&mut bpf, plan, &types)?;
        for planned in &plan.at_functions {
            kernel_functions::attach(&mut bpf, planned, &types)?;
        }
        Ok(Self {
            bpf,
            types,
            attached: Attached::all(plan),
            times_faults,
            timed: None,
            rings,
            ledgers,
        })
    }
}

fn program<'a, T>(bpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut T, AttachError>
where
    &'a mut T: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    let found = bpf.program_mut(name).ok_or(AttachError::Object(name))?;
    let program = found.try_into();
    program.map_err(AttachError::refused(name, "its kind"))
}
