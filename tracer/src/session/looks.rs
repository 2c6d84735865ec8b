//! What is looked at now and then beside the records: the kernel's log, the PIDs that processes
//! have in containers, command lines of those that were there before, what bounds those that were
//! refused memory. Reads files, knows no time.

use std::{collections::HashSet, io};

use tracer_common::record::Called;

use super::living::{Alive, Living};
use crate::{event::Reading, kmsg::Log, model::Model, readings};

/// Spaces whose limits are looked at, at most.
const MOST_REFUSED: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Looks {
    log: io::Result<Log>,
    /// Spaces that were refused memory, and whose limits have been looked at.
    refused: HashSet<u32>,
}

impl Looks {
    pub(super) fn new() -> Self {
        Self {
            log: Log::open(),
            refused: HashSet::new(),
        }
    }

    /// Looks at what would be gone later: old lines of the log, and short processes.
    pub(super) fn look(&mut self, living: &mut Living) -> Vec<Reading> {
        if let Ok(log) = &mut self.log {
            log.read();
        }
        let look = |(process, alive): (u32, Alive)| {
            let pid = readings::pid_inside(alive.pid);
            let inside = pid.map(|pid| Reading::Inside { process, pid });
            let line = alive.was_there.then(|| readings::command_line(alive.pid));
            let line = line.flatten().map(|(arguments, cut)| Reading::CommandLine {
                process,
                arguments,
                cut,
            });
            inside.into_iter().chain(line)
        };
        living.take_new().into_iter().flat_map(look).collect()
    }

    /// What bounds a process that has just been refused memory, while it is there.
    pub(super) fn limits(&mut self, model: &Model) -> Option<Reading> {
        let Called { space, thread, .. } = model.calls().refused().last?;
        let is_new = self.refused.len() < MOST_REFUSED && self.refused.insert(space);
        let limits = is_new.then(|| readings::virtual_limits(thread))??;
        Some(Reading::Limits { space, limits })
    }

    /// What the log said of kills, at the end.
    pub(super) fn log(&mut self) -> Reading {
        if let Ok(log) = &mut self.log {
            log.read();
        }
        let (kills, refused) = match &self.log {
            Ok(log) => (log.reports().to_vec(), None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Reading::KernelLog { kills, refused }
    }
}
