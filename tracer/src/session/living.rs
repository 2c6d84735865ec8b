//! Who of the target lives, as the records tell: whom to read once more at the end.

use std::collections::{HashMap, HashSet};

use crate::{event::Event, model::process::was_there};

/// A living process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alive {
    /// PID in memtrace's namespace.
    pub pid: u32,
    /// Number of the space that it runs in; 0 if unknown.
    pub space: u32,
    /// It was there before it was of the target, and runs the same program still.
    pub was_there: bool,
}

/// Living processes by number.
#[derive(Debug, Default)]
pub(super) struct Living {
    alive: HashMap<u32, Alive>,
    /// Numbers of those that nobody has asked for yet.
    new: Vec<u32>,
}

impl Living {
    /// Takes a record in.
    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::ProcessStarted(record) => {
                self.new.push(record.process);
                self.alive.insert(
                    record.process,
                    Alive {
                        pid: record.pid,
                        space: record.space,
                        was_there: was_there(record.via),
                    },
                );
            }
            Event::Execed(record) => {
                if let Some(alive) = self.alive.get_mut(&record.process) {
                    alive.space = record.space;
                    alive.was_there = false;
                }
            }
            Event::ProcessExited(record) => {
                self.alive.remove(&record.process);
            }
            Event::ProcessLeft(record) => {
                self.alive.remove(&record.process);
            }
            _ => {}
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = Alive> {
        self.alive.values().copied()
    }

    /// Those that have come since this was last asked, and still live, with their numbers.
    pub(super) fn take_new(&mut self) -> Vec<(u32, Alive)> {
        let new = std::mem::take(&mut self.new).into_iter();
        new.filter_map(|process| Some((process, *self.alive.get(&process)?)))
            .collect()
    }

    /// Their PIDs.
    pub(super) fn pids(&self) -> HashSet<u32> {
        self.all().map(|alive| alive.pid).collect()
    }
}
