//! Values of the kernel maps: the exact totals and peaks. Amounts are in pages unless named.

use crate::{
    record::{call, made},
    wire_safe,
};

/// Resident pages of one address space, or of several, by the kernel's classes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// `MM_FILEPAGES`.
    pub file: i64,
    /// `MM_ANONPAGES`.
    pub anon: i64,
    /// `MM_SHMEMPAGES`.
    pub shmem: i64,
    /// `MM_SWAPENTS`: entries in swap, not resident and never part of [`Split::rss`].
    pub swap: i64,
}

impl Split {
    /// Nothing.
    pub const ZERO: Self = Self {
        file: 0,
        anon: 0,
        shmem: 0,
        swap: 0,
    };

    /// Resident pages as the kernel defines RSS: file + anon + shmem.
    #[inline(always)]
    pub const fn rss(&self) -> i64 {
        self.file + self.anon + self.shmem
    }

    /// The same amounts taken away.
    #[inline(always)]
    pub const fn negative(&self) -> Self {
        Self {
            file: -self.file,
            anon: -self.anon,
            shmem: -self.shmem,
            swap: -self.swap,
        }
    }

    /// Both together.
    #[inline(always)]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            file: self.file + other.file,
            anon: self.anon + other.anon,
            shmem: self.shmem + other.shmem,
            swap: self.swap + other.swap,
        }
    }

    /// What this is above another.
    #[inline(always)]
    pub const fn minus(&self, other: &Self) -> Self {
        self.plus(&other.negative())
    }
}

/// A highest level, what it was made of and when it was reached.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// Resident pages.
    pub rss: i64,
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
    /// The classes at that instant.
    pub split: Split,
}

/// Calls of one sort that changed the virtual size of a space.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// How many.
    pub count: u64,
    /// Pages that they asked for or gave back.
    pub pages: u64,
}

/// System calls of one name, where they are told.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Those that did what was asked.
    pub succeeded: u64,
    /// Those that were refused.
    pub failed: u64,
}

/// The virtual size of a space, as the holders of its `mmap_lock` left it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vm {
    /// By [`crate::record::call`].
    pub calls: [Calls; call::COUNT],
    /// `mmap` and `mremap` with `MAP_FIXED` that left the size as it was: refused, or laid over
    /// what was there.
    pub unsure: u64,
    /// Highest `mm->total_vm`, pages.
    pub peak: u64,
    /// `mm->total_vm` when the lock was last taken for writing, pages.
    pub before: u64,
    /// `mm->brk` then.
    pub before_brk: u64,
    /// 1 while the lock is held for writing, as far as the events tell.
    pub writing: u64,
}

/// What the threads of a space have counted apart from it, where the kernel lets them
/// (`task->rss_stat`, before Linux 6.2): as far as the programs at page faults have told.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cached {
    /// Sum over the threads.
    pub level: Split,
    /// Resident pages that threads are handing over to the space's own counters just now
    /// (`sync_mm_rss`): in `level` no more, and perhaps not in the counters yet.
    pub moving: i64,
    /// How often a thread began to hand over.
    pub begun: u64,
    /// How often one was done. A scan is true only if all that began before its end were done
    /// before its begin.
    pub ended: u64,
}

/// What a thread counts apart from its space, as last seen.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadCache {
    /// By class.
    pub level: Split,
    /// 1 while it hands over.
    pub is_moving: u64,
    /// Resident pages that it hands over.
    pub moving: i64,
}

