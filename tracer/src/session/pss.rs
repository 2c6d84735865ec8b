//! Memory counted once where it is shared: the PSS of all processes of the target, read while its
//! level is high. Knows `/proc`, and how much of the target's time a reading may cost.
//!
//! The kernel walks a process's page tables for it, a few milliseconds for each GiB, and holds
//! `mmap_lock` for reading meanwhile (it lets go when somebody waits). So it is read in a thread of
//! its own: while the level climbs, at each quarter more; else only after a good multiple of the
//! time that the last one took, and less and less often while nothing new comes.

use std::{
    collections::HashSet,
    io,
    time::{Duration, Instant},
};

use tokio::task::{JoinHandle, spawn_blocking};
use tracer_common::ledger::Target;

use super::living::Living;
use crate::{
    event::{PssReading, Reading},
    host, readings,
};

/// Of the time, readings may take one part in so many,
const SHARE: u32 = 32;
/// and so much more in all, for a run that is short.
const EXTRA: Duration = Duration::from_millis(100);
/// Least time between two.
const LEAST: Duration = Duration::from_millis(20);
/// How often that may double while nothing new comes: up to one part in a thousand.
const MOST_DOUBLINGS: u32 = 5;
/// A level is high within this part of the peak.
const HIGH: i64 = 8;
/// What is this much higher, in parts, is new.
const NEW: u64 = 256;
/// A peak that is this much higher, in parts, is worth a look at once.
const FAR: i64 = 4;

/// A reading, or why there is none.
type Taken = io::Result<PssReading>;

/// See the module.
#[derive(Debug)]
pub(super) struct Pss {
    running: Option<JoinHandle<Taken>>,
    /// When the first reading began, and how long they took together.
    began: Option<Instant>,
    spent: Duration,
    due_at: Instant,
    /// The target's peak at the last reading, pages.
    peak: i64,
    doublings: u32,
    taken: u32,
    /// Highest one so far, and whether it has been told.
    highest: Option<PssReading>,
    is_told: bool,
    is_refused: bool,
    page_bytes: u64,
}

impl Pss {
    pub(super) fn new(page_bytes: u64) -> Self {
        Self {
            running: None,
            began: None,
            spent: Duration::ZERO,
            due_at: Instant::now(),
            peak: 0,
            doublings: 0,
            taken: 0,
            highest: None,
            is_told: false,
            is_refused: false,
            page_bytes,
        }
    }

    /// Begins a reading if it is time to and if there is something to share.
    pub(super) fn start_if_due(&mut self, target: &Target, living: &Living) {
        let (level, peak) = (target.level_rss, target.peak.rss);
        let is_high = level > 0 && level >= peak - peak / HIGH;
        if target.spaces < 2 || !is_high || self.is_running() || self.is_refused {
            return;
        }
        let now = Instant::now();
        let began = *self.began.get_or_insert(now);
        let allowed = EXTRA + now.duration_since(began) / SHARE;
        let is_far = peak - self.peak > self.peak / FAR;
        if self.spent > allowed || (self.due_at > now && !is_far) {
            return;
        }
        if peak - self.peak > peak / NEW.cast_signed() {
            self.doublings = 0;
        }
        self.peak = peak;
        let mut spaces = HashSet::new();
        // Processes that share a space have its pages once.
        let pids = living.all().filter(|alive| spaces.insert(alive.space));
        let (pids, page_bytes) = (pids.map(|alive| alive.pid).collect(), self.page_bytes);
        self.running = Some(spawn_blocking(move || take(pids, page_bytes)));
    }

    /// A reading is being taken.
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The reading that is being taken, when it is done. What there is to tell of it is a reading
    /// well above those before.
    pub(super) async fn taken(&mut self) -> Option<Reading> {
        let taken = self.running.as_mut()?.await;
        self.running = None;
        match taken.ok()? {
            Ok(reading) => self.see(reading),
            Err(error) => {
                self.due_at = Instant::now() + LEAST;
                self.is_refused = error.kind() == io::ErrorKind::PermissionDenied;
                self.is_refused.then_some(Reading::PssRefused)
            }
        }
    }

    fn see(&mut self, mut reading: PssReading) -> Option<Reading> {
        self.taken += 1;
        reading.nth = self.taken;
        let took = Duration::from_nanos(reading.until_ns - reading.from_ns);
        self.spent += took;
        let (before, was_still) = match &self.highest {
            Some(highest) => (highest.pss_bytes, highest.stood_still),
            None => (0, false),
        };
        let is_new = reading.pss_bytes > before + before / NEW;
        self.doublings = match is_new {
            true => 0,
            false => (self.doublings + 1).min(MOST_DOUBLINGS),
        };
        self.due_at = Instant::now() + (took * SHARE).max(LEAST) * (1 << self.doublings);
        // One of a single moment is worth more than one that is hardly higher.
        let is_of_one_moment = reading.stood_still && !was_still;
        let settles = is_of_one_moment && reading.pss_bytes >= before - before / NEW;
        if settles || reading.pss_bytes > before {
            self.highest = Some(reading);
            self.is_told = false;
        }
        (is_new || settles).then(|| self.tell()).flatten()
    }

    fn tell(&mut self) -> Option<Reading> {
        let untold = self.highest.clone().filter(|_| !self.is_told);
        self.is_told = true;
        untold.map(Reading::Pss)
    }

    /// The best one, if it has not been told, at the end.
    pub(super) fn last(&mut self) -> Option<Reading> {
        self.tell()
    }
}

/// Reads one after the other. Whoever ends meanwhile is left out, and counted.
fn take(pids: Vec<u32>, page_bytes: u64) -> Taken {
    let from_ns = host::monotonic_ns();
    // What would have moved if anything did.
    let moving = || {
        let each = pids.iter().filter_map(|pid| {
            let memory = readings::proc_memory(*pid, page_bytes)?;
            Some((*pid, memory.statm_rss_bytes, readings::faults(*pid)?))
        });
        each.collect::<Vec<_>>()
    };
    let before = moving();
    let mut reading = PssReading::default();
    for pid in &pids {
        match readings::rollup(*pid) {
            Ok(rollup) => {
                reading.processes += 1;
                reading.rss_bytes += rollup.rss_bytes;
                reading.pss_bytes += rollup.pss_bytes;
                reading.anon_bytes += rollup.pss_anon_bytes;
                reading.file_bytes += rollup.pss_file_bytes;
                reading.shmem_bytes += rollup.pss_shmem_bytes;
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            Err(_) => reading.ended += 1,
        }
    }
    if reading.processes == 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    reading.stood_still = reading.ended == 0 && moving() == before;
    reading.from_ns = from_ns;
    reading.until_ns = host::monotonic_ns();
    Ok(reading)
}
