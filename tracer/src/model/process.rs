//! What is known of one process of the target: facts as they came, not yet put together.

use std::sync::Arc;

use tracer_common::{
    ledger::{Space, Split},
    record::{Execed, ProcessExited, ProcessFreed, ProcessLeft, ProcessStarted, SpaceOpened, via},
};

/// A command line. Shared by a process and the children that it forks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Program and arguments; bytes that are not UTF-8 are replaced.
    pub argv: Vec<String>,
    /// It was longer than what is kept.
    pub cut: bool,
}

impl CommandLine {
    fn of(exec: &Execed) -> Self {
        let len = (exec.argv_len as usize).min(exec.argv.len());
        let cut = exec.argv_full_len > exec.argv_len.into();
        Self::parse(&exec.argv[..len], cut)
    }

    /// From arguments that each end with a zero.
    pub fn parse(kept: &[u8], cut: bool) -> Self {
        // The kernel ends each argument with a zero, the last one too unless it was cut.
        let kept = kept.strip_suffix(&[0]).unwrap_or(kept);
        let argv = match kept {
            [] => Vec::new(),
            _ => kept.split(|byte| *byte == 0).map(lossy).collect(),
        };
        Self { argv, cut }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A task's name as text: up to the first zero.
pub fn name(comm: &[u8]) -> String {
    lossy(comm.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// An exec without its bulky buffer.
#[derive(Clone, Debug)]
pub struct Exec {
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
    /// Space entered; `None` if its ledger found no room.
    pub space: Option<u32>,
    /// Level of the space left, pages; `None` if that was not of the target.
    pub before: Option<Split>,
    /// `mm->hiwater_rss` of the space left, pages; meant only where `before` is known.
    pub before_hiwater: u64,
    /// `signal->maxrss` just after, pages.
    pub inherited_maxrss: u64,
    /// Faults of the process so far: minor, major.
    pub faults: (u64, u64),
    /// `task->comm` after it.
    pub comm: String,
    /// What was entered.
    pub command_line: Arc<CommandLine>,
}

impl Exec {
    /// Of a record.
    pub fn of(record: &Execed) -> Self {
        Self {
            at_ns: record.header.at_ns,
            space: number(record.space),
            before: (record.before_known != 0).then_some(record.before),
            before_hiwater: record.before_hiwater,
            inherited_maxrss: record.inherited_maxrss,
            faults: (record.minor_faults, record.major_faults),
            comm: name(&record.comm),
            command_line: Arc::new(CommandLine::of(record)),
        }
    }
}

/// Numbers of spaces and processes count from 1; 0 on the wire is "none".
pub fn number(raw: u32) -> Option<u32> {
    (raw != 0).then_some(raw)
}

/// Who joined the target for this reason ([`via`]) was there before.
pub fn was_there(why: u32) -> bool {
    matches!(why, via::CENSUS | via::CGROUP)
}

/// A space that was opened for a process.
#[derive(Clone, Debug)]
pub struct OwnSpace {
    /// Its number.
    pub id: u32,
    /// Its first record.
    pub opened: Option<SpaceOpened>,
    /// Its ledger: final if `closed_ns` is not 0, else as it was at the end of tracing.
    pub ledger: Option<Space>,
}

impl OwnSpace {
    /// When it joined the target, `CLOCK_MONOTONIC` nanoseconds.
    pub fn opened_ns(&self) -> Option<u64> {
        let ledger = self.ledger.map(|ledger| ledger.opened_ns);
        ledger.or_else(|| self.opened.map(|opened| opened.header.at_ns))
    }

    /// Why it joined: [`via`]; 0 if unknown.
    pub fn via(&self) -> u32 {
        let ledger = self.ledger.map(|ledger| ledger.via);
        ledger
            .or_else(|| self.opened.map(|opened| opened.via))
            .unwrap_or(0)
    }

    /// It was there before it was of the target.
    pub fn was_there(&self) -> bool {
        was_there(self.via())
    }

    /// The kernel tore it down.
    pub fn is_closed(&self) -> bool {
        self.ledger.is_some_and(|ledger| ledger.closed_ns != 0)
    }
}

/// Nearly every process has one or two spaces and one exec: no room for four at once.
fn grow_slowly<T>(list: &mut Vec<T>) {
    if list.len() < 4 {
        list.reserve_exact(1);
    }
}

/// A process. Every part may be missing: records can be lost.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// How it joined the target.
    pub started: Option<ProcessStarted>,
    /// Command line before its first exec: its parent's, or, if it was there already, its own.
    pub first_line: Arc<CommandLine>,
    /// Its execs by time.
    pub execs: Vec<Exec>,
    /// Its exit.
    pub exited: Option<ProcessExited>,
    /// It left the cgroup that is the target.
    pub left: Option<ProcessLeft>,
    /// Its end in the kernel.
    pub freed: Option<ProcessFreed>,
    /// Its PID in a PID namespace of its own.
    pub pid_inside: Option<u32>,
    /// The spaces opened for it, by number.
    pub spaces: Vec<OwnSpace>,
}

impl Process {
    /// Takes an exec in.
    pub fn add_exec(&mut self, exec: Exec) {
        let place = self
            .execs
            .partition_point(|other| other.at_ns <= exec.at_ns);
        grow_slowly(&mut self.execs);
        self.execs.insert(place, exec);
    }

    /// The entry of a space opened for it, made if there is none yet.
    pub fn own_space(&mut self, id: u32) -> &mut OwnSpace {
        let place = self.spaces.partition_point(|space| space.id < id);
        if self.spaces.get(place).is_none_or(|space| space.id != id) {
            self.spaces.insert(
                place,
                OwnSpace {
                    id,
                    opened: None,
                    ledger: None,
                },
            );
        }
        &mut self.spaces[place]
    }

    /// It joined the target of itself, not as a child of one of its processes.
    pub fn is_root(&self) -> bool {
        self.started.is_some_and(|started| started.parent == 0)
    }

    /// It was the holder of the command before its first exec.
    pub fn was_holder(&self) -> bool {
        self.started
            .is_some_and(|started| started.via == via::HOLDER)
    }

    /// PID in memtrace's namespace; `None` if unknown.
    pub fn pid(&self) -> Option<u32> {
        self.started.and_then(|started| number(started.pid))
    }

    /// It ended: some record says so.
    pub fn has_ended(&self) -> bool {
        self.exited.is_some() || self.freed.is_some() || self.left.is_some()
    }

    /// From its start to its exit, nanoseconds; `None` if tracing did not see both. The command's
    /// life begins with its exec, before that it was memtrace's own.
    pub fn lifetime_ns(&self) -> Option<u64> {
        let started = self.started.filter(|started| started.via != via::CENSUS)?;
        let from_ns = if self.was_holder() {
            self.execs.first()?.at_ns
        } else {
            started.header.at_ns
        };
        self.exited?.header.at_ns.checked_sub(from_ns)
    }

    /// Nothing more can come of it, except its last count of faults.
    pub fn is_complete(&self) -> bool {
        self.has_ended() && self.spaces.iter().all(OwnSpace::is_closed)
    }

    /// Command line in force at a time.
    pub fn command_line_at(&self, at_ns: u64) -> &Arc<CommandLine> {
        let earlier = self.execs.iter().rfind(|exec| exec.at_ns <= at_ns);
        earlier.map_or(&self.first_line, |exec| &exec.command_line)
    }

    /// Faults over its whole life (a holder's own included) and whether they are the kernel's
    /// last word; `None` if it did not end. Minor, major.
    pub fn faults(&self) -> Option<((u64, u64), bool)> {
        let freed = self
            .freed
            .map(|freed| ((freed.minor_faults, freed.major_faults), true));
        let exited = || {
            self.exited
                .map(|end| ((end.minor_faults, end.major_faults), false))
        };
        freed.or_else(exited)
    }
}
