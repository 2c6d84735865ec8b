//! Phases for the renderers: by the track on which they lie, and which is the innermost at a time.

use std::collections::HashMap;

use crate::report::schema::{PhaseRow, PhaseScope, Report};

/// Where phases lie that one another's ends can close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// Process; `None` for the target's, and if unknown.
    pub(super) pid: Option<u32>,
    pub(super) scope: PhaseScope,
    /// Thread, or the number that the program gave a track of its own; else 0.
    pub(super) number: u64,
}

impl Place {
    fn of(phase: &PhaseRow) -> Self {
        let (pid, number) = match phase.scope {
            PhaseScope::Target => (None, 0),
            PhaseScope::Program => (phase.pid, 0),
            PhaseScope::Track => (phase.pid, phase.track),
            PhaseScope::Thread | PhaseScope::Function => (phase.pid, phase.thread.into()),
        };
        Self {
            pid,
            scope: phase.scope,
            number,
        }
    }
}

/// A place with its phases, by begin, outer ones first.
pub(super) struct Track<'a> {
    pub(super) place: Place,
    pub(super) phases: Vec<&'a PhaseRow>,
}

/// The tracks of some phases, which are by begin: that of the target first, then those of each
/// process side by side.
pub(super) fn tracks<'a>(phases: impl IntoIterator<Item = &'a PhaseRow>) -> Vec<Track<'a>> {
    let mut tracks: Vec<Track<'a>> = Vec::new();
    let mut known: HashMap<Place, usize> = HashMap::new();
    let mut turns: HashMap<Option<u32>, usize> = HashMap::new();
    for phase in phases {
        let place = Place::of(phase);
        let number = *known.entry(place).or_insert_with(|| {
            tracks.push(Track {
                place,
                phases: Vec::new(),
            });
            tracks.len() - 1
        });
        tracks[number].phases.push(phase);
        let turn = turns.len();
        turns.entry(place.pid).or_insert(turn);
    }
    tracks.sort_by_key(|track| {
        let is_target = track.place.scope == PhaseScope::Target;
        (!is_target, turns[&track.place.pid])
    });
    tracks
}

/// The phases of a report by whose they are.
pub(super) struct Owners<'a> {
    target: Vec<&'a PhaseRow>,
    processes: HashMap<u32, Vec<&'a PhaseRow>>,
}

impl<'a> Owners<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        let mut owners = Self {
            target: Vec::new(),
            processes: HashMap::new(),
        };
        for phase in &report.phases {
            match (phase.scope, phase.pid) {
                (PhaseScope::Target, _) => owners.target.push(phase),
                (_, Some(pid)) => owners.processes.entry(pid).or_default().push(phase),
                // Processes of unknown PID cannot be told apart.
                (_, None) => {}
            }
        }
        owners
    }

    /// Of the target alone, not of its processes.
    pub(super) fn target(&self) -> Innermost<'_> {
        Innermost::new(&self.target)
    }

    /// Of a process, on whatever track. A PID that came back is no matter: phases end with their
    /// process at the latest.
    pub(super) fn process(&self, pid: Option<u32>) -> Innermost<'_> {
        let phases = pid.and_then(|pid| self.processes.get(&pid));
        Innermost::new(phases.map_or(&[], Vec::as_slice))
    }
}

/// Says which of some phases is the innermost: that which began last of those that are open. It is
/// asked in the order of time.
pub(super) struct Innermost<'a> {
    coming: &'a [&'a PhaseRow],
    /// Begun, those on top not ended.
    open: Vec<&'a PhaseRow>,
}

/// For how long a phase is the innermost, or none is open.
pub(super) struct Spell<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) until_ns: u64,
}

impl<'a> Innermost<'a> {
    fn new(phases: &'a [&'a PhaseRow]) -> Self {
        Self {
            coming: phases,
            open: Vec::new(),
        }
    }

    /// The spell that a time lies in. At its very end a phase is over.
    pub(super) fn at(&mut self, at_ns: u64) -> Spell<'a> {
        while let Some((next, rest)) = self.coming.split_first()
            && next.start_ns <= at_ns
        {
            self.open.push(next);
            self.coming = rest;
        }
        while self.open.pop_if(|top| top.end_ns <= at_ns).is_some() {}
        let top = self.open.last();
        let end_ns = top.map_or(u64::MAX, |top| top.end_ns);
        let next_ns = self.coming.first().map_or(u64::MAX, |next| next.start_ns);
        Spell {
            name: top.map(|top| top.name.as_str()),
            until_ns: end_ns.min(next_ns),
        }
    }
}
