//! Handing programs to the kernel, which is most of the time that a run takes to start: so it is
//! done on all CPUs at once.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    sync::{Mutex, PoisonError},
    thread,
};

use aya::{Btf, Ebpf, EbpfLoader, programs::BtfTracePoint};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{AttachError, Plan, program};

/// The programs that the kernel checks longest, the longest first: of one that is begun last, the
/// other CPUs would wait for the end.
const LONGEST: [&str; 5] = [
    "sched_prepare_exec",
    "task_prctl_unknown",
    "task_newtask",
    "sched_process_exit",
    "rss_stat",
];

/// aya's loader, without the kernel's types, which the object needs no relocation by: making one reads
/// them all, wanted or not, which takes thirty megabytes and as long as half of the programs. Refused
/// a file descriptor it does without.
pub(super) fn loader() -> EbpfLoader<'static> {
    let limits = getrlimit(Resource::RLIMIT_NOFILE);
    let refused = limits.and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, 0, most));
    let mut loader = EbpfLoader::new();
    if let (Ok((limit, most)), Ok(())) = (limits, refused) {
        // What was the limit is no more than may be set.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, limit, most);
    }
    loader.btf(None);
    loader
}

/// Loads the programs of tracepoints, and attaches them. The kernel checks a program on the CPU that
/// asks for it.
pub(super) fn load_and_attach(bpf: &mut Ebpf, plan: &Plan, types: &Btf) -> Result<(), AttachError> {
    let mut programs: BTreeMap<_, _> = bpf.programs_mut().collect();
    let mut waiting = Vec::new();
    for planned in &plan.programs {
        let program = programs.remove(planned.name);
        waiting.push((planned, program.ok_or(AttachError::Object(planned.name))?));
    }
    let rank = |name: &str| LONGEST.iter().position(|long| *long == name);
    waiting.sort_by_key(|(planned, _)| rank(planned.name).unwrap_or(LONGEST.len()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(waiting.len());
    let waiting = Mutex::new(waiting.into_iter());
    let take_some = || -> Result<(), AttachError> {
        loop {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((planned, program)) = waiting.next() else {
                return Ok(());
            };
            drop(waiting);
            let loaded: Result<&mut BtfTracePoint, _> = program.try_into();
            let loaded = loaded.and_then(|program| program.load(planned.tracepoint, types));
            loaded.map_err(AttachError::refused(planned.name, planned.subject))?;
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take_some)).collect();
        let own = take_some();
        let others = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        others.fold(own, Result::and)
    })?;
    // In their order: the kernel runs the programs of a tracepoint in the order in which they were
    // attached, and a second one does what the first did not.
    for planned in &plan.programs {
        let program: &mut BtfTracePoint = program(bpf, planned.name)?;
        let attached = program.attach();
        attached.map_err(AttachError::refused(planned.name, planned.subject))?;
    }
    Ok(())
}
