//! What today's tools read, read as they read it: looks at `/proc` and at cgroup files now and
//! then. Each instrument has a thread of its own that blocks all signals, and bounded memory;
//! nothing of it runs while the session handles events.
//!
//! Knows one process, the files of the system and the clock; nothing of hooks, ledgers or reports.

pub mod asked;
pub mod charged;
pub mod eye;
pub mod proc;
pub mod series;
pub mod watcher;

use std::{
    io,
    os::fd::OwnedFd,
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{
    sys::signal::{SigSet, SigmaskHow},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::command::reaped::pidfd;

/// Something that looks.
pub trait Eye: Send + 'static {
    /// Looks once.
    fn look(&mut self);
    /// What it looked at has ended.
    fn end(&mut self) {}
}

/// The word on which looking begins: the command runs now.
#[derive(Clone, Debug)]
pub struct Start(Vec<Sender<()>>);

impl Start {
    /// Gives it.
    pub fn now(&self) {
        for thread in &self.0 {
            // A thread that is gone looks at nothing.
            let _ = thread.send(());
        }
    }
}

/// Eyes that look, each every so often, from a common start to the end of one process.
pub struct Watch<E> {
    threads: Vec<JoinHandle<Seen<E>>>,
    stop: OwnedFd,
}

/// An eye that has done its work.
#[derive(Debug)]
pub struct Seen<E> {
    /// The eye.
    pub eye: E,
    /// CPU time of its thread, nanoseconds.
    pub cpu_ns: u64,
}

impl<E: Eye> Watch<E> {
    /// Makes the threads; they wait for the word. The process must live.
    ///
    /// # Errors
    ///
    /// If there are no descriptors or threads left.
    pub fn start(pid: Pid, eyes: Vec<(E, Duration)>) -> io::Result<(Self, Start)> {
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let mut watch = Self {
            threads: Vec::new(),
            stop,
        };
        let mut start = Start(Vec::new());
        // A new thread has its maker's mask: signals are for the session alone.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        for (eye, every) in eyes {
            let (send, receive) = mpsc::channel();
            let ends = [pidfd(pid)?, watch.stop.try_clone()?];
            let looks = move || look(eye, every, &ends, &receive);
            let thread = thread::Builder::new().name("sampler".to_owned());
            watch.threads.push(thread.spawn(looks)?);
            start.0.push(send);
        }
        before.thread_set_mask()?;
        Ok((watch, start))
    }

    /// Ends the looking, if the end of the process has not, and gives what was seen.
    pub fn finish(self) -> Vec<Seen<E>> {
        // It cannot fail with one number in it, and a thread ends with its process anyway.
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        let threads = self.threads.into_iter();
        let seen = threads.filter_map(|thread| thread.join().ok());
        seen.collect()
    }
}

fn look<E: Eye>(mut eye: E, every: Duration, ends: &[OwnedFd; 2], start: &Receiver<()>) -> Seen<E> {
    // Without the word nothing ever ran.
    if start.recv().is_ok() {
        // As the tools do: look, then sleep. So they look a little less often than every `every`.
        loop {
            eye.look();
            if is_over(ends, every) {
                break;
            }
        }
        eye.end();
    }
    let cpu = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    Seen {
        eye,
        cpu_ns: cpu.map_or(0, |time| {
            time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
        }),
    }
}

/// Sleeps so long, or until it is over.
fn is_over(ends: &[OwnedFd; 2], every: Duration) -> bool {
    let every = Timespec {
        tv_sec: i64::try_from(every.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: every.subsec_nanos().into(),
    };
    let mut polled = ends.each_ref().map(|end| PollFd::new(end, PollFlags::IN));
    match poll(&mut polled, Some(&every)) {
        Ok(ready) => ready > 0,
        // No signal reaches this thread; whatever else it is, there is nothing to wait for.
        Err(_) => true,
    }
}
