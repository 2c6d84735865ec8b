//! The cgroup that is a target: waited for at the start, and read as long as it is there.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use nix::sys::signalfd::SignalFd;

use crate::{
    cgroup::{self, Cgroup, FindError, State, Wanted},
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
}

impl Followed {
    /// Finds it, as soon as it is there if that is asked.
    ///
    /// # Errors
    ///
    /// If it is not there, or a signal ends the waiting.
    pub(super) fn find(wanted: &Wanted, wait: bool, signals: &SignalFd) -> anyhow::Result<Self> {
        loop {
            match cgroup::find(wanted) {
                Err(error @ (FindError::NoSuch { .. } | FindError::NoContainer { .. })) if wait => {
                    let signal = signals.read_signal().context("signals cannot be read")?;
                    anyhow::ensure!(signal.is_none(), "interrupted while waiting: {error}");
                    std::thread::sleep(FIND_EVERY);
                }
                found => {
                    return Ok(Self {
                        cgroup: found?,
                        seen: None,
                    });
                }
            }
        }
    }

    /// Reads its files, if they are still there.
    pub(super) fn read(&mut self) {
        let state = State::read(Path::new(&self.cgroup.directory));
        if state == State::default() {
            return;
        }
        self.seen = Some(match self.seen.take() {
            Some(fullest) if fullest.usage_bytes > state.usage_bytes => State {
                usage_bytes: fullest.usage_bytes,
                anon_bytes: fullest.anon_bytes,
                cache_bytes: fullest.cache_bytes,
                shmem_bytes: fullest.shmem_bytes,
                kernel_bytes: fullest.kernel_bytes,
                ..state
            },
            _ => state,
        });
    }

    /// What they said; `None` if they were never seen.
    pub(super) fn reading(self) -> Option<Reading> {
        Some(Reading::CgroupState {
            path: self.cgroup.directory.display().to_string(),
            state: self.seen?,
        })
    }
}
