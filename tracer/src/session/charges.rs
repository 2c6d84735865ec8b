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
}

impl Mark {
    fn set_back(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let from_ns = host::monotonic_ns();
        // Any text does (`peak_write`, memcontrol.c).
        file.write_all(b"1\n")?;
        Ok(Self { file, from_ns })
    }

    /// `None` if the cgroup is gone.
    fn read(mut self) -> Option<PhaseCharge> {
        let mut text = String::new();
        // Behind what was written to it.
        self.file.rewind().ok()?;
        self.file.read_to_string(&mut text).ok()?;
        Some(PhaseCharge {
            from_ns: self.from_ns,
            until_ns: host::monotonic_ns(),
            peak_bytes: text.trim().parse().ok()?,
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

    /// Begins with phases that are new, and reads the marks of those that have ended.
    pub(super) fn look<'a>(&mut self, phases: impl Iterator<Item = &'a Phase>) -> Vec<Reading> {
        let mut ended = std::mem::take(&mut self.open);
        for phase in phases {
            let known = ended.remove(&phase.begun_by);
            let has_room = self.open.len() < MOST_OPEN && self.seen < MAX_KEPT;
            let mark = match known {
                None if has_room => {
                    self.seen += 1;
                    Mark::set_back(&self.file).ok()
                }
                known => known,
            };
            self.open.extend(mark.map(|mark| (phase.begun_by, mark)));
        }
        let read = |(phase, mark): (u64, Mark)| {
            let charge = mark.read()?;
            Some(Reading::PhaseCharge { phase, charge })
        };
        ended.into_iter().filter_map(read).collect()
    }
}
