//! The model: what the events say, by process and space, without judging it.
//!
//! Facts are stored where they belong and put together only when asked for ([`row::rows`]), so
//! that the order of arrival matters little and a lost record leaves a gap, never a wrong figure.
//! Peaks come from ledgers alone; the stream of levels gives history.

pub mod calls;
pub mod distribution;
pub mod folded;
pub mod held;
pub mod history;
pub mod order;
pub mod phase;
pub mod phases;
pub mod process;
pub mod row;
pub mod timeline;
pub mod victim;
pub mod vm;

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use tracer_common::{
    ledger::Space,
    record::{Execed, ProcessStarted, SpaceOpened},
};

use self::{
    calls::Calls,
    folded::{Fold, MAX_KEPT},
    history::History,
    phase::Phase,
    phases::Phases,
    process::{CommandLine, Exec, Process, number},
    row::Row,
    victim::Victim,
    vm::Sizes,
};
use crate::event::{Begun, Ended, Event, Reading};

/// Everything known of a run.
#[derive(Debug)]
pub struct Model {
    begun: Option<Begun>,
    ended: Option<Ended>,
    processes: HashMap<u32, Process>,
    fold: Fold,
    /// Processes kept at most; and how many there must be before folding is tried again.
    max_kept: usize,
    fold_at: usize,
    readings: Vec<Reading>,
    history: History,
    phases: Phases,
    sizes: Sizes,
    calls: Calls,
    victims: Vec<Victim>,
    latest_ns: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Model {
    /// A model that knows nothing.
    pub fn new() -> Self {
        Self::keeping(MAX_KEPT)
    }

    /// A model that keeps at most this many processes one by one.
    pub(crate) fn keeping(max_kept: usize) -> Self {
        Self {
            begun: None,
            ended: None,
            processes: HashMap::new(),
            fold: Fold::default(),
            max_kept,
            fold_at: max_kept,
            readings: Vec::new(),
            history: History::default(),
            phases: Phases::default(),
            sizes: Sizes::default(),
            calls: Calls::default(),
            victims: Vec::new(),
            latest_ns: 0,
        }
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Begun(begun) => {
                self.phases.name_functions(&begun.functions);
                self.begun = Some(*begun);
            }
            Event::Level(level) => {
                self.saw(level.header.at_ns);
                self.phases.level(&level);
                self.history.add(level);
            }
            Event::ProcessStarted(record) => self.started(&record),
            Event::SpaceOpened(record) => self.opened(&record),
            Event::Execed(record) => self.execed(&record),
            Event::ProcessExited(record) => {
                self.saw(record.header.at_ns);
                self.phases.exited(record.process, record.header.at_ns);
                self.process(record.process).exited = Some(*record);
            }
            Event::ProcessLeft(record) => {
                self.saw(record.header.at_ns);
                self.phases.exited(record.process, record.header.at_ns);
                self.process(record.process).left = Some(*record);
            }
            Event::Victim(record) => {
                self.saw(record.header.at_ns);
                let victim = Victim::of(&record, self.history.latest_levels());
                self.victims.push(victim);
            }
            Event::ProcessFreed(record) => {
                self.saw(record.header.at_ns);
                // A process that was folded meanwhile stays folded.
                if let Some(process) = self.processes.get_mut(&record.process) {
                    process.freed = Some(*record);
                }
            }
            Event::SpaceClosed(record) => {
                self.saw(record.header.at_ns);
                let Space { id, closed_ns, .. } = record.ledger;
                self.history.close(id, closed_ns);
                self.ledger(&record.ledger);
            }
            Event::VmChanged(record) => {
                self.saw(record.header.at_ns);
                self.sizes.add(&record);
            }
            Event::Called(record) => {
                self.saw(record.header.at_ns);
                self.calls.add(record);
            }
            Event::Marked(record) => {
                self.saw(record.header.at_ns);
                let process = self.processes.get(&record.process);
                let pid = process.and_then(Process::pid);
                self.phases.add(*record, pid);
            }
            Event::SpaceAlive(ledger) => self.ledger(&ledger),
            Event::Reading(Reading::Inside { process, pid }) => {
                // A process that was folded meanwhile stays folded.
                if let Some(process) = self.processes.get_mut(&process) {
                    process.pid_inside = Some(pid);
                }
            }
            Event::Reading(Reading::CommandLine {
                process,
                arguments,
                cut,
            }) => {
                if let Some(process) = self.processes.get_mut(&process) {
                    process.first_line = Arc::new(CommandLine::parse(&arguments, cut));
                }
            }
            Event::Reading(Reading::PhaseCharge { phase, charge }) => {
                self.phases.charged(phase, charge);
            }
            Event::Reading(reading) => self.readings.push(reading),
            Event::Ended(ended) => {
                self.saw(ended.at_ns);
                self.history.end(ended.at_ns);
                self.phases.end(ended.at_ns, Some(&ended.target));
                self.ended = Some(*ended);
            }
        }
        if self.processes.len() > self.fold_at {
            self.fold.make_room(&mut self.processes, self.max_kept);
            let spaces = self.processes.values().flat_map(|process| &process.spaces);
            let kept = spaces.map(|space| space.id).collect();
            self.history.forget(self.fold.last_space, &kept);
            // With too few finished ones, wait until there may be more.
            self.fold_at = self.max_kept.max(self.processes.len() + self.max_kept / 4);
        }
    }

