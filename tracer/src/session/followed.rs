//! The cgroup that is a target: waited for at the start, and read as long as it is there.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use nix::sys::signalfd::SignalFd;

use crate::{
    cgroup::{self, Cgroup, Pressure, Search, State, Wanted},
    event::Reading,
};

/// How often a cgroup that is waited for is looked for. What starts in between has a beginning
/// that is not seen, and is doubted for it.
const FIND_EVERY: Duration = Duration::from_millis(2);

/// The cgroup and what its files said: they go when it goes.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) cgroup: Cgroup,
    /// Counts as they were last, and what the memory was made of when there was most of it.
    seen: Option<State>,
    /// As they were when the most could not have been given up.
    neediest: Option<State>,
    /// Waits for memory at the first and at the last reading.
    pressure: Option<(Pressure, Pressure)>,
}

impl Followed {
    /// Finds it, as soon as it is there if that is asked.
    ///
    /// # Errors
    ///
    /// If it is not there, or a signal ends the waiting.
    pub(super) fn find(wanted: &Wanted, wait: bool, signals: &SignalFd) -> anyhow::Result<Self> {
        let cgroup = if wait {
            Self::await_one(wanted, signals)?
        } else {
            cgroup::find(wanted)?
        };
        Ok(Self {
            cgroup,
            seen: None,
            neediest: None,
            pressure: None,
        })
    }

    fn await_one(wanted: &Wanted, signals: &SignalFd) -> anyhow::Result<Cgroup> {
        let search = Search::start(wanted)?;
        loop {
            let error = match search.look() {
                Err(error) if error.may_come() => error,
                found => return Ok(found?),
            };
            let signal = signals.read_signal().context("signals cannot be read")?;
            anyhow::ensure!(signal.is_none(), "interrupted while waiting: {error}");
            std::thread::sleep(FIND_EVERY);
        }
    }

    /// Reads its files, if they are still there.
    pub(super) fn read(&mut self) {
        let directory = Path::new(&self.cgroup.directory);
        let state = State::read(directory);
        if state == State::default() {
            return;
        }
        if let Some(pressure) = Pressure::read(directory) {
            let first = self.pressure.map_or(pressure, |(first, _)| first);
            self.pressure = Some((first, pressure));
        }
        let needs = |of: &Option<State>| of.as_ref().and_then(State::needed_bytes);
        if self.neediest.is_none() || state.needed_bytes() > needs(&self.neediest) {
            self.neediest = Some(state.clone());
        }
        self.seen = Some(match self.seen.take() {
            Some(fullest) if fullest.usage_bytes > state.usage_bytes => {
                state.with_amounts_of(&fullest)
            }
            _ => state,
        });
    }

    /// What they said; `None` if they were never seen.
    pub(super) fn reading(self) -> Option<Reading> {
        Some(Reading::CgroupState {
            path: self.cgroup.directory.display().to_string(),
            state: Box::new(self.seen?),
            neediest: self.neediest.map(Box::new),
            pressure: self.pressure.map(|(first, last)| last.since(first)),
        })
    }
}
