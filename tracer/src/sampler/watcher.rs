//! An eye on a command and its descendants, for a run without privileges: who is there, how much
//! each has, and what the kernel's own mark of each says. Bounded memory, whatever happens.

use std::{collections::BTreeMap, fs};

use tracer_common::ledger::Split;

use super::{Eye, proc::Proc};
use crate::{
    host,
    model::timeline::{MAX_POINTS, Point, Timeline},
};

/// Processes told one by one, at most.
const MOST_PROCESSES: usize = 2_000;
/// Points of each of them.
const POINTS: usize = 32;

/// A level in pages, when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// `CLOCK_MONOTONIC`, nanoseconds, before the first file of the look was read.
    pub at_ns: u64,
    /// By class.
    pub split: Split,
}

/// A process that was seen.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its parent when it was seen first; the command's is not of the target.
    pub parent: Option<u32>,
    /// Its name, and its arguments as the name was last new.
    pub comm: String,
    /// See `comm`.
    pub argv: Vec<String>,
    /// The first look that saw it.
    pub first_ns: u64,
    /// The last one.
    pub last_ns: u64,
    /// Its highest level at a look.
    pub highest: Level,
    /// The highest that its `VmHWM` ever said, bytes.
    pub mark_bytes: u64,
    /// Its level over time.
    pub history: Timeline<Split>,
}

/// See the module.
#[derive(Debug)]
pub struct Watcher {
    root: u32,
    page_bytes: u64,
    proc: Proc,
    /// Looks that found something.
    pub looks: u64,
    /// Those that were seen, by PID. One that came again under the same PID counts to it.
    pub processes: BTreeMap<u32, Watched>,
    /// There were more than are told.
    pub is_full: bool,
    /// The highest sum of one look, and how many had a part in it.
    pub highest: Option<(Level, u64)>,
    /// Sums over time.
    pub history: Timeline<Split>,
    /// The longest time between the beginnings of two looks, nanoseconds.
    pub longest_ns: u64,
    last_ns: Option<u64>,
}

impl Watcher {
    /// On this process and all that comes from it.
    pub fn new(root: u32) -> Self {
        Self {
            root,
            page_bytes: host::page_bytes(),
            proc: Proc::default(),
            looks: 0,
            processes: BTreeMap::new(),
            is_full: false,
            highest: None,
            history: Timeline::new(MAX_POINTS),
            longest_ns: 0,
            last_ns: None,
        }
    }

    fn see(&mut self, pid: u32, at_ns: u64) -> Option<Split> {
        let names = ["RssAnon:", "RssFile:", "RssShmem:", "VmHWM:", "VmSwap:"];
        let [anon, file, shmem, mark_bytes, swap] = self.proc.status(pid, names)?;
        let pages = |bytes: u64| (bytes / self.page_bytes).cast_signed();
        let split = Split {
            anon: pages(anon),
            file: pages(file),
            shmem: pages(shmem),
            swap: pages(swap),
        };
        if self.processes.len() == MOST_PROCESSES && !self.processes.contains_key(&pid) {
            self.is_full = true;
            return Some(split);
        }
        let (name, parent) = self.proc.name_and_parent(pid)?;
        let level = Level { at_ns, split };
        let is_root = pid == self.root;
        let process = self.processes.entry(pid).or_insert_with(|| Watched {
            parent: Some(parent).filter(|_| !is_root),
            comm: String::new(),
            argv: Vec::new(),
            first_ns: at_ns,
            last_ns: at_ns,
            highest: level,
            mark_bytes,
            history: Timeline::new(POINTS),
        });
        if process.comm != name {
            process.comm = name;
            process.argv = arguments(pid);
        }
        process.last_ns = at_ns;
        process.mark_bytes = process.mark_bytes.max(mark_bytes);
        if split.rss() > process.highest.split.rss() {
            process.highest = level;
        }
        process.history.add(Point {
            at_ns,
            pages: split,
        });
        Some(split)
    }
}

/// The command line of a process; empty if it is gone.
fn arguments(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let words = text.trim_end_matches('\0').split('\0').map(str::to_owned);
    words.filter(|_| !text.is_empty()).collect()
}

impl Eye for Watcher {
    fn look(&mut self) {
        let at_ns = host::monotonic_ns();
        let mut sum = Split::ZERO;
        let mut count = 0;
        for pid in self.proc.tree(self.root) {
            if let Some(split) = self.see(pid, at_ns) {
                sum.anon += split.anon;
                sum.file += split.file;
                sum.shmem += split.shmem;
                sum.swap += split.swap;
                count += 1;
            }
        }
        if count == 0 {
            return;
        }
        self.looks += 1;
        let since_ns = self.last_ns.map_or(0, |last_ns| at_ns - last_ns);
        self.longest_ns = self.longest_ns.max(since_ns);
        self.last_ns = Some(at_ns);
        let level = Level { at_ns, split: sum };
        if self
            .highest
            .is_none_or(|(highest, _)| sum.rss() > highest.split.rss())
        {
            self.highest = Some((level, count));
        }
        self.history.add(Point { at_ns, pages: sum });
    }
}