/// The ledger of one address space (`mm_struct`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// 1 while a CPU publishes.
    pub lock: u64,
    /// Level last published, [`Split::rss`] of it, kept apart for one load.
    pub level_rss: i64,
    /// Level last published. In a target of one space it may lag by the stream's quantum.
    pub level: Split,
    /// Level when the stream last told of this space.
    pub streamed: i64,
    /// Highest level since a marker last asked, [`Split::rss`]; the level of then at least.
    pub segment: i64,
    /// Peak since the space joined the target.
    pub peak: Peak,
    /// Page-table bytes at the peak (`mm->pgtables_bytes`).
    pub peak_pagetable_bytes: u64,
    /// Pages of hugetlb at the peak (`mm->hugetlb_usage`).
    pub peak_hugetlb: u64,
    /// Level when it joined the target.
    pub start: Split,
    /// `CLOCK_MONOTONIC` nanoseconds when it joined.
    pub opened_ns: u64,
    /// `CLOCK_MONOTONIC` nanoseconds when the kernel tore it down; 0 while it lives.
    pub closed_ns: u64,
    /// Address of the `mm_struct`: what the entry was found by.
    pub mm: u64,
    /// Number of this space, from 1, never used again.
    pub id: u32,
    /// Process that it was opened for.
    pub process: u32,
    /// Why it was opened: [`crate::record::via`].
    pub via: u32,
    /// Not used.
    pub reserved: u32,
    /// Events whose scan was never accepted: another CPU stood still inside a counter.
    pub unscanned: u64,
    /// The most that the space can have had at those events. Not above the peak, it says that
    /// nothing was missed.
    pub unscanned_most: i64,
    /// Highest level seen by events that did not get the lock in time. It counts as much as
    /// `peak.rss`, but its split and time are not known.
    pub late_rss: i64,
    /// Number of such events.
    pub late: u64,
    /// Highest level of such events since a marker last asked.
    pub late_segment: i64,
    /// What its threads have counted apart from it.
    pub cached: Cached,
    /// Its virtual size.
    pub vm: Vm,
    /// System calls by [`crate::record::made`]; nothing unless they are asked for.
    pub made: [Made; made::COUNT],
}

impl Space {
    /// At an event without an accepted scan there may have been more than the peak.
    pub fn may_have_missed_peak(&self) -> bool {
        self.unscanned_most > self.peak.rss.max(self.late_rss)
    }
}

/// The ledger of the whole target.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Spaces alive. While it is 1 the hot path may leave early.
    pub spaces: u64,
    /// Goes up whenever what a CPU knows of the only space ([`crate::alone::Seen`]) may hold no
    /// more: the stream has told of a level, a segment was cut, a space has joined or is gone.
    pub epoch: u64,
    /// Processes alive.
    pub processes: u64,
    /// Spaces that found the map full: nothing is known of them.
    pub spaces_refused: u64,
    /// Processes that found the map full.
    pub processes_refused: u64,
    /// Closed ledgers that neither the ring nor [`crate::limits::map::CLOSED`] could take.
    pub ledgers_lost: u64,
    /// Next space id and process id to give, less one.
    pub last_space: u64,
    /// See [`Target::last_space`].
    pub last_process: u64,
    /// 1 while a CPU adds to the totals. The fields from here on are written at every change.
    pub lock: u64,
    /// Sum of the spaces' published levels, resident pages; one atomic number, so that its
    /// highest value is known even when the lock is not to be had.
    pub level_rss: i64,
    /// The same by class.
    pub level: Split,
    /// Highest [`Split::rss`] of `level`.
    pub peak: Peak,
    /// Highest [`Split::anon`] of `level`. Only where the target is a cgroup: there every change
    /// is added up.
    pub anon_peak: i64,
    /// When, `CLOCK_MONOTONIC` nanoseconds.
    pub anon_peak_ns: u64,
    /// Processes alive at the peak.
    pub peak_processes: u64,
    /// Spaces alive at the peak.
    pub peak_spaces: u64,
    /// Level when the stream last told of the target.
    pub streamed: i64,
    /// Highest level since a marker last asked.
    pub segment: i64,
    /// Highest level, since a marker last asked, of which the lock was not to be had in time.
    pub late_segment: i64,
    /// Markers answered so far: their order.
    pub marks: u64,
    /// Highest level of which the lock was not to be had in time. It counts as much as
    /// `peak.rss`, but its split and time are not known.
    pub late_rss: i64,
    /// The most that the target can have had at events whose scan was never accepted.
    pub unscanned_most: i64,
    /// Events that could not get a space's lock in time while several spaces lived.
    pub guesses: u64,
    /// Highest level at those events: the others' levels, and what the space had just
    /// been found to have. Off by what the lock's holder was publishing at that moment.
    pub guess_rss: i64,
}

