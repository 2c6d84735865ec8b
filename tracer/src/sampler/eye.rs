//! The instruments themselves: what each reads in one look, in the order in which the tool does.

use std::{collections::HashMap, path::PathBuf};

use super::{
    Eye,
    asked::{Asked, Instrument},
    charged::{Charged, Place},
    proc::Proc,
    series::{Look, Series},
};
use crate::host;

/// Processes that are remembered, at most.
const MOST_PROCESSES: usize = 1 << 16;

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// RSS of the command's process and its descendants, summed.
    Tree,
    /// PSS of the same.
    Shares,
    /// RSS of the command's process.
    Root,
    /// The kernel's own mark of the command's process.
    Mark,
    /// All that a cgroup is charged for.
    Charged,
    /// The same less cache that was not used lately.
    Docker,
    /// The kernel's own mark of what a cgroup was charged for.
    ChargedMark,
}

/// What else the look saw that came to the peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// RSS of the processes whose PSS it was, bytes, and how many those were.
    Rss(u64, usize),
    /// What the cgroup's files said.
    Charged(Charged),
}

/// One figure of an instrument.
#[derive(Debug)]
pub struct Figure {
    /// The tool, and which of its figures.
    pub name: String,
    /// See [`What`].
    pub what: What,
    /// What it saw.
    pub series: Series<Beside>,
}

/// Which processes a look ever saw: from when to when, by PID.
#[derive(Debug, Default)]
pub struct Known {
    times: HashMap<u32, (u64, u64)>,
    is_full: bool,
}

impl Known {
    /// A look saw it, at some time from one to another.
    pub fn see(&mut self, pid: u32, from_ns: u64, to_ns: u64) {
        if self.times.len() == MOST_PROCESSES && !self.times.contains_key(&pid) {
            self.is_full = true;
            return;
        }
        self.times.entry(pid).or_insert((from_ns, to_ns)).1 = to_ns;
    }

    /// A process of this PID was seen in this time; `None` if there were too many to tell.
    pub fn saw(&self, pid: u32, begin_ns: u64, end_ns: u64) -> Option<bool> {
        let times = self.times.get(&pid);
        let saw = times.is_some_and(|(first, last)| *first <= end_ns && *last >= begin_ns);
        (saw || !self.is_full).then_some(saw)
    }
}

/// An instrument of a judged run.
#[derive(Debug)]
pub struct Sampler {
    /// As asked for.
    pub asked: Asked,
    /// What it tells.
    pub figures: Vec<Figure>,
    /// Whom it saw, if it looks at a tree.
    pub known: Known,
    pid: u32,
    directory: Option<PathBuf>,
    peak_file: Option<PathBuf>,
    proc: Proc,
}

impl Sampler {
    /// One that looks at this process; `None` if the instrument looks at nothing, or if there is
    /// no cgroup to look at.
    pub fn new(asked: &Asked, pid: u32, place: Option<&Place>) -> Option<Self> {
        let names: &[(What, &str)] = match asked.instrument {
            Instrument::Psutil => &[(What::Tree, "")],
            Instrument::Statm | Instrument::Ps | Instrument::Mprof => &[(What::Root, "")],
            Instrument::Smaps => &[(What::Tree, ", RSS"), (What::Shares, ", PSS")],
            Instrument::VmHwm => &[(What::Mark, "")],
            Instrument::Cgroup => &[
                (What::Charged, ", usage"),
                (What::Docker, ", docker"),
                (What::ChargedMark, ", peak"),
            ],
            Instrument::Rusage => return None,
        };
        let cgroup = place.filter(|_| asked.instrument == Instrument::Cgroup);
        if asked.instrument == Instrument::Cgroup && cgroup.is_none() {
            return None;
        }
        let figure = |(what, suffix): &(What, &str)| Figure {
            name: format!("{}{suffix}", asked.name),
            what: *what,
            series: Series::default(),
        };
        Some(Self {
            asked: asked.clone(),
            figures: names.iter().map(figure).collect(),
            known: Known::default(),
            pid,
            directory: cgroup.map(|cgroup| cgroup.directory.clone()),
            peak_file: cgroup.map(|cgroup| cgroup.peak_file.clone()),
            proc: Proc::default(),
        })
    }

    /// What this look comes to for each figure; `None` if there was nothing to see.
    fn read(&mut self, begin_ns: u64) -> Option<Vec<(u64, Beside)>> {
        let alone = |bytes: u64| vec![(bytes, Beside::Nothing)];
        let (pid, proc) = (self.pid, &mut self.proc);
        match self.asked.instrument {
            Instrument::Statm | Instrument::Mprof => proc.statm(pid).map(alone),
            Instrument::Ps => proc.status(pid, ["VmRSS:"]).map(|[rss]| alone(rss)),
            Instrument::VmHwm => proc.status(pid, ["VmHWM:"]).map(|[mark]| alone(mark)),
            Instrument::Psutil => {
                let tree = proc.tree(pid);
                let seen = tree.into_iter().filter_map(|pid| {
                    let bytes = proc.statm(pid)?;
                    self.known.see(pid, begin_ns, host::monotonic_ns());
                    Some(bytes)
                });
                let seen: Vec<_> = seen.collect();
                (!seen.is_empty()).then(|| alone(seen.iter().sum()))
            }
            Instrument::Smaps => {
                let tree = proc.tree(pid);
                let seen = tree.into_iter().filter_map(|pid| {
                    let rollup = proc.rollup(pid)?;
                    self.known.see(pid, begin_ns, host::monotonic_ns());
                    Some(rollup)
                });
                let seen: Vec<_> = seen.collect();
                let rss = seen.iter().map(|rollup| rollup.rss_bytes).sum();
                let pss = seen.iter().map(|rollup| rollup.pss_bytes).sum();
                let beside = Beside::Rss(rss, seen.len());
                (!seen.is_empty()).then(|| vec![(rss, Beside::Nothing), (pss, beside)])
            }
            Instrument::Cgroup => {
                let charged = Charged::read(self.directory.as_deref()?)?;
                let beside = Beside::Charged(charged);
                Some(vec![
                    (charged.usage_bytes, beside),
                    (charged.docker_bytes(), beside),
                    (self.peak()?, beside),
                ])
            }
            Instrument::Rusage => None,
        }
    }

    fn peak(&self) -> Option<u64> {
        let text = std::fs::read_to_string(self.peak_file.as_deref()?).ok()?;
        text.trim().parse().ok()
    }
}

impl Eye for Sampler {
    fn look(&mut self) {
        let begin_ns = host::monotonic_ns();
        let Some(read) = self.read(begin_ns) else {
            return;
        };
        let end_ns = host::monotonic_ns();
        // A process that has ended and was not waited for has no memory any more.
        let seen = read.into_iter().zip(&mut self.figures);
        for ((bytes, beside), figure) in seen.filter(|((bytes, _), _)| *bytes > 0) {
            let look = Look {
                begin_ns,
                end_ns,
                bytes,
            };
            figure.series.add(look, beside);
        }
    }

    fn end(&mut self) {
        // A mark of a cgroup can be read at the end, and is.
        if self.asked.instrument == Instrument::Cgroup {
            self.look();
        }
    }
}
