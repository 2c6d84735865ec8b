//! A run: the only part that knows time, signals and children. Brings kernel, readings and model
//! together and gives the report.

mod charges;
mod ending;
mod followed;
mod living;
mod looks;
mod named;
mod own_cgroup;
mod pss;
mod setup;
mod status;
mod watch;

use std::{
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::{
    sys::{
        signal::{Signal, kill},
        signalfd::SignalFd,
    },
    unistd::Pid,
};

use self::{
    charges::Charges, followed::Followed, living::Living, looks::Looks, own_cgroup::AtStart,
    pss::Pss, status::Status, watch::watch,
};
use crate::{
    capture::{Destination, Writer},
    cgroup::{self, Wanted},
    command::holder::Holder,
    event::{Doubt, EndReason, Event},
    failure::Failure,
    functions::Function,
    kernel::attach::Live,
    model::Model,
    report::schema::Report,
    sampler,
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
    /// The time of memtrace's own programs is taken.
    pub self_stats: bool,
    /// Functions that are phases.
    pub functions: Vec<Function>,
    /// Memory that processes share is counted once, too.
    pub counts_once: bool,
    /// How much the peak may be, bytes.
    pub max_peak_bytes: Option<u64>,
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
    charges: Option<Charges>,
    /// Doubts that came up while tracing.
    doubts: Vec<Doubt>,
    pss: Pss,
    looks: Looks,
    signals: SignalFd,
    status: Option<Status>,
}

impl Session {
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
        if let Some(charges) = &mut self.charges {
            for reading in charges.look(self.model.open_phases()) {
                self.take(Event::Reading(reading));
            }
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

    /// How many processes in a cgroup are not of the target. One that has exited is still listed
    /// there until it is reaped.
    fn strangers(&self, cgroup: &Path) -> u32 {
        let mut own = self.living.pids();
        let known = self.model.processes();
        own.extend(known.filter_map(|process| Some(process.started.as_ref()?.pid)));
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
}

/// Gives an event to all that want it.
fn take(event: Event, living: &mut Living, capture: Option<&mut Writer>, model: &mut Model) {
    living.see(&event);
    if let Some(capture) = capture {
        capture.push(&event);
    }
    model.apply(event);
}
