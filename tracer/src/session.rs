//! A run: the only part that knows time, signals and children. Brings kernel, readings and model
//! together and gives the report.

mod followed;
mod living;
mod looks;
mod pss;
mod status;
mod watch;

use std::{
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use nix::{
    sys::{
        signal::{Signal, kill},
        signalfd::SignalFd,
    },
    unistd::{Pid, Uid},
};
use tracer_common::{
    ledger::Space,
    record::{Header, SpaceClosed, kind},
};

use self::{
    followed::Followed,
    living::{Alive, Living},
    looks::Looks,
    pss::Pss,
    status::Status,
    watch::watch,
};
use crate::{
    capture::{self, Destination, Writer},
    cgroup::{self, Cgroup, Hierarchy, Wanted},
    command::{
        holder::Holder,
        reaped::{Reaped, pidfd, reap},
    },
    event::{Begun, EndReason, Ended, Event, Reading, TargetAsked},
    failure::Failure,
    functions::Function,
    host,
    kernel::{
        attach::{Live, Loader, object},
        facts::Facts,
        plan::{Asked, DEFAULT_QUANTUM_BYTES, Plan, functions},
        privilege,
    },
    model::Model,
    readings,
    report::schema::Report,
    sampler, signals,
};

/// What to trace.
pub enum What {
    /// A command, held back so far.
    Command {
        /// Its process.
        holder: Holder,
        /// Program and arguments, for the report.
        argv: Vec<String>,
    },
    /// Processes that run already.
    Pids(Vec<u32>),
    /// All that runs in a cgroup.
    Cgroup {
        /// Which.
        wanted: Wanted,
        /// It may not be there yet, or be empty.
        wait: bool,
    },
}

/// How to trace it.
#[derive(Clone, Debug)]
pub struct How {
    /// Descendants belong to the target.
    pub follow: bool,
    /// End after this time.
    pub duration: Option<Duration>,
    /// Least movement that the stream tells, bytes.
    pub quantum_bytes: Option<u64>,
    /// Each program that a process enters is a phase.
    pub programs_are_phases: bool,
    /// System calls are told.
    pub tells_syscalls: bool,
    /// The time of page faults is taken.
    pub fault_latency: bool,
    /// Functions that are phases.
    pub functions: Vec<Function>,
    /// Memory that processes share is counted once, too.
    pub counts_once: bool,
    /// Size of the ring that carries levels.
    pub ring_bytes: Option<u32>,
    /// Tell on the way how far it has come, where a terminal allows it.
    pub status_line: bool,
    /// Who waits for the word that the command runs.
    pub samplers: Option<sampler::Start>,
}

/// What came out.
pub struct Outcome {
    /// The report.
    pub report: Report,
    /// The command if it still runs.
    pub unfinished: Option<Pid>,
    /// The signal that ended the tracing, if one did.
    pub interrupted_by: Option<i32>,
    /// Whether the capture that was asked for is whole.
    pub captured: anyhow::Result<()>,
}

/// How often the levels are fetched. The ring holds some fifty thousand unless asked otherwise,
/// which the fastest storm of page faults fills in a tenth of a second.
const FETCH_EVERY: Duration = Duration::from_millis(20);

/// How long to wait for the kernel to free processes that have exited, for their last fault
/// counts. It does so after a grace period of RCU, some milliseconds; a zombie is never freed.
const WAIT_FOR_FREES: Duration = Duration::from_millis(100);

/// Traces to the end.
///
/// # Errors
///
/// [`Failure`] if tracing cannot be set up or the command cannot be started.
pub fn run(what: What, how: How, capture: Option<Destination>) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .context("no event loop can be made")?;
    let outcome = runtime.block_on(Session::start(what, how, capture)?.follow());
    // A reading of PSS that is still going on is of no use any more.
    runtime.shutdown_background();
    outcome
}

/// The target's cgroup as it was when tracing began.
struct AtStart {
    directory: PathBuf,
    /// Name of the file that holds its peak.
    file: &'static str,
    peak_bytes: Option<u64>,
    strangers: u32,
}