    fn saw(&mut self, at_ns: u64) {
        self.latest_ns = self.latest_ns.max(at_ns);
    }

    fn process(&mut self, number: u32) -> &mut Process {
        self.processes.entry(number).or_default()
    }

    fn started(&mut self, record: &ProcessStarted) {
        self.saw(record.header.at_ns);
        let parent = number(record.parent).and_then(|parent| self.processes.get(&parent));
        let first_line = parent.map(|parent| parent.command_line_at(record.header.at_ns));
        let first_line = first_line.map(Arc::clone).unwrap_or_default();
        let process = self.process(record.process);
        process.started = Some(*record);
        process.first_line = first_line;
    }

    fn opened(&mut self, record: &SpaceOpened) {
        self.saw(record.header.at_ns);
        self.process(record.process).own_space(record.space).opened = Some(*record);
    }

    fn execed(&mut self, record: &Execed) {
        self.saw(record.header.at_ns);
        self.process(record.process).add_exec(Exec::of(record));
    }

    /// A ledger, final or as it was at the end; a final one is never replaced by the other.
    fn ledger(&mut self, ledger: &Space) {
        self.phases.ledger(ledger);
        let own = self.process(ledger.process).own_space(ledger.id);
        if !own.is_closed() {
            own.ledger = Some(*ledger);
        }
    }

    /// What is known from before the first record.
    pub fn begun(&self) -> Option<&Begun> {
        self.begun.as_ref()
    }

    /// How it ended; `None` if the events break off.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Latest time that any event carries, `CLOCK_MONOTONIC` nanoseconds.
    pub fn latest_ns(&self) -> u64 {
        self.latest_ns
    }

    /// What other instruments said, in the order in which they came.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// What the stream told, up to its end.
    pub fn history(&self) -> Cow<'_, History> {
        if self.ended.is_some() {
            return Cow::Borrowed(&self.history);
        }
        let mut broken_off = self.history.clone();
        broken_off.end(self.latest_ns);
        Cow::Owned(broken_off)
    }

    /// Entries of phases that have not ended so far.
    pub fn open_phases(&self) -> impl Iterator<Item = &Phase> {
        self.phases.open()
    }

    /// The phases, up to the end of the events.
    pub fn phases(&self) -> Cow<'_, Phases> {
        if self.ended.is_some() {
            return Cow::Borrowed(&self.phases);
        }
        let mut broken_off = self.phases.clone();
        broken_off.end(self.latest_ns, None);
        Cow::Owned(broken_off)
    }

    /// System calls with their arguments.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Whom the kernel chose to be killed for want of memory, in order.
    pub fn victims(&self) -> &[Victim] {
        &self.victims
    }

    /// Sizes of the calls that changed a virtual size.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// Processes kept one by one, in no order.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.processes.values()
    }

    /// What was folded to save memory.
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// All rows kept, by start, then PID and image.
    pub fn rows(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<_> = self.processes.values().flat_map(row::rows).collect();
        rows.sort_by_key(|row| (row.start_ns, row.process.pid(), row.image, row.space));
        rows
    }

    /// The command's process.
    pub fn command(&self) -> Option<&Process> {
        self.processes.values().find(|process| process.was_holder())
    }
}