/// What the kernel side remembers of a process of the target.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Number of this process, from 1, never used again.
    pub process: u32,
    /// Space opened by `sched_prepare_exec` that the exec has not entered yet; 0 if none.
    pub next_space: u32,
    /// 1 if `before_exec` holds a level.
    pub before_exec_known: u32,
    /// 1 once a marker was answered: its ends are marked too.
    pub marked: u32,
    /// Level of the space that the coming exec leaves.
    pub before_exec: Split,
    /// `mm->hiwater_rss` of that space, pages.
    pub before_exec_hiwater: u64,
    /// Address of the group leader: the thread that is freed last.
    pub leader: u64,
}

/// Counters of one CPU, for `certainty`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records handed to a ring, by [`crate::record::kind`].
    pub emitted: [u64; crate::record::kind::COUNT],
    /// Records that found their ring full, by [`crate::record::kind`].
    pub lost: [u64; crate::record::kind::COUNT],
}

/// What the programs that run on request found out.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Thread group id of the tracer in the initial PID namespace, while it has a child that is to
    /// become the command; else 0. That child's exec is where the target begins.
    pub holder_parent: u64,
    /// Per-CPU areas whose offset was found.
    pub cpus: u64,
    /// Depth of the tracer's PID namespace (`pid->level`).
    pub pid_level: u64,
    /// Address of that namespace.
    pub pid_namespace: u64,
    /// Processes that a run of the census added.
    pub added: u64,
    /// Number of the cgroup that is the target (`kernfs_node.id`, the inode of its directory); 0
    /// if there is none, or not yet.
    pub cgroup_id: u64,
    /// Its depth below the root.
    pub cgroup_level: u64,
    /// 1 if the counters of a CPU do not lie side by side: the scan would not hold.
    pub odd_counters: u64,
}

wire_safe! {
    Split { file: i64, anon: i64, shmem: i64, swap: i64 }
    Peak { rss: i64, at_ns: u64, split: Split }
    Calls { count: u64, pages: u64 }
    Made { succeeded: u64, failed: u64 }
    Vm {
        calls: [Calls; call::COUNT], unsure: u64, peak: u64, before: u64, before_brk: u64,
        writing: u64,
    }
    Cached { level: Split, moving: i64, begun: u64, ended: u64 }
    ThreadCache { level: Split, is_moving: u64, moving: i64 }
    Space {
        lock: u64, level_rss: i64, level: Split, streamed: i64, segment: i64,
        peak: Peak, peak_pagetable_bytes: u64, peak_hugetlb: u64, start: Split, opened_ns: u64,
        closed_ns: u64, mm: u64, id: u32, process: u32, via: u32, reserved: u32, unscanned: u64,
        unscanned_most: i64, late_rss: i64, late: u64, late_segment: i64, cached: Cached, vm: Vm,
        made: [Made; made::COUNT],
    }
    Target {
        spaces: u64, epoch: u64, processes: u64, spaces_refused: u64, processes_refused: u64,
        ledgers_lost: u64, last_space: u64, last_process: u64, lock: u64,
        level_rss: i64, level: Split, peak: Peak, anon_peak: i64, anon_peak_ns: u64,
        peak_processes: u64, peak_spaces: u64,
        streamed: i64, segment: i64, late_segment: i64, marks: u64, late_rss: i64,
        unscanned_most: i64, guesses: u64, guess_rss: i64,
    }
    Task {
        process: u32, next_space: u32, before_exec_known: u32, marked: u32,
        before_exec: Split, before_exec_hiwater: u64, leader: u64,
    }
    Stats { emitted: [u64; crate::record::kind::COUNT], lost: [u64; crate::record::kind::COUNT] }
    Found {
        holder_parent: u64, cpus: u64, pid_level: u64, pid_namespace: u64, added: u64,
        cgroup_id: u64, cgroup_level: u64, odd_counters: u64,
    }
}

const _: () = assert!(
    core::mem::offset_of!(Target, lock) == 64,
    "totals share the mode's line"
);
