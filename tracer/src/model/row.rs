//! Rows: the spaces of a process in their order, put together from its facts when asked for.
//!
//! A row is one space that a process had: from its start, or from an exec, to the next exec or
//! its end. A process that never had a space of its own (`vfork`, then `_exit`) has one row
//! without a ledger; the holder of the command before its exec has none.

use tracer_common::{
    ledger::{Peak, Space, Split},
    record::ProcessExited,
};

use super::process::{CommandLine, Exec, OwnSpace, Process, name, number};

/// A row, looking at the facts of its process.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its process.
    pub process: &'a Process,
    /// 0 for the first row of the process, one more for each later one.
    pub image: u32,
    /// Number of its space; `None` if it has none of its own or its ledger found no room.
    pub space: Option<u32>,
    /// What is known of that space.
    pub own: Option<&'a OwnSpace>,
    /// Exec that began it; `None` if the process began so, or if the exec's record was lost.
    pub exec: Option<&'a Exec>,
    /// The process began with this row.
    pub is_first: bool,
    /// Row that follows, by the exec that began it.
    next: Next<'a>,
    /// When it begins, `CLOCK_MONOTONIC` nanoseconds; `None` if unknown.
    pub start_ns: Option<u64>,
}

/// What follows a row of the same process.
#[derive(Clone, Copy, Debug)]
enum Next<'a> {
    /// Nothing.
    End,
    /// Another row.
    Row {
        exec: Option<&'a Exec>,
        start_ns: Option<u64>,
    },
}

/// Highest level of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Highest {
    /// Pages.
    pub rss: i64,
    /// Time and classes; `None` if it was seen by an event that could not have the lock.
    pub peak: Option<Peak>,
}

impl Highest {
    /// From the two figures that a ledger keeps.
    pub fn of(peak: &Peak, late_rss: i64) -> Self {
        if late_rss > peak.rss {
            Self {
                rss: late_rss,
                peak: None,
            }
        } else {
            Self {
                rss: peak.rss,
                peak: Some(*peak),
            }
        }
    }
}

/// The rows of a process, in order.
pub fn rows(process: &Process) -> Vec<Row<'_>> {
    let mut rows = beginnings(process);
    for i in 0..rows.len() {
        rows[i].image = u32::try_from(i).unwrap_or(u32::MAX);
        if let Some(next) = rows.get(i + 1) {
            rows[i].next = Next::Row {
                exec: next.exec,
                start_ns: next.start_ns,
            };
        }
    }
    rows
}

fn beginnings(process: &Process) -> Vec<Row<'_>> {
    let own = |id: Option<u32>| process.spaces.iter().find(|space| Some(space.id) == id);
    let row = |space: Option<u32>| Row {
        process,
        image: 0,
        space,
        own: own(space),
        exec: None,
        is_first: false,
        next: Next::End,
        start_ns: own(space).and_then(OwnSpace::opened_ns),
    };
    let mut rows: Vec<Row<'_>> = Vec::new();
    if let Some(started) = &process.started
        && started.shares_space == 0
        && !process.was_holder()
    {
        let first = row(number(started.space));
        let start_ns = first.start_ns.or(Some(started.header.at_ns));
        rows.push(Row {
            is_first: true,
            start_ns,
            ..first
        });
    }
    for exec in &process.execs {
        let next = row(exec.space);
        rows.push(Row {
            exec: Some(exec),
            start_ns: next.start_ns.or(Some(exec.at_ns)),
            ..next
        });
    }
    // Spaces whose beginning was lost, or whose exec was not completed.
    for space in &process.spaces {
        if !rows.iter().any(|row| row.space == Some(space.id)) {
            rows.push(row(Some(space.id)));
        }
    }
    rows.sort_by_key(|row| (row.start_ns, row.space));
    if rows.is_empty() && !process.was_holder() {
        let start_ns = process.started.map(|started| started.header.at_ns);
        rows.push(Row {
            is_first: process.started.is_some(),
            start_ns,
            ..row(None)
        });
    }
    rows
}