impl AtStart {
    /// Of the process's cgroup; `None` if that has no peak.
    fn of(pid: u32) -> Option<Self> {
        let hierarchy = Hierarchy::here()?;
        let (directory, file) = (hierarchy.of(pid)?, hierarchy.peak_file());
        directory.join(file).exists().then(|| Self {
            peak_bytes: cgroup::number(&directory.join(file)),
            directory,
            file,
            strangers: 0,
        })
    }
}

struct Session {
    live: Live,
    model: Model,
    capture: Option<Writer>,
    how: How,
    page_bytes: u64,
    living: Living,
    command: Option<(Pid, OwnedFd)>,
    cgroup: Option<AtStart>,
    followed: Option<Followed>,
    pss: Pss,
    looks: Looks,
    signals: SignalFd,
    status: Option<Status>,
}

impl Session {
    fn start(what: What, how: How, capture: Option<Destination>) -> Result<Self, Failure> {
        let loader = Loader::start();
        let page_bytes = host::page_bytes();
        let mut facts = Facts::read(std::path::Path::new("/")).context(
            "memtrace needs a kernel built with CONFIG_DEBUG_INFO_BTF; memtrace check tells more",
        )?;
        let asked = Asked {
            holds_command: matches!(what, What::Command { .. }),
            follow: how.follow,
            quantum_bytes: how.quantum_bytes,
            programs_are_phases: how.programs_are_phases,
            tells_syscalls: how.tells_syscalls,
            fault_latency: how.fault_latency,
            follows_cgroup: matches!(what, What::Cgroup { .. }),
            ring_bytes: how.ring_bytes,
            page_bytes,
        };
        if functions::may_be_wanted(&asked, &facts) {
            facts = facts.with_fentry_tried();
        }
        let plan = Plan::make(&asked, &facts)
            .map_err(|refusal| anyhow::anyhow!("{refusal}. memtrace check tells more"))?;
        let object = object().context("tracing cannot be set up")?;
        let mut live = Live::attach(loader, &object, &plan).context("tracing cannot be set up")?;
        live.attach_functions(&how.functions).context(
            if privilege::may_probe_programs(&privilege::effective()) {
                "the functions cannot be made phases"
            } else {
                "the functions cannot be made phases. Many kernels want CAP_SYS_ADMIN for that: \
                 run memtrace with sudo"
            },
        )?;
        // From here on a signal ends the run with a report.
        let signals = signals::wait_for()?;
        let mut followed = match &what {
            What::Cgroup { wanted, wait } => {
                // Loads the census, which takes a tenth of a second: what is waited for may not
                // last as long.
                live.refresh().context("tracing cannot be set up")?;
                let found = Followed::find(wanted, *wait, &signals)?;
                ensure_mine(&found.cgroup.directory)?;
                Some(found)
            }
            _ => None,
        };
        let start_ns = host::monotonic_ns();
        let (asked_target, asked_pids) = match &what {
            What::Command { holder, argv } => {
                let pid = holder.pid.as_raw() as u32;
                (
                    TargetAsked::Command {
                        argv: argv.clone(),
                        pid,
                        follow: how.follow,
                    },
                    vec![pid],
                )
            }
            What::Pids(pids) => (
                TargetAsked::Pids {
                    pids: pids.clone(),
                    follow: how.follow,
                },
                pids.clone(),
            ),
            What::Cgroup { .. } => {
                let cgroup = &followed.as_ref().context("it was found")?.cgroup;
                (
                    TargetAsked::Cgroup {
                        path: cgroup.directory.display().to_string(),
                        container_name: cgroup.container.clone(),
                        pod_name: cgroup.pod.clone(),
                    },
                    Vec::new(),
                )
            }
        };
        let begun = Begun {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            bpf_sha256: host::sha256(&object),
            kernel: facts.release.clone(),
            arch: std::env::consts::ARCH.to_owned(),
            cpus: facts.cpus,
            page_bytes,
            cgroup: facts.cgroup.clone(),
            target: asked_target,
            started_at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            start_ns,
            quantum_bytes: how.quantum_bytes.unwrap_or(DEFAULT_QUANTUM_BYTES),
            quantum_grows: how.quantum_bytes.is_none(),
            hooks: plan.hooks(),
            tells_syscalls: how.tells_syscalls,
            counts_once: how.counts_once,
            fault_latency: plan.fault_latency,
            functions: how.functions.iter().map(|of| of.name.clone()).collect(),
            doubts: plan.doubts,
        };
        let cgroup = asked_pids.first().and_then(|pid| AtStart::of(*pid));
        let command = match what {
            What::Command { holder, .. } => {
                let fd = pidfd(holder.pid).context("the command cannot be watched")?;
                let pid = holder.release()?;
                how.samplers.iter().for_each(sampler::Start::now);
                Some((pid, fd))
            }
            What::Pids(pids) => {
                let found = live.seed(&pids).context("tracing cannot be set up")?;
                if found == 0 {
                    return Err(
                        anyhow::anyhow!("every process named ended before tracing began").into(),
                    );
                }
                None
            }
            What::Cgroup { wait, .. } => {
                let followed = followed.as_mut().context("it was found")?;
                let Cgroup { id, level, .. } = followed.cgroup;
                let found = live.follow_cgroup(id, level);
                if found.context("tracing cannot be set up")? == 0 && !wait {
                    return Err(anyhow::anyhow!(
                        "nothing runs in the cgroup {}. Wait for it with --wait",
                        followed.cgroup.directory.display()
                    )
                    .into());
                }
                followed.read();
                None
            }
        };
        let mut session = Self {
            live,
            model: Model::new(),
            capture: capture.map(Writer::start).transpose()?,
            how,
            page_bytes,
            living: Living::default(),
            command,
            cgroup: None,
            followed,
            pss: Pss::new(page_bytes),
            looks: Looks::new(),
            signals,
            status: None,
        };
        session.take(Event::Begun(Box::new(begun)));
        session.fetch();
        session.cgroup = cgroup.map(|cgroup| AtStart {
            strangers: session.strangers(&cgroup.directory),
            ..cgroup
        });
        if session.how.status_line {
            session.status = Status::start(asked_pids, page_bytes);
        }
        Ok(session)
    }

