//! What the cgroup that is the target is charged with while a phase is open: each descriptor of
//! `memory.peak` has a mark of its own, which writing to it sets back (Linux 6.12). Knows the file
//! and which phases are open.
//!
//! Phases are seen here when their markers are fetched, some milliseconds late: the reading says of
//! when it is, and a phase that was over by then has none.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    event::{PhaseCharge, Reading},
    host,
    model::{phase::Phase, phases::MAX_KEPT},
};

/// Phases looked at at the same time.
const MOST_OPEN: usize = 64;

/// A descriptor whose mark was set back.
#[derive(Debug)]
struct Mark {
    file: File,
    from_ns: u64,
    /// What it said so far, bytes.
    highest: u64,
}

impl Mark {
    fn set_back(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let from_ns = host::monotonic_ns();
        // Any text does (`peak_write`, memcontrol.c).
        file.write_all(b"1\n")?;
        Ok(Self {
            file,
            from_ns,
            highest: 0,
        })
    }

    /// `None` if the cgroup is gone.
    fn note(&mut self) -> Option<()> {
        let mut text = String::new();
        // Behind what was written to it.
        self.file.rewind().ok()?;
        self.file.read_to_string(&mut text).ok()?;
        self.highest = self.highest.max(text.trim().parse().ok()?);
        Some(())
    }

    fn end(mut self) -> Option<PhaseCharge> {
        self.note()?;
        Some(PhaseCharge {
            from_ns: self.from_ns,
            until_ns: host::monotonic_ns(),
            peak_bytes: self.highest,
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Charges {
    file: PathBuf,
    /// By the marker that began the phase.
    open: BTreeMap<u64, Mark>,
    /// How many phases have been looked at.
    seen: usize,
}

impl Charges {
    /// Of a cgroup; `None` if its mark cannot be set back.
    pub(super) fn of(directory: &Path) -> Option<Self> {
        let file = directory.join("memory.peak");
        Mark::set_back(&file).is_ok().then(|| Self {
            file,
            open: BTreeMap::new(),
            seen: 0,
        })
    }

    /// Reads the marks of phases that have ended, and begins with those that are new. Setting one mark
    /// back takes from the others what they had not said yet (`peak_write` keeps one
    /// `local_watermark` for all): they are read before.
    pub(super) fn look<'a>(&mut self, phases: impl Iterator<Item = &'a Phase>) -> Vec<Reading> {
        let phases: Vec<u64> = phases.map(|phase| phase.begun_by).collect();
        let has_ended = |phase: &u64, _: &mut Mark| !phases.contains(phase);
        let ended = self.open.extract_if(.., has_ended);
        let end = |(phase, mark): (u64, Mark)| {
            let charge = mark.end()?;
            Some(Reading::PhaseCharge { phase, charge })
        };
        let readings = ended.filter_map(end).collect();
        for phase in phases {
            let has_room = self.open.len() < MOST_OPEN && self.seen < MAX_KEPT;
            if !self.open.contains_key(&phase) && has_room {
                self.open.retain(|_, mark| mark.note().is_some());
                self.seen += 1;
                let mark = Mark::set_back(&self.file).ok();
                self.open.extend(mark.map(|mark| (phase, mark)));
            }
        }
        readings
    }
}
