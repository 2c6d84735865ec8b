//! `memtrace --unprivileged -- CMD`: a run that needs no capability and is not exact. It looks at
//! `/proc` as samplers do, and asks the kernel's own marks at the end.

use std::{
    ffi::OsString,
    io,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use nix::{
    sys::{
        signal::{Signal, kill},
        signalfd::SignalFd,
    },
    unistd::Pid,
};
use rustix::event::{PollFd, PollFlags, poll};

use crate::{
    cgroup::{self, Hierarchy},
    command::{
        holder::Holder,
        identity::Identity,
        reaped::{pidfd, reap},
    },
    event::{EndReason, Reading},
    failure::Failure,
    host,
    kernel::attach::object,
    readings,
    report::{
        sampled,
        schema::{Exit, Host, Report, Tool},
    },
    sampler::{Watch, watcher::Watcher},
    signals,
};

/// How often it looks unless told otherwise.
pub const EVERY: Duration = Duration::from_millis(10);

/// Runs the command, looks at it every so often, and gives the report.
///
/// # Errors
///
/// [`Failure`] if it cannot be started or waited for.
pub fn run(
    command: &[OsString],
    identity: Option<&Identity>,
    every: Duration,
    max_peak_bytes: Option<u64>,
) -> Result<Report, Failure> {
    let holder = Holder::fork(command, identity)?;
    let pid = holder.pid;
    let number = pid.as_raw().unsigned_abs();
    let page_bytes = host::page_bytes();
    let held = readings::proc_memory(number, page_bytes);
    let hierarchy = Hierarchy::here();
    let cgroup = hierarchy
        .as_ref()
        .and_then(|hierarchy| hierarchy.of(number));
    let peak_file = hierarchy.as_ref().map_or("", Hierarchy::peak_file);
    let cgroup_peak = || cgroup::number(&cgroup.as_ref()?.join(peak_file));
    let cgroup_before = cgroup_peak();
    let (watch, start) = Watch::start(pid, vec![(Watcher::new(number), every)])
        .context("no sampler can be started")?;
    // From here on a signal ends the run with a report.
    let signals = signals::wait_for()?;

    let started_at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let end = pidfd(pid).context("the command cannot be watched")?;
    // Whatever is started from here on is counted.
    let forks_before = host::forks();
    let start_ns = host::monotonic_ns();
    holder.release()?;
    start.now();
    let is_over = wait(pid, &end, &signals).context("the command cannot be waited for")?;
    let end_ns = host::monotonic_ns();
    let strangers = cgroup.as_ref().map(|cgroup| cgroup::processes(cgroup));
    let cgroup_after = cgroup_peak();
    let mut exit = None;
    let mut max_rss_bytes = None;
    if is_over {
        let reaped = reap(pid).context("the command cannot be waited for")?;
        exit = Some(Exit::of_status(reaped.status));
        if let Reading::Wait4 {
            max_rss_bytes: bytes,
            ..
        } = reaped.reading
        {
            max_rss_bytes = Some(bytes);
        }
    }
    let forks = host::forks()
        .zip(forks_before)
        .map(|(after, before)| after - before);
    let mut seen = watch.finish();
    let watcher = seen.pop().context("the sampler has failed")?.eye;
    let own = readings::proc_memory(std::process::id(), page_bytes);
    let run = sampled::Run {
        tool: Tool {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            bpf_sha256: host::sha256(&object().map_err(anyhow::Error::from)?),
        },
        host: Host {
            kernel: host::release(),
            arch: std::env::consts::ARCH.to_owned(),
            cpus: host::possible_cpus(),
            page_bytes,
            cgroup: hierarchy
                .as_ref()
                .map_or("none", Hierarchy::version)
                .to_owned(),
        },
        argv: command
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect(),
        pid: number,
        started_at,
        times_ns: (start_ns, end_ns),
        exit,
        ended_by: match is_over {
            true => EndReason::TargetEnded,
            false => EndReason::Interrupted,
        },
        cgroup: cgroup.map(|_| {
            let known = |pid: &&u32| watcher.processes.contains_key(pid);
            let others = strangers.unwrap_or_default();
            let others = others.len() - others.iter().filter(known).count();
            let others = u32::try_from(others).unwrap_or(u32::MAX);
            (peak_file.to_owned(), others, cgroup_before, cgroup_after)
        }),
        watcher,
        every_ns: u64::try_from(every.as_nanos()).unwrap_or(u64::MAX),
        max_peak_bytes,
        max_rss_bytes,
        holder_bytes: held.map_or(u64::MAX / 4, |held| held.vm_hwm_bytes),
        forks,
        own: (own.map(|own| own.vm_hwm_bytes), host::cpu_ns()),
    };
    Ok(run.report())
}

/// Waits for the end of the command. The first signal is the command's to answer; false if a
/// second one comes before it has ended.
fn wait(pid: Pid, end: &impl std::os::fd::AsFd, signals: &SignalFd) -> io::Result<bool> {
    let mut is_second = false;
    loop {
        let mut polled = [
            PollFd::new(end, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        if polled[0].revents().contains(PollFlags::IN) {
            return Ok(true);
        }
        while let Some(signal) = signals.read_signal()? {
            if std::mem::replace(&mut is_second, true) {
                return Ok(false);
            }
            // The terminal has sent its signals to the command already.
            if signal.ssi_code != libc::SI_KERNEL
                && let Ok(signal) = Signal::try_from(signal.ssi_signo.cast_signed())
            {
                let _ = kill(pid, signal);
            }
        }
    }
}