    /// Hands all records that are there to the model.
    fn fetch(&mut self) {
        let Self {
            live,
            model,
            capture,
            living,
            ..
        } = self;
        live.rings
            .drain(|event| take(event, living, capture.as_mut(), model));
        if let Some(capture) = capture {
            capture.flush_if_due();
        }
        if let Some(reading) = self.looks.limits(&self.model) {
            self.take(Event::Reading(reading));
        }
    }

    /// Reads the files of the cgroup that is the target.
    fn read_followed(&mut self) {
        if let Some(followed) = &mut self.followed {
            followed.read();
        }
    }

    /// Takes in an event that is not from the rings.
    fn take(&mut self, event: Event) {
        take(
            event,
            &mut self.living,
            self.capture.as_mut(),
            &mut self.model,
        );
    }

    fn strangers(&self, cgroup: &Path) -> u32 {
        let own = self.living.pids();
        let there = cgroup::processes(cgroup);
        there.iter().filter(|pid| !own.contains(pid)).count() as u32
    }

    async fn follow(mut self) -> Result<Outcome, Failure> {
        let began = Instant::now();
        let lives = watch(self.live.rings.lives()).context("the ring cannot be waited for")?;
        let signals = watch(&self.signals).context("signals cannot be waited for")?;
        let mut ticks = tokio::time::interval(FETCH_EVERY);
        let ended = self.command.as_ref().map(|(_, fd)| watch(fd)).transpose();
        let ended = ended.context("the command cannot be watched")?;
        let mut signal = None;
        let reason = loop {
            let left = self
                .how
                .duration
                .map(|duration| duration.saturating_sub(began.elapsed()));
            tokio::select! {
                _ = ticks.tick() => {
                    self.read_followed();
                    for reading in self.looks.look(&mut self.living) {
                        self.take(Event::Reading(reading));
                    }
                    if self.how.counts_once {
                        let target = self.live.ledgers.target();
                        let target = target.context("the ledger cannot be read")?;
                        self.pss.start_if_due(&target, &self.living);
                    }
                }
                reading = self.pss.taken(), if self.pss.is_running() => {
                    if let Some(reading) = reading {
                        self.take(Event::Reading(reading));
                    }
                }
                ready = lives.readable() => {
                    ready.context("the ring cannot be waited for")?.clear_ready();
                }
                ready = async { ended.as_ref()?.readable().await.ok() }, if ended.is_some() => {
                    if let Some(ready) = ready {
                        drop(ready);
                        break EndReason::TargetEnded;
                    }
                }
                ready = signals.readable() => {
                    ready.context("signals cannot be waited for")?.clear_ready();
                    if self.take_signals(&mut signal)? {
                        break EndReason::Interrupted;
                    }
                }
                () = async { tokio::time::sleep(left.unwrap_or_default()).await }, if left.is_some() => {
                    break EndReason::Duration;
                }
            }
            self.fetch();
            if let Some(status) = &mut self.status {
                status.tick(&self.live.ledgers)?;
            }
            if self.command.is_none() {
                let target = self.live.ledgers.target();
                let target = target.context("the ledger cannot be read")?;
                // A cgroup that was waited for may still be empty.
                if target.processes == 0 && target.last_process > 0 {
                    // At once: its files may go with it.
                    self.read_followed();
                    break EndReason::TargetEnded;
                }
            }
        };
        let by = signal.filter(|_| reason == EndReason::Interrupted);
        self.status = None;
        self.finish(reason, by)
    }

