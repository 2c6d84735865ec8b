//! A small world that does what the kernel side does, so that runs can be made up whose truth is
//! known: spaces with levels, ledgers kept at every change, records in the order of what happened.

use std::collections::BTreeMap;

use memtrace::event::{Event, TargetAsked};
use tracer_common::{
    ledger::{Peak, Space, Split, Target},
    limits::{ARGV_BYTES, COMM_BYTES, QUANTUM_SHIFT},
    record::{
        Execed, Header, Level, ProcessExited, ProcessFreed, ProcessStarted, SpaceClosed,
        SpaceOpened, kind, mark, via,
    },
};

/// Bytes of a page in these runs.
pub(crate) const PAGE: i64 = 4096;
/// When tracing starts, nanoseconds.
pub(crate) const START: u64 = 1_000_000_000;
/// A tick, nanoseconds.
pub(crate) const TICK: u64 = 10_000_000;

/// A process of the world.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) pid: u32,
    pub(crate) space: u32,
    comm: String,
    maxrss: u64,
    pub(crate) faults: u64,
    shares: bool,
    /// It has marked a phase: its ends are marked too.
    pub(crate) marked: bool,
}

/// The world and the events so far.
pub(crate) struct Run {
    pub(crate) events: Vec<Event>,
    pub(crate) now: u64,
    pub(crate) target: Target,
    /// Pages by which the kernel's mark stays below the truth.
    pub(crate) mark_lag: i64,
    /// Least movement that is streamed, pages.
    pub(crate) quantum: i64,
    pub(crate) emitted: [u64; kind::COUNT],
    pub(crate) lost: [u64; kind::COUNT],
    pub(crate) asked: TargetAsked,
    pub(crate) spaces: BTreeMap<u32, Space>,
    pub(crate) tasks: BTreeMap<u32, Task>,
}

/// Pages of each class.
pub(crate) fn pages(anon: i64, file: i64, shmem: i64) -> Split {
    Split {
        anon,
        file,
        shmem,
        swap: 0,
    }
}

/// Pages of so many MiB.
pub(crate) fn mib(amount: i64) -> i64 {
    amount * 256
}

pub(crate) fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let len = text.len().min(N);
    bytes[..len].copy_from_slice(&text[..len]);
    bytes
}

impl Run {
    fn new(asked: TargetAsked) -> Self {
        Self {
            events: Vec::new(),
            now: START,
            target: Target::default(),
            mark_lag: 0,
            quantum: 16,
            emitted: [0; kind::COUNT],
            lost: [0; kind::COUNT],
            asked,
            spaces: BTreeMap::new(),
            tasks: BTreeMap::new(),
        }
    }

    /// A command, held before its exec: process 1.
    pub(crate) fn command(argv: &[&str]) -> Self {
        let argv = argv.iter().map(ToString::to_string).collect();
        let mut run = Self::new(TargetAsked::Command {
            argv,
            pid: 4242,
            follow: true,
        });
        run.target.last_process = 1;
        run.target.processes = 1;
        let task = Task {
            pid: 4242,
            space: 0,
            comm: "memtrace".into(),
            maxrss: 900,
            faults: 33,
            shares: false,
            marked: false,
        };
        run.tasks.insert(1, task);
        run.emit_started(1, 0, 0, via::HOLDER);
        run
    }

    /// A process that was there before: process 1, with the kernel's mark at so many pages.
    pub(crate) fn attached(pid: u32, comm: &str, level: Split, hiwater: u64) -> Self {
        let mut run = Self::new(TargetAsked::Pids {
            pids: vec![pid],
            follow: true,
        });
        run.target.last_process = 1;
        run.target.processes = 1;
        let space = run.open(1, via::CENSUS, level, hiwater);
        let comm = comm.to_owned();
        let faults = 5_000;
        run.tasks.insert(
            1,
            Task {
                pid,
                space,
                comm,
                maxrss: hiwater,
                faults,
                shares: false,
                marked: false,
            },
        );
        run.emit_started(1, 0, 1, via::CENSUS);
        run
    }

