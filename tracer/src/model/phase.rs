//! One entry of a phase: what is known of it while it is open, and what remains of it.

use serde::Serialize;
use tracer_common::{
    ledger::Calls,
    record::{Marked, call},
};

use super::held::Held;
use crate::event::PhaseCharge;

/// Levels told apart while a phase is open.
const LEVELS: usize = 64;

/// Whose marker closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// A thread's own stack.
    Thread {
        /// Number of its process.
        process: u32,
        /// Its id.
        thread: u32,
    },
    /// A track that the process named.
    Named {
        /// Number of the process.
        process: u32,
        /// Its name.
        track: u64,
    },
    /// Functions of a thread.
    Functions {
        /// Number of its process.
        process: u32,
        /// Its id.
        thread: u32,
    },
    /// Programs that a process entered.
    Programs {
        /// Number of the process.
        process: u32,
    },
    /// The whole target.
    Target,
}

impl Track {
    /// The process that it belongs to; `None` for the whole target's.
    pub fn process(self) -> Option<u32> {
        match self {
            Self::Thread { process, .. }
            | Self::Named { process, .. }
            | Self::Functions { process, .. }
            | Self::Programs { process } => Some(process),
            Self::Target => None,
        }
    }
}

/// What closed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// Its own end marker; for a function, its return.
    Mark,
    /// Its thread ended.
    ThreadEnd,
    /// Its process ended.
    Exit,
    /// Its process entered another program.
    Exec,
    /// Its function was left by a jump (`longjmp`, an exception).
    Jump,
    /// Tracing ended.
    TraceEnd,
}

/// Level at the begin and the end, and the highest between, pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// At the begin.
    pub start: i64,
    /// At the end.
    pub end: i64,
    /// Highest, begin and end among it.
    pub peak: i64,
}

impl Span {
    /// Begins at a level.
    pub fn at(level: i64) -> Self {
        Self {
            start: level,
            end: level,
            peak: level,
        }
    }

    /// Goes on through a segment and stands at a level.
    pub fn pass(&mut self, segment: i64, level: i64) {
        self.peak = self.peak.max(segment).max(level);
        self.end = level;
    }

    /// The peak above the begin, pages.
    pub fn growth(&self) -> i64 {
        self.peak.saturating_sub(self.start)
    }
}

/// What a phase held for most of its time, pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeAtLevel {
    /// Not exceeded for half of the time.
    pub p50: i64,
    /// For nine tenths.
    pub p90: i64,
    /// For all but a hundredth.
    pub p99: i64,
    /// By how much the three can be told too high, apart from the stream's quantum.
    pub error: i64,
}

/// An entry of a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Name.
    pub name: String,
    /// Process that marked its begin.
    pub process: u32,
    /// Its PID in memtrace's namespace; `None` if unknown.
    pub pid: Option<u32>,
    /// Thread that marked its begin.
    pub thread: u32,
    /// Where it belongs.
    pub track: Track,
    /// Which entry of that name it is, from 1.
    pub nth: u64,
    /// Phases of its track that were open when it began.
    pub depth: usize,
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub start_ns: u64,
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub end_ns: u64,
    /// What closed it.
    pub ended_by: EndedBy,
    /// Of the process's space; `None` for a phase of the whole target, or without a ledger.
    pub own: Option<Span>,
    /// Of the whole target.
    pub target: Span,
    /// Faults of the thread (minor, major); `None` if another one ended it.
    pub faults: Option<(u64, u64)>,
    /// Calls of the space that changed its virtual size; `None` if the space is another, or
    /// without a ledger.
    pub vm: Option<[Calls; call::COUNT]>,
    /// `None` if no time passed.
    pub held: Option<TimeAtLevel>,
    /// The marker that began it ([`Marked::order`]).
    pub begun_by: u64,
    /// Highest charge of the target's cgroup; `None` if it was not read.
    pub charge: Option<PhaseCharge>,
    /// No level of it was missed for want of a lock.
    pub is_exact: bool,
}

/// A phase that is open.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) phase: Phase,
    pub(super) space: u32,
    pub(super) function: u32,
    pub(super) stack_pointer: u64,
    faults: (u64, u64),
    vm: [Calls; call::COUNT],
    held: Held,
    last_ns: u64,
}

