//! The ledgers of a memtrace that is running, read straight from its kernel maps.
//!
//! Nothing of memtrace runs for this: what is read is what its hooks have published by themselves.

use std::{collections::BTreeMap, thread, time::Duration};

use tracer_common::{
    ledger::{Found, Space, Task},
    limits::map,
};

use crate::{
    proc,
    runner::{Program, memtrace_comm},
    sys::{bpf::OpenMap, memory::page_bytes},
};

/// The maps of one memtrace.
#[derive(Debug)]
pub struct Ledgers {
    spaces: OpenMap,
    tasks: OpenMap,
    found: OpenMap,
}

impl Ledgers {
    /// Opens the maps that a memtrace holds; `None` if it has not made them (yet).
    pub fn of(memtrace: u32) -> Option<Self> {
        // Until its exec is over it has copies of what this test process holds: another test's maps.
        // The kernel gives it its name right after it has closed those (`begin_new_exec`, exec.c).
        if proc::comm(memtrace) != memtrace_comm() {
            return None;
        }
        let ids = proc::bpf_ids(memtrace, "map_id");
        let mut maps: Vec<OpenMap> = ids.into_iter().filter_map(OpenMap::by_id).collect();
        let mut take = |name: &str| {
            let at = maps.iter().position(|map| map.name == name)?;
            Some(maps.swap_remove(at))
        };
        Some(Self {
            spaces: take(map::SPACES)?,
            tasks: take(map::TASKS)?,
            found: take(map::FOUND)?,
        })
    }

    /// The ledger of every space alive.
    fn spaces(&self) -> impl Iterator<Item = Space> {
        let spaces = self.spaces.entries::<u64, Space>().into_iter();
        spaces
            .map(|(_, space)| space)
            .filter(|space| space.closed_ns == 0)
    }

    /// PID of every process alive, by its number.
    ///
    /// The tests run in the initial PID namespace, so that the kernel side's PIDs are theirs.
    fn pids(&self) -> BTreeMap<u32, u32> {
        let tasks = self.tasks.entries::<u32, Task>().into_iter();
        tasks.map(|(pid, task)| (task.process, pid)).collect()
    }

    /// Whether a cgroup is followed: all is attached then.
    pub fn follow_a_cgroup(&self) -> bool {
        let found = self.found.entries::<u32, Found>();
        found.iter().any(|(_, found)| found.cgroup_id != 0)
    }

    /// Whether a process is followed with a space of its own. The target may run meanwhile.
    pub fn follows(&self, pid: u32) -> bool {
        let known = self.pids();
        let mut owners = self
            .spaces()
            .map(|space| known.get(&space.process).copied());
        owners.any(|owner| owner == Some(pid))
    }

    /// Current level of every space alive, by the PID for which it was opened, bytes.
    ///
    /// Only for a target that stands still: the maps are read one after the other.
    pub fn levels(&self) -> BTreeMap<u32, u64> {
        let pids = self.pids();
        let mut levels = BTreeMap::new();
        for space in self.spaces() {
            let pid = pids.get(&space.process).copied();
            let pid = pid.unwrap_or_else(|| panic!("a space of no process: {space:?}"));
            let pages = u64::try_from(space.level.rss()).expect("a level below zero");
            let other = levels.insert(pid, pages * page_bytes() as u64);
            assert_eq!(other, None, "two spaces of PID {pid}");
        }
        levels
    }

    /// Changes that some CPU could not bring into its space's level, since the lock was not to be
    /// had in time or the counters did not stand still: until the next change that level is old.
    pub fn left_behind(&self) -> u64 {
        self.spaces()
            .map(|space| space.late + space.unscanned)
            .sum()
    }

    /// Waits until a memtrace follows all of these processes.
    #[track_caller]
    pub fn once_following(memtrace: &mut Program, pids: &[u32]) -> Self {
        while !memtrace.has_ended() {
            if let Some(ledgers) = Self::of(memtrace.pid())
                && pids.iter().all(|pid| ledgers.follows(*pid))
            {
                return ledgers;
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("memtrace ended before it followed {pids:?}");
    }
}
