//! Carrying out a plan: loads the object, attaches its programs, runs the census.

mod faults;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd},
    sync::{Mutex, PoisonError},
    thread,
};

use aya::{
    Btf, BtfError, Ebpf, EbpfError, EbpfLoader,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
    programs::{
        BtfTracePoint, Iter, ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun, UProbe,
        links::LinkError,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
    },
};
use tracer_common::{
    latency::BUCKETS,
    limits::{MAX_FAULTING, map},
};

use super::{
    calls,
    ledgers::{Ledgers, Shared},
    plan::{Plan, Program as Planned, faults::AtFunction},
    ring::Rings,
};
use crate::functions::Function;

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

/// Runs of the census before it is given up. Each finds what was forked before its parent was
/// known; only a target that forks faster than the kernel's task list is read needs many.
const CENSUS_RUNS: u32 = 64;

/// Why tracing could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The kernel refused the object.
    #[error("the kernel refused to load memtrace's programs")]
    Load(#[source] Box<EbpfError>),
    /// The kernel refused a program.
    #[error("the kernel refused the program {program} for {subject}")]
    Program {
        /// Name.
        program: String,
        /// What it is for.
        subject: String,
        /// Why; large, since it can hold the verifier's log.
        #[source]
        error: Box<ProgramError>,
    },
    /// Type information could not be read.
    #[error("the kernel's type information cannot be read: {0}")]
    Btf(#[from] BtfError),
    /// A map could not be read or written.
    #[error("a map of the kernel side cannot be used: {0}")]
    Map(#[from] MapError),
    /// A link could not be made.
    #[error("the kernel refused a link: {0}")]
    Link(#[from] LinkError),
    /// The census could not be read.
    #[error("the kernel's task list cannot be read: {0}")]
    Census(#[source] io::Error),
    /// The probe did not find what it must.
    #[error("{0}")]
    Probe(String),
    /// The object that the environment names cannot be read.
    #[error("the object that MEMTRACE_BPF_OBJECT names cannot be read: {0}")]
    OtherObject(#[source] io::Error),
    /// The object lacks a map or a program: it is not the one this program was built with.
    #[error("the BPF object has no {0}; rebuild it with: cargo xtask bpf")]
    Object(&'static str),
}

/// Programs attached to the running kernel. Everything is gone from it when this is dropped, or
/// when the process dies in any way: nothing is pinned.
pub struct Live {
    /// Keeps programs, links and maps alive.
    bpf: Ebpf,
    /// Programs of tracepoints that are attached.
    attached: Vec<Planned>,
    /// Programs of functions that are attached.
    at_functions: Vec<AtFunction>,
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
        let btf = Btf::from_sys_fs()?;
        let mut loader = EbpfLoader::new();
        loader.btf(Some(&btf));
        for (name, value) in &plan.globals {
            loader.override_global(name, value, true);
        }
        if let Some(bytes) = plan.ring_bytes {
            loader.map_max_entries(map::LEVELS, bytes);
        }
        if !plan.at_functions.is_empty() {
            loader.map_max_entries(map::LAST_FAULTS, MAX_FAULTING);
            loader.map_max_entries(map::FAULT_BUCKETS, BUCKETS);
        }
        let mut object = object.to_vec();
        calls::fill(&mut object, plan.calls);
        let mut bpf = loader
            .load(&object)
            .map_err(|error| AttachError::Load(Box::new(error)))?;
        let refused = |program: &str, subject: &str| {
            let (program, subject) = (program.to_owned(), subject.to_owned());
            move |error| AttachError::Program {
                program,
                subject,
                error: Box::new(error),
            }
        };

        let probe: &mut RawTracePoint = program(&mut bpf, "probe")?;
        probe.load().map_err(refused("probe", "per-CPU areas"))?;
        probe
            .test_run(RawTracePointRunOptions::new())
            .map_err(refused("probe", "per-CPU areas"))?;

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
        load_all(&mut bpf, plan, &btf)?;
        for planned in &plan.programs {
            let loaded: &mut BtfTracePoint = program(&mut bpf, planned.name)?;
            loaded
                .attach()
                .map_err(refused(planned.name, planned.subject))?;
        }
        for planned in &plan.at_functions {
            faults::attach(&mut bpf, planned, &btf)?;
        }
        Ok(Self {
            bpf,
            attached: plan.programs.clone(),
            at_functions: plan.at_functions.clone(),
            rings,
            ledgers,
        })
    }

    /// Makes functions phases, by their place in the list: probes at their entry and where they leave, in
    /// every process that runs them. Those that are not of the target leave at once.
    ///
    /// # Errors
    ///
    /// [`AttachError`] with the kernel's reason.
    pub fn attach_functions(&mut self, functions: &[Function]) -> Result<(), AttachError> {
        if functions.is_empty() {
            return Ok(());
        }
        type Places = fn(&Function) -> &[u64];
        let programs: [(&str, Places); 2] = [
            ("function_entered", |function| {
                std::slice::from_ref(&function.entry)
            }),
            ("function_left", |function| &function.exits),
        ];
        for (name, places) in programs {
            let refused = |subject: &str| {
                let subject = subject.to_owned();
                move |error| AttachError::Program {
                    program: name.to_owned(),
                    subject,
                    error: Box::new(error),
                }
            };
            let probe: &mut UProbe = program(&mut self.bpf, name)?;
            probe.load().map_err(refused("function phases"))?;
            for (number, function) in functions.iter().enumerate() {
                for offset in places(function) {
                    let point = UProbeAttachPoint {
                        location: UProbeAttachLocation::AbsoluteOffset(*offset),
                        cookie: Some(number as u64),
                    };
                    probe
                        .attach(point, &function.path, UProbeScope::AllProcesses)
                        .map_err(refused(&function.name))?;
                }
            }
        }
        Ok(())
    }

    /// Makes all that runs in a cgroup the target, now and later. Gives how many processes it has.
    ///
    /// # Errors
    ///
    /// [`AttachError`] if a map or the task list cannot be used.
    pub fn follow_cgroup(&mut self, id: u64, level: u64) -> Result<u64, AttachError> {
        // Checked by the kernel before the cgroup is followed, so that little happens in between.
        self.load_census()?;
        let mut found = self.ledgers.found()?;
        (found.cgroup_id, found.cgroup_level) = (id, level);
        self.ledgers.found.set(0, Shared(found), 0)?;
        self.take_census()?;
        Ok(self.ledgers.target()?.processes)
    }

    /// Makes processes that exist the target, with their descendants unless the plan says not to.
    /// Gives how many processes joined.
    ///
    /// # Errors
    ///
    /// [`AttachError`] if a map or the task list cannot be used.
    pub fn seed(&mut self, pids: &[u32]) -> Result<u64, AttachError> {
        for pid in pids {
            self.ledgers.wanted.insert(pid, 1, 0)?;
        }
        let added = self.take_census()?;
        for pid in pids {
            self.ledgers.wanted.remove(pid)?;
        }
        Ok(added)
    }

    fn take_census(&mut self) -> Result<u64, AttachError> {
        // While several spaces are being found, each must be published at every change.
        self.ledgers.census.set(0, 1, 0)?;
        let mut added = 0;
        for _ in 0..CENSUS_RUNS {
            self.run_census()?;
            let now = self.ledgers.found()?.added;
            if now == added {
                break;
            }
            added = now;
        }
        self.ledgers.census.set(0, 0, 0)?;
        Ok(added)
    }

    /// Brings the ledgers of all living spaces up to date.
    ///
    /// # Errors
    ///
    /// [`AttachError`] if the task list cannot be read.
    pub fn refresh(&mut self) -> Result<(), AttachError> {
        self.run_census()
    }

    /// The census, loaded: most runs never need it, and checking it takes the kernel as long as
    /// all the others.
    fn load_census(&mut self) -> Result<&mut Iter, AttachError> {
        let census: &mut Iter = program(&mut self.bpf, "census")?;
        if census.fd().is_err() {
            census
                .load("task", &Btf::from_sys_fs()?)
                .map_err(census_refused)?;
        }
        Ok(census)
    }

    fn run_census(&mut self) -> Result<(), AttachError> {
        let census = self.load_census()?;
        let link = census.attach().map_err(census_refused)?;
        let link = census.take_link(link).map_err(census_refused)?;
        let mut file: File = link.into_file()?;
        io::copy(&mut file, &mut io::sink()).map_err(AttachError::Census)?;
        Ok(())
    }

    /// Events that the kernel kept from our programs, because one was active on that CPU already:
    /// at most so many, as the programs' descriptors tell. `None` if the kernel does not tell.
    pub fn missed_runs(&self) -> Option<BTreeMap<String, u64>> {
        let mut skipped = BTreeMap::new();
        for (name, program) in self.bpf.programs() {
            // Programs that were not loaded have no descriptor.
            let Ok(fd) = program.fd() else { continue };
            let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
            let text = std::fs::read_to_string(path).ok()?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("recursion_misses:"))?;
            skipped.insert(name, line.trim().parse::<u64>().ok()?);
        }
        // These find out by themselves what they missed.
        for planned in &self.at_functions {
            skipped.remove(planned.name);
        }
        Some(missed(&self.attached, skipped))
    }
}

/// Events missed at most, from how often each program was skipped. Where a tracepoint has two
/// programs, an event is missed only if both were.
fn missed(attached: &[Planned], mut skipped: BTreeMap<&str, u64>) -> BTreeMap<String, u64> {
    let mut by_tracepoint = BTreeMap::new();
    for planned in attached {
        if let Some(skipped) = skipped.remove(planned.name)
            && !planned.is_made_up_for
        {
            let least = by_tracepoint.entry(planned.tracepoint).or_insert(skipped);
            *least = skipped.min(*least);
        }
    }
    let of_others = skipped.into_iter();
    let missed = by_tracepoint.into_iter().chain(of_others);
    missed
        .filter(|(_, missed)| *missed > 0)
        .map(|(name, missed)| (name.to_owned(), missed))
        .collect()
}

/// Loads what is to be attached. The kernel checks a program on the CPU that asks for it, which is
/// most of the time that a run takes to start: so all CPUs ask at once.
fn load_all(bpf: &mut Ebpf, plan: &Plan, btf: &Btf) -> Result<(), AttachError> {
    let mut waiting = Vec::new();
    for (name, program) in bpf.programs_mut() {
        if let Some(planned) = plan.programs.iter().find(|planned| planned.name == name) {
            waiting.push((planned, program));
        }
    }
    let waiting = Mutex::new(waiting);
    let load_some = || -> Result<(), AttachError> {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((planned, program)) = next else {
                return Ok(());
            };
            let loaded: Result<&mut BtfTracePoint, _> = program.try_into();
            let loaded = loaded.and_then(|loaded| loaded.load(planned.tracepoint, btf));
            loaded.map_err(|error| AttachError::Program {
                program: planned.name.to_owned(),
                subject: planned.subject.to_owned(),
                error: Box::new(error),
            })?;
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(plan.programs.len()))
            .map(|_| scope.spawn(load_some))
            .collect();
        let own = load_some();
        let others = others.into_iter().map(|other| match other.join() {
            Ok(loaded) => loaded,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        others.fold(own, Result::and)
    })
}

fn census_refused(error: ProgramError) -> AttachError {
    AttachError::Program {
        program: "census".to_owned(),
        subject: "who is there already".to_owned(),
        error: Box::new(error),
    }
}

fn program<'a, T>(bpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut T, AttachError>
where
    &'a mut T: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    let found = bpf.program_mut(name).ok_or(AttachError::Object(name))?;
    found.try_into().map_err(|error| AttachError::Program {
        program: name.to_owned(),
        subject: "its kind".to_owned(),
        error: Box::new(error),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Planned, missed};

    #[test]
    fn an_event_is_missed_if_all_programs_of_its_tracepoint_were_skipped() {
        let program = |name, tracepoint| Planned {
            name,
            tracepoint,
            subject: "",
            is_made_up_for: tracepoint == "sched_process_exit",
        };
        let attached = [
            program("exit_mmap", "exit_mmap"),
            program("exit_mmap_again", "exit_mmap"),
            program("rss_stat", "rss_stat"),
            program("sched_process_exit", "sched_process_exit"),
        ];
        let missed = |exit, again, rss, function| {
            let skipped = [
                ("exit_mmap", exit),
                ("exit_mmap_again", again),
                ("rss_stat", rss),
                ("function_entered", function),
                ("sched_process_exit", 7),
            ];
            let missed = missed(&attached, BTreeMap::from(skipped));
            missed.into_iter().collect::<Vec<_>>()
        };
        let named = |name: &str, missed: u64| (name.to_owned(), missed);
        assert_eq!(missed(5, 0, 0, 0), []);
        assert_eq!(
            missed(5, 2, 1, 0),
            [named("exit_mmap", 2), named("rss_stat", 1)]
        );
        assert_eq!(missed(0, 2, 0, 4), [named("function_entered", 4)]);
    }
}