impl Open {
    /// One that a marker begins.
    pub(super) fn begin(
        mark: &Marked,
        pid: Option<u32>,
        track: Track,
        name: String,
        (nth, depth): (u64, usize),
    ) -> Self {
        let at_ns = mark.header.at_ns;
        let is_own = track != Track::Target && mark.space != 0;
        Self {
            phase: Phase {
                name,
                process: mark.process,
                pid,
                thread: mark.thread,
                track,
                nth,
                depth,
                start_ns: at_ns,
                end_ns: at_ns,
                ended_by: EndedBy::TraceEnd,
                own: is_own.then(|| Span::at(mark.level.rss())),
                target: Span::at(mark.target_rss),
                faults: None,
                vm: None,
                held: None,
                begun_by: mark.order,
                charge: None,
                is_exact: mark.is_exact != 0,
            },
            space: mark.space,
            function: mark.function,
            stack_pointer: mark.stack_pointer,
            faults: (mark.minor_faults, mark.major_faults),
            vm: mark.vm,
            held: Held::default(),
            last_ns: at_ns,
        }
    }

    /// A marker, of whomever, ends a segment.
    pub(super) fn pass(&mut self, mark: &Marked) {
        self.pass_target(mark.target_segment, mark.target_rss);
        if mark.space == self.space && mark.space != 0 {
            self.pass_space(mark.segment, mark.level.rss());
        }
        self.phase.is_exact &= mark.is_exact != 0;
    }

    pub(super) fn pass_space(&mut self, segment: i64, level: i64) {
        if let Some(own) = &mut self.phase.own {
            own.pass(segment, level);
        }
    }

    pub(super) fn pass_target(&mut self, segment: i64, level: i64) {
        self.phase.target.pass(segment, level);
    }

    /// The stream tells of a level.
    pub(super) fn hold(&mut self, space: u64, level: i64, target: i64, at_ns: u64) {
        let is_own = self.phase.own.is_some();
        if is_own && space != u64::from(self.space) {
            return;
        }
        self.until(at_ns);
        let now = if is_own { level } else { target };
        match &mut self.phase.own {
            Some(own) => own.end = now,
            None => self.phase.target.end = now,
        }
    }

    fn until(&mut self, at_ns: u64) {
        if let Some(ns) = at_ns.checked_sub(self.last_ns) {
            let level = self.phase.own.unwrap_or(self.phase.target).end;
            self.held.add(level, ns, LEVELS);
            self.last_ns = at_ns;
        }
    }

    /// It ends, by a marker of its own space or without one.
    pub(super) fn end(mut self, by: EndedBy, at_ns: u64, mark: Option<&Marked>) -> Phase {
        // A marker has passed its level on already; the time was spent at the one before.
        self.until(at_ns);
        let Phase {
            process,
            thread,
            own,
            target,
            ..
        } = self.phase;
        let most = own.unwrap_or(target).peak;
        let percentile = |hundredths| Some(self.held.percentile(hundredths)?.min(most));
        let held = || {
            Some(TimeAtLevel {
                p50: percentile(50)?,
                p90: percentile(90)?,
                p99: percentile(99)?,
                error: self.held.error(),
            })
        };
        let held = held();
        let mark = mark.filter(|mark| mark.process == process);
        let same_thread = mark.filter(|mark| mark.thread == thread);
        Phase {
            end_ns: at_ns,
            ended_by: by,
            faults: same_thread.and_then(|mark| {
                let minor = mark.minor_faults.checked_sub(self.faults.0)?;
                Some((minor, mark.major_faults.checked_sub(self.faults.1)?))
            }),
            vm: mark
                .filter(|mark| mark.space == self.space && mark.space != 0)
                .map(|mark| difference(&mark.vm, &self.vm)),
            held,
            ..self.phase
        }
    }
}

fn difference(to: &[Calls; call::COUNT], from: &[Calls; call::COUNT]) -> [Calls; call::COUNT] {
    std::array::from_fn(|sort| Calls {
        count: to[sort].count.wrapping_sub(from[sort].count),
        pages: to[sort].pages.wrapping_sub(from[sort].pages),
    })
}