impl<'a> Row<'a> {
    /// Its ledger.
    pub fn ledger(&self) -> Option<&'a Space> {
        self.own.and_then(|own| own.ledger.as_ref())
    }

    /// Its highest level.
    pub fn highest(&self) -> Option<Highest> {
        self.ledger()
            .map(|ledger| Highest::of(&ledger.peak, ledger.late_rss))
    }

    /// Space of another process that it ran in.
    pub fn shares(&self) -> Option<u32> {
        let started = self
            .process
            .started
            .filter(|started| started.shares_space != 0)?;
        (self.is_first && self.space.is_none())
            .then(|| number(started.space))
            .flatten()
    }

    /// Name in force; empty if unknown.
    pub fn comm(&self) -> String {
        match (self.exec, self.process.started) {
            (Some(exec), _) => exec.comm.clone(),
            (None, Some(started)) if self.is_first => name(&started.comm),
            _ => String::new(),
        }
    }

    /// Command line in force; `None` if unknown.
    pub fn command_line(&self) -> Option<&'a CommandLine> {
        match self.exec {
            Some(exec) => Some(&exec.command_line),
            None if self.is_first => Some(&self.process.first_line),
            None => None,
        }
    }

    /// It is the last one of its process.
    pub fn is_last(&self) -> bool {
        matches!(self.next, Next::End)
    }

    /// It still ran at the end of tracing.
    pub fn is_alive(&self) -> bool {
        self.is_last() && !self.process.has_ended() && !self.own.is_some_and(OwnSpace::is_closed)
    }

    /// The exit that ended it.
    pub fn exited(&self) -> Option<&'a ProcessExited> {
        self.process.exited.as_ref().filter(|_| self.is_last())
    }

    /// The exec that ended it, if that left a space of the target.
    pub fn left_by(&self) -> Option<(&'a Exec, Split)> {
        match self.next {
            Next::Row {
                exec: Some(exec), ..
            } => exec.before.map(|before| (exec, before)),
            _ => None,
        }
    }

    /// When it ends, `CLOCK_MONOTONIC` nanoseconds; `None` if it still runs.
    pub fn end_ns(&self) -> Option<u64> {
        if let Next::Row { start_ns, .. } = self.next {
            return start_ns;
        }
        let exited = self.process.exited.map(|exited| exited.header.at_ns);
        let closed = self
            .ledger()
            .map(|ledger| ledger.closed_ns)
            .filter(|at_ns| *at_ns != 0);
        let freed = self.process.freed.map(|freed| freed.header.at_ns);
        exited.or(closed).or(freed)
    }

    /// Level when its space joined the target.
    pub fn start(&self) -> Option<Split> {
        let own = self.own?;
        own.ledger
            .map(|ledger| ledger.start)
            .or_else(|| own.opened.map(|opened| opened.split))
    }

    /// Level just before exit or exec tore it down, or at the end of tracing; `None` if unknown
    /// or if the space was another's.
    pub fn end(&self) -> Option<Split> {
        self.own?;
        if let Some((_, before)) = self.left_by() {
            return Some(before);
        }
        if let Some(exited) = self.exited() {
            return (exited.end_known != 0).then_some(exited.end);
        }
        if let Some(left) = self.process.left.filter(|_| self.is_last()) {
            return (left.space != 0).then_some(left.end);
        }
        self.ledger()
            .filter(|_| self.is_alive())
            .map(|ledger| ledger.level)
    }

    /// Faults (minor, major) and whether they are final; `None` if a boundary is unknown.
    ///
    /// The rows of a process sum to the kernel's figures for it: what a `vfork` child did before
    /// its exec counts to its first row. Only the holder's own faults count to none.
    pub fn faults(&self) -> Option<((u64, u64), bool)> {
        let started = self.process.started;
        let from = match self.exec {
            Some(exec) if self.image > 0 || self.process.was_holder() => exec.faults,
            Some(_) => started.map(|started| (started.minor_faults, started.major_faults))?,
            None if self.is_first => started.map(|s| (s.minor_faults, s.major_faults))?,
            None => return None,
        };
        let (to, is_final) = match self.next {
            Next::Row { exec, .. } => (exec?.faults, true),
            Next::End => self.process.faults()?,
        };
        Some((
            (to.0.checked_sub(from.0)?, to.1.checked_sub(from.1)?),
            is_final,
        ))
    }
}