    pub(crate) fn header(&mut self, kind: u32) -> Header {
        self.emitted[kind as usize] += 1;
        // No two records carry the same time.
        self.now += 1;
        Header {
            kind,
            cpu: 0,
            at_ns: self.now,
        }
    }

    /// Time passes, so many ticks.
    pub(crate) fn wait(&mut self, ticks: u64) -> &mut Self {
        self.now += ticks * TICK;
        self
    }

    fn settle(&mut self, id: u32, level: Split) {
        let space = self.spaces.get_mut(&id).unwrap();
        let (old, now) = (space.level, self.now);
        space.level = level;
        space.level_rss = level.rss();
        space.segment = space.segment.max(level.rss());
        space.vm.peak = space.vm.peak.max(level.rss().unsigned_abs() * 3);
        if level.rss() > space.peak.rss {
            space.peak = Peak {
                rss: level.rss(),
                at_ns: now,
                split: level,
            };
            space.peak_pagetable_bytes = 4096 * (10 + level.rss().unsigned_abs() / 512);
        }
        let target = &mut self.target;
        target.level.anon += level.anon - old.anon;
        target.level.file += level.file - old.file;
        target.level.shmem += level.shmem - old.shmem;
        target.level.swap += level.swap - old.swap;
        target.level_rss = target.level.rss();
        target.segment = target.segment.max(target.level_rss);
        if target.level_rss > target.peak.rss {
            target.peak = Peak {
                rss: target.level_rss,
                at_ns: now,
                split: target.level,
            };
            target.peak_processes = target.processes;
            target.peak_spaces = target.spaces;
        }
        let moved = (target.level_rss - target.streamed).abs();
        if moved != 0 && moved >= self.quantum.max(target.peak.rss >> QUANTUM_SHIFT) {
            target.streamed = target.level_rss;
            let target_rss = target.level_rss;
            let header = self.header(kind::LEVEL);
            let level = Level {
                header,
                space: id.into(),
                split: level,
                target_rss,
            };
            self.events.push(Event::Level(level));
        }
    }

    fn open(&mut self, process: u32, via: u32, level: Split, hiwater: u64) -> u32 {
        self.target.last_space += 1;
        self.target.spaces += 1;
        let id = u32::try_from(self.target.last_space).unwrap();
        let opened_ns = self.now;
        let space = Space {
            id,
            process,
            via,
            opened_ns,
            start: level,
            ..Space::default()
        };
        self.spaces.insert(id, space);
        self.settle(id, level);
        let header = self.header(kind::SPACE_OPENED);
        self.events.push(Event::SpaceOpened(Box::new(SpaceOpened {
            header,
            space: id,
            process,
            via,
            reserved: 0,
            split: level,
            hiwater,
        })));
        id
    }

    fn close(&mut self, id: u32) {
        self.settle(id, Split::ZERO);
        let mut ledger = self.spaces.remove(&id).unwrap();
        ledger.closed_ns = self.now;
        self.target.spaces -= 1;
        let header = self.header(kind::SPACE_CLOSED);
        self.events
            .push(Event::SpaceClosed(Box::new(SpaceClosed { header, ledger })));
    }

    fn emit_started(&mut self, process: u32, parent: u32, space: u32, via: u32) {
        let header = self.header(kind::PROCESS_STARTED);
        let task = &self.tasks[&process];
        let known = if via == via::CENSUS { task.faults } else { 0 };
        let parent_pid = self.tasks.get(&parent).map_or(7, |parent| parent.pid);
        let started = ProcessStarted {
            header,
            process,
            parent,
            pid: task.pid,
            parent_pid,
            space,
            via,
            shares_space: task.shares.into(),
            uid: 1000,
            start_boottime_ns: self.now,
            minor_faults: known,
            major_faults: 0,
            comm: padded::<COMM_BYTES>(task.comm.as_bytes()),
        };
        self.events.push(Event::ProcessStarted(Box::new(started)));
    }

    fn hiwater(&self, space: u32) -> u64 {
        let mark = self
            .spaces
            .get(&space)
            .map_or(0, |s| s.peak.rss - self.mark_lag);
        mark.max(0).unsigned_abs()
    }