    /// Passes signals on. True if this is to end now: for a command on the second signal, since
    /// the first one is its own to answer; otherwise on the first.
    fn take_signals(&self, last: &mut Option<i32>) -> anyhow::Result<bool> {
        while let Some(signal) = self
            .signals
            .read_signal()
            .context("signals cannot be read")?
        {
            let number = signal.ssi_signo as i32;
            let is_second = last.replace(number).is_some();
            let Some((pid, _)) = self.command.as_ref().filter(|_| !is_second) else {
                return Ok(true);
            };
            // The terminal has sent its signals to the command already.
            if signal.ssi_code != libc::SI_KERNEL
                && let Ok(signal) = Signal::try_from(number)
            {
                let _ = kill(*pid, signal);
            }
        }
        Ok(false)
    }

    fn finish(
        mut self,
        reason: EndReason,
        interrupted_by: Option<i32>,
    ) -> Result<Outcome, Failure> {
        let at_ns = host::monotonic_ns();
        let mut status = None;
        if reason == EndReason::TargetEnded
            && let Some((pid, _)) = self.command.take()
        {
            let Reaped {
                status: found,
                reading,
            } = reap(pid).context("the command cannot be waited for")?;
            status = Some(found);
            self.take(Event::Reading(reading));
        }
        self.await_frees();
        self.read_others().context("the ledgers cannot be read")?;
        let mut ended = self
            .ended(at_ns, reason, status)
            .context("the ledgers cannot be read")?;
        // Whether the capture is whole is known only when the end is in it; the report tells.
        let capture = self.capture.take();
        let captured = capture.map_or(Ok(()), |capture| capture.finish(&ended));
        ended
            .doubts
            .extend(captured.as_ref().err().map(capture::failed));
        self.model.apply(Event::Ended(Box::new(ended)));
        let report = Report::of(&self.model).context("nothing was traced")?;
        Ok(Outcome {
            report,
            unfinished: self.command.map(|(pid, _)| pid),
            interrupted_by,
            captured,
        })
    }

