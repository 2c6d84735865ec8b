//! What every part of the report needs at hand: the model, its scale and its beginning.

use std::{borrow::Cow, collections::HashMap};

use tracer_common::{
    ledger::{Space, Split},
    limits::QUANTUM_SHIFT,
};

use crate::{
    event::{Begun, Ended, Reading, TargetAsked},
    model::{
        Model,
        history::History,
        phases::Phases,
        row::{Highest, Row},
    },
};

/// `wait4` of a process: `ru_maxrss` in bytes, faults.
#[derive(Clone, Copy)]
pub(super) struct Waited {
    pub(super) pid: u32,
    pub(super) max_rss_bytes: u64,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
}

/// The model with what turns its pages and clock times into the report's bytes and times.
pub(super) struct Scope<'a> {
    pub(super) model: &'a Model,
    pub(super) begun: &'a Begun,
    pub(super) ended: Option<&'a Ended>,
    /// What the stream told.
    pub(super) history: Cow<'a, History>,
    /// The phases.
    pub(super) phases: Cow<'a, Phases>,
    /// Rows kept, by start.
    pub(super) rows: Vec<Row<'a>>,
    /// What `wait4` said of the command.
    pub(super) waited: Option<Waited>,
    /// Readings of living processes, by PID.
    living: HashMap<u32, &'a Reading>,
}

/// By how much the kernel's figure may be off because it does not add up what each CPU still
/// holds: three counters, `batch - 1` pages on each CPU (`lib/percpu_counter.c`). Pages.
pub(super) fn slack_pages(cpus: u32) -> i64 {
    let cpus = i64::from(cpus);
    let batch = (2 * cpus).max(32);
    3 * cpus * (batch - 1)
}

impl<'a> Scope<'a> {
    /// `None` if the run has no beginning: nothing can be scaled then.
    pub(super) fn new(model: &'a Model) -> Option<Self> {
        let by_pid = |reading: &'a Reading| match reading {
            Reading::Proc { pid, .. } => Some((*pid, reading)),
            _ => None,
        };
        let waited = |reading: &Reading| match *reading {
            Reading::Wait4 {
                pid,
                max_rss_bytes,
                minor_faults,
                major_faults,
            } => Some(Waited {
                pid,
                max_rss_bytes,
                minor_faults,
                major_faults,
            }),
            _ => None,
        };
        Some(Self {
            model,
            begun: model.begun()?,
            ended: model.ended(),
            history: model.history(),
            phases: model.phases(),
            rows: model.rows(),
            waited: model.readings().iter().find_map(waited),
            living: model.readings().iter().filter_map(by_pid).collect(),
        })
    }

    /// Pages as bytes.
    pub(super) fn bytes(&self, pages: i64) -> i64 {
        pages.saturating_mul(i64::try_from(self.begun.page_bytes).unwrap_or(i64::MAX))
    }

    /// Pages as bytes, where the kernel's type has no sign.
    pub(super) fn bytes_unsigned(&self, pages: u64) -> u64 {
        pages.saturating_mul(self.begun.page_bytes)
    }

    /// Resident bytes.
    pub(super) fn rss(&self, split: &Split) -> i64 {
        self.bytes(split.rss())
    }

    /// Nanoseconds since the start of tracing; 0 for what was there before.
    pub(super) fn since_start(&self, at_ns: u64) -> u64 {
        at_ns.saturating_sub(self.begun.start_ns)
    }

    /// When tracing ended; what still lived may have reached its peak just after.
    pub(super) fn end_ns(&self) -> u64 {
        let ended = self
            .ended
            .map(|ended| ended.at_ns.max(ended.target.peak.at_ns));
        ended.unwrap_or(self.model.latest_ns())
    }

    /// By how much the kernel's figure may be off. Bytes.
    pub(super) fn slack_bytes(&self) -> i64 {
        self.bytes(slack_pages(self.begun.cpus))
    }

    /// Movements of a level that the stream may leave out at the most, bytes.
    pub(super) fn quantum_bytes(&self) -> i64 {
        let peak = self.highest().map_or(0, |highest| self.bytes(highest.rss));
        let grown = if self.begun.quantum_grows {
            peak >> QUANTUM_SHIFT
        } else {
            0
        };
        i64::try_from(self.begun.quantum_bytes)
            .unwrap_or(i64::MAX)
            .max(grown)
    }

    /// The target's highest level; `None` if nothing of it was seen.
    pub(super) fn highest(&self) -> Option<Highest> {
        let target = &self.ended?.target;
        (target.last_space > 0).then(|| Highest::of(&target.peak, target.late_rss))
    }

    /// What `/proc` says of the process of a row that still runs.
    pub(super) fn living(&self, row: &Row<'_>) -> Option<&'a Reading> {
        let pid = row.process.pid().filter(|_| row.is_alive())?;
        self.living.get(&pid).copied()
    }

    /// Ledgers of the rows kept.
    pub(super) fn ledgers(&self) -> impl Iterator<Item = &'a Space> + '_ {
        self.rows.iter().filter_map(Row::ledger)
    }

    /// A command is what the user asked about.
    pub(super) fn is_command(&self) -> bool {
        matches!(self.begun.target, TargetAsked::Command { .. })
    }
}
