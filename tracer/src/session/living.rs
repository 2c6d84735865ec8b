//! Who of the target lives, as the records tell: whom to read once more at the end.

use std::collections::{HashMap, HashSet};

use crate::event::Event;

/// A living process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alive {
    /// PID in memtrace's namespace.
    pub pid: u32,
    /// Number of the space that it runs in; 0 if unknown.
    pub space: u32,
}

/// Living processes by number.
#[derive(Debug, Default)]
pub(super) struct Living(HashMap<u32, Alive>);

impl Living {
    /// Takes a record in.
    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::ProcessStarted(record) => {
                self.0.insert(
                    record.process,
                    Alive {
                        pid: record.pid,
                        space: record.space,
                    },
                );
            }
            Event::Execed(record) => {
                if let Some(alive) = self.0.get_mut(&record.process) {
                    alive.space = record.space;
                }
            }
            Event::ProcessExited(record) => {
                self.0.remove(&record.process);
            }
            Event::ProcessLeft(record) => {
                self.0.remove(&record.process);
            }
            _ => {}
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = Alive> {
        self.0.values().copied()
    }

    /// Their PIDs.
    pub(super) fn pids(&self) -> HashSet<u32> {
        self.all().map(|alive| alive.pid).collect()
    }
}