    fn await_frees(&mut self) {
        let began = Instant::now();
        loop {
            self.fetch();
            let read = &self.live.rings.counts.read;
            let freed = read[kind::PROCESS_FREED as usize] >= read[kind::PROCESS_EXITED as usize];
            if freed || began.elapsed() >= WAIT_FOR_FREES {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Reads what the records do not tell: ledgers of living spaces and those kept back, and the
    /// target's cgroup.
    fn read_others(&mut self) -> anyhow::Result<()> {
        if self.live.ledgers.target()?.spaces > 0 {
            self.read_living()?;
        }
        for ledger in self.live.ledgers.take_closed()? {
            let header = Header {
                kind: kind::SPACE_CLOSED,
                cpu: 0,
                at_ns: ledger.closed_ns,
            };
            self.take(Event::SpaceClosed(Box::new(SpaceClosed { header, ledger })));
        }
        if self.live.rings.counts.read[kind::VICTIM as usize] > 0 {
            let reading = self.looks.log();
            self.take(Event::Reading(reading));
        }
        if let Some(reading) = self.pss.last() {
            self.take(Event::Reading(reading));
        }
        if let Some(mut followed) = self.followed.take() {
            followed.read();
            if let Some(reading) = followed.reading() {
                self.take(Event::Reading(reading));
            }
        }
        if let Some(AtStart {
            directory,
            file,
            peak_bytes: start_peak_bytes,
            strangers,
        }) = self.cgroup.take()
        {
            let reading = Reading::Cgroup {
                path: directory.display().to_string(),
                file: file.to_owned(),
                peak_bytes: cgroup::number(&directory.join(file)),
                strangers: strangers.max(self.strangers(&directory)),
                start_peak_bytes,
            };
            self.take(Event::Reading(reading));
        }
        Ok(())
    }

    /// Reads the ledgers of what still lives, and what `/proc` says of it: between two readings of
    /// the ledgers, so that a process that moved meanwhile is known to have.
    fn read_living(&mut self) -> anyhow::Result<()> {
        self.live.refresh()?;
        let before = self.live.ledgers.spaces()?;
        let seen: Vec<_> = self
            .living
            .all()
            .filter_map(|alive| Some((alive, readings::proc_memory(alive.pid, self.page_bytes)?)))
            .collect();
        self.live.refresh()?;
        self.fetch();
        let after = self.live.ledgers.spaces()?;
        let page_bytes = self.page_bytes;
        let level = |spaces: &[Space], alive: Alive| {
            let space = spaces.iter().find(|space| space.id == alive.space)?;
            Some(u64::try_from(space.level_rss).ok()? * page_bytes)
        };
        for (alive, memory) in seen {
            if let (Some(ledger_before_bytes), Some(ledger_after_bytes)) =
                (level(&before, alive), level(&after, alive))
            {
                self.take(Event::Reading(Reading::Proc {
                    pid: alive.pid,
                    vm_hwm_bytes: memory.vm_hwm_bytes,
                    vm_rss_bytes: memory.vm_rss_bytes,
                    statm_rss_bytes: memory.statm_rss_bytes,
                    ledger_before_bytes,
                    ledger_after_bytes,
                }));
            }
        }
        for space in after {
            self.take(Event::SpaceAlive(Box::new(space)));
        }
        Ok(())
    }

    fn ended(
        &mut self,
        at_ns: u64,
        reason: EndReason,
        status: Option<i32>,
    ) -> anyhow::Result<Ended> {
        let target = self.live.ledgers.target()?;
        let (stats, lost_by_cpu) = self.live.ledgers.stats()?;
        self.fetch();
        let counts = self.live.rings.counts;
        let own = readings::proc_memory(std::process::id(), self.page_bytes);
        Ok(Ended {
            at_ns,
            target,
            reason,
            command_status: status,
            emitted: stats.emitted,
            lost: stats.lost,
            lost_by_cpu,
            read: counts.read,
            undecoded: counts.undecoded,
            missed_runs: self.live.missed_runs(),
            fault_latencies: self.live.fault_latencies()?,
            tracer_peak_rss_bytes: own.map(|memory| memory.vm_hwm_bytes),
            tracer_cpu_ns: host::cpu_ns(),
            doubts: Vec::new(),
        })
    }
}

/// A cgroup of another user's is for those who may look into that user's processes.
fn ensure_mine(directory: &Path) -> anyhow::Result<()> {
    let owner = std::fs::metadata(directory).map(|metadata| metadata.uid());
    let owner = owner.with_context(|| format!("{} cannot be read", directory.display()))?;
    anyhow::ensure!(
        owner == Uid::current().as_raw() || privilege::may_trace_others(&privilege::effective()),
        "the cgroup {} belongs to another user. Run memtrace as root, or with CAP_SYS_PTRACE",
        directory.display()
    );
    Ok(())
}

/// Gives an event to all that want it.
fn take(event: Event, living: &mut Living, capture: Option<&mut Writer>, model: &mut Model) {
    living.see(&event);
    if let Some(capture) = capture {
        capture.push(&event);
    }
    model.apply(event);
}
