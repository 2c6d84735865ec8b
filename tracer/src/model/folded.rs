//! Finished processes that are no longer kept one by one, summed up by name.
//!
//! A long run can have millions of short processes. Only so many are kept as rows: those with the
//! highest peaks.

use std::collections::{BTreeMap, HashMap};

use super::{distribution::Distribution, process::Process, row};

/// Processes kept one by one, at most, as far as finished ones can make room.
/// They take about 2 KiB each, and their rows in the report as much again.
pub const MAX_KEPT: usize = 4_096;

/// Rows of one name, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// How many.
    pub rows: u64,
    /// Those among them without a ledger of their own.
    pub without_peak: u64,
    /// Highest peak, pages; `None` if none has one.
    pub peak_max: Option<i64>,
    /// Sum of the peaks, pages.
    pub peak_sum: i64,
}

/// All that was folded.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    /// Processes.
    pub processes: u64,
    /// Rows by their name.
    pub by_comm: BTreeMap<String, Folded>,
    /// Ledgers among them.
    pub ledgers: u64,
    /// Their events without an accepted scan.
    pub unscanned: u64,
    /// At one of those there may have been more than its space's peak.
    pub unscanned_above_peak: bool,
    /// Faults of the processes: minor, major.
    pub faults: (u64, u64),
    /// Processes whose faults are not the kernel's last word.
    pub faults_open: u64,
    /// Highest number of a space among them.
    pub last_space: u32,
    /// How long they lived and what their spaces reached.
    pub lives: Lives,
}

/// How long processes lived, nanoseconds, and what their spaces reached, pages.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    /// From start to exit, of processes whose both ends are known.
    pub lifetime_ns: Distribution,
    /// Peaks of spaces.
    pub peak_pages: Distribution,
}

impl Lives {
    /// Counts a process.
    pub fn add(&mut self, process: &Process) {
        if let Some(ns) = process.lifetime_ns() {
            self.lifetime_ns.add(ns, 1);
        }
        for highest in row::rows(process).iter().filter_map(row::Row::highest) {
            // A peak below 0 is told as a doubt; there is no place for it here.
            if let Ok(pages) = u64::try_from(highest.rss) {
                self.peak_pages.add(pages, 1);
            }
        }
    }
}

impl Fold {
    fn add(&mut self, process: &Process) {
        self.processes += 1;
        self.lives.add(process);
        for row in row::rows(process) {
            let folded = self.by_comm.entry(row.comm()).or_default();
            folded.rows += 1;
            match row.highest() {
                Some(highest) => {
                    folded.peak_max = folded.peak_max.max(Some(highest.rss));
                    folded.peak_sum = folded.peak_sum.saturating_add(highest.rss);
                }
                None => folded.without_peak += 1,
            }
        }
        for ledger in process
            .spaces
            .iter()
            .filter_map(|space| space.ledger.as_ref())
        {
            self.ledgers += 1;
            self.last_space = self.last_space.max(ledger.id);
            self.unscanned += ledger.unscanned;
            self.unscanned_above_peak |= ledger.may_have_missed_peak();
        }
        let ((minor, major), is_final) = process.faults().unwrap_or_default();
        self.faults.0 += minor;
        self.faults.1 += major;
        self.faults_open += u64::from(!is_final);
    }

    /// Makes room: takes the half with the lower peaks out of the finished processes. Roots stay,
    /// they are what the user asked about.
    pub fn make_room(&mut self, processes: &mut HashMap<u32, Process>, kept: usize) {
        let over = |process: &&Process| process.is_complete() && !process.is_root();
        // Those that the kernel has forgotten have their last word said; the others are taken
        // only if there are too few of these.
        let freed = processes
            .values()
            .filter(over)
            .filter(|p| p.freed.is_some())
            .count();
        let needs_freed = freed >= kept / 4;
        let mut finished: Vec<(i64, u32)> = processes
            .iter()
            .filter(|(_, process)| over(process) && (!needs_freed || process.freed.is_some()))
            .map(|(number, process)| (highest(process), *number))
            .collect();
        finished.sort_unstable();
        finished.truncate(finished.len().div_ceil(2));
        for (_, number) in finished {
            if let Some(process) = processes.remove(&number) {
                self.add(&process);
            }
        }
    }
}

/// Highest peak of a process, pages.
fn highest(process: &Process) -> i64 {
    let rows = row::rows(process);
    rows.iter()
        .filter_map(|row| row.highest())
        .map(|highest| highest.rss)
        .max()
        .unwrap_or(0)
}