    fn start(&mut self, parent: u32, shares: bool) -> u32 {
        self.target.last_process += 1;
        let process = u32::try_from(self.target.last_process).unwrap();
        let Task {
            space: old, comm, ..
        } = self.tasks[&parent].clone();
        self.target.processes += 1;
        let level = self.spaces[&old].level;
        let space = if shares {
            old
        } else {
            self.open(process, via::FORK, level, 0)
        };
        let pid = 4242 + process;
        self.tasks.insert(
            process,
            Task {
                pid,
                space,
                comm,
                maxrss: 0,
                faults: 0,
                shares,
                marked: false,
            },
        );
        self.emit_started(process, parent, space, via::FORK);
        process
    }

    /// Forks; gives the child.
    pub(crate) fn fork(&mut self, parent: u32) -> u32 {
        self.start(parent, false)
    }

    /// Starts a child in the parent's space; gives it.
    pub(crate) fn vfork(&mut self, parent: u32) -> u32 {
        self.start(parent, true)
    }

    /// Enters a program whose memory begins with 40 file pages.
    pub(crate) fn exec(&mut self, process: u32, argv: &[&str]) -> &mut Self {
        self.leave(process, mark::EXECS);
        let Task {
            space: left,
            faults,
            maxrss,
            shares,
            ..
        } = self.tasks[&process].clone();
        let before = self.spaces.get(&left).map(|space| space.level);
        let before_hiwater = self.hiwater(left);
        let space = self.open(process, via::EXEC, pages(1, 0, 0), 0);
        if before.is_some() && !shares {
            self.close(left);
        }
        self.settle(space, pages(8, 40, 0));
        let comm = argv[0].rsplit('/').next().unwrap().to_owned();
        let line: Vec<u8> = argv
            .iter()
            .flat_map(|arg| [arg.as_bytes(), &[0]].concat())
            .collect();
        let task = self.tasks.get_mut(&process).unwrap();
        task.space = space;
        task.shares = false;
        task.comm.clone_from(&comm);
        task.maxrss = maxrss.max(before_hiwater);
        task.faults += 50;
        let header = self.header(kind::EXECED);
        self.events.push(Event::Execed(Box::new(Execed {
            header,
            process,
            space,
            before_known: before.is_some().into(),
            argv_len: u32::try_from(line.len().min(ARGV_BYTES)).unwrap(),
            argv_full_len: line.len() as u64,
            before: before.unwrap_or(Split::ZERO),
            before_hiwater,
            inherited_maxrss: maxrss.max(before_hiwater),
            minor_faults: faults + 50,
            major_faults: 0,
            comm: padded::<COMM_BYTES>(comm.as_bytes()),
            argv: padded::<ARGV_BYTES>(&line),
        })));
        self
    }

    /// Sets the level of a process's space.
    pub(crate) fn level(&mut self, process: u32, level: Split) -> &mut Self {
        let task = self.tasks.get_mut(&process).unwrap();
        task.faults += 10;
        let space = task.space;
        self.settle(space, level);
        self
    }

    /// The last thread exits, with a status as `wait` gives it; its space goes if it is the last
    /// to use it.
    pub(crate) fn exit(&mut self, process: u32, status: u32) -> &mut Self {
        self.leave(process, mark::PROCESS_ENDS);
        let hiwater = self.hiwater(self.tasks[&process].space);
        let task = self.tasks.remove(&process).unwrap();
        self.target.processes -= 1;
        let end = self.spaces[&task.space].level;
        let header = self.header(kind::PROCESS_EXITED);
        self.events
            .push(Event::ProcessExited(Box::new(ProcessExited {
                header,
                process,
                space: task.space,
                status,
                end_known: 1,
                end,
                hiwater,
                plain_rss: end.rss() - self.mark_lag,
                maxrss: task.maxrss.max(hiwater),
                children_maxrss: 0,
                minor_faults: task.faults,
                major_faults: 0,
            })));
        if !task.shares && !self.tasks.values().any(|other| other.space == task.space) {
            self.close(task.space);
        }
        let header = self.header(kind::PROCESS_FREED);
        self.events.push(Event::ProcessFreed(Box::new(ProcessFreed {
            header,
            process,
            reserved: 0,
            minor_faults: task.faults + 3,
            major_faults: 0,
        })));
        self
    }
}
