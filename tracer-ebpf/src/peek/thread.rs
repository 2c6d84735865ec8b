//! Threads and their processes.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_current_task_btf,
    generated::{bpf_probe_read_kernel, bpf_task_pt_regs},
};
use tracer_common::{ledger::Split, limits::COMM_BYTES};

use super::{Mm, Registers, copy, field, layout::*, peek};
use crate::maps::FOUND;

/// A thread: `struct task_struct *`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Thread(*const u8);

impl Thread {
    /// Takes a program's argument or a field of one.
    #[inline(always)]
    pub fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    /// The running one.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: the helper has no preconditions.
        Self(unsafe { bpf_get_current_task_btf() }.cast())
    }

    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 as u64
    }

    /// Its address space; null for kernel threads and once it has left it. Only of a thread that
    /// the verifier knows: the running one, or a program's argument.
    #[inline(always)]
    pub fn mm(self) -> Mm {
        // SAFETY: by the caller, `self.0` is a pointer that the verifier knows as `task_struct`.
        unsafe { Mm::behind(self.0, &TASK_MM) }
    }

    /// Address of its address space, to compare: no pointer that could be followed.
    #[inline(always)]
    pub fn mm_address(self) -> u64 {
        peek(self.0, &TASK_MM)
    }

    /// Thread group id in the initial PID namespace.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        peek(self.0, &TASK_TGID)
    }

    #[inline(always)]
    pub fn group_leader(self) -> Self {
        Self(peek(self.0, &TASK_GROUP_LEADER))
    }

    #[inline(always)]
    pub fn real_parent(self) -> Self {
        Self(peek(self.0, &TASK_REAL_PARENT))
    }

    /// Process id as the tracer's PID namespace has it; 0 if it does not show there.
    #[inline(always)]
    pub fn visible_pid(self) -> u32 {
        self.group_leader().visible_tid()
    }

    /// Thread id, likewise.
    #[inline(always)]
    pub fn visible_tid(self) -> u32 {
        let Some(found) = FOUND.get(0) else { return 0 };
        let pid: *const u8 = peek(self.0, &TASK_THREAD_PID);
        let level: u32 = peek(pid, &PID_LEVEL);
        let upid = upid(pid, found.pid_level);
        let namespace: u64 = peek(upid, &UPID_NS);
        if u64::from(level) < found.pid_level || namespace != found.pid_namespace {
            return 0;
        }
        peek(upid, &UPID_NR)
    }

    /// Depth and address of its own PID namespace.
    #[inline(always)]
    pub fn pid_namespace(self) -> (u64, u64) {
        let pid: *const u8 = peek(self.0, &TASK_THREAD_PID);
        let level = u64::from(peek::<u32>(pid, &PID_LEVEL));
        (level, peek(upid(pid, level), &UPID_NS))
    }

    /// Its process is in the cgroup that is the target, or below it: in the hierarchy of the memory
    /// controller.
    #[inline(always)]
    pub fn is_in_cgroup(self) -> bool {
        let Some(found) = FOUND.get(0) else {
            return false;
        };
        if found.cgroup_id == 0 {
            return false;
        }
        let set: *const u8 = peek(self.group_leader().0, &TASK_CGROUPS);
        let cgroup: *const u8 = if MEMORY_CONTROLLER.load() == tracer_common::layout::ABSENT {
            peek(set, &CSS_SET_DFL_CGRP)
        } else {
            let state = (MEMORY_CONTROLLER.load() * size_of::<u64>() as u64) as usize;
            let state: *const u8 = peek(set.wrapping_add(state), &CSS_SET_SUBSYS);
            peek(state, &CSS_CGROUP)
        };
        let level: u32 = peek(cgroup, &CGROUP_LEVEL);
        if u64::from(level) < found.cgroup_level {
            return false;
        }
        let above = (found.cgroup_level * size_of::<u64>() as u64) as usize;
        let ancestor: *const u8 = peek(cgroup.wrapping_add(above), &CGROUP_ANCESTORS);
        let node: *const u8 = peek(ancestor, &CGROUP_KN);
        peek::<u64>(node, &KN_ID) == found.cgroup_id
    }

    /// Copies `task->comm` to `to`.
    #[inline(always)]
    pub fn comm(self, to: *mut [u8; COMM_BYTES]) {
        let from = self.0.wrapping_add(TASK_COMM.load() as usize);
        // SAFETY: `to` has room; the helper clears it when it fails.
        unsafe { bpf_probe_read_kernel(to.cast(), COMM_BYTES as u32, from.cast()) };
    }

    /// Real user id.
    #[inline(always)]
    pub fn uid(self) -> u32 {
        peek(peek(self.0, &TASK_CRED), &CRED_UID)
    }

    /// `start_boottime`, nanoseconds.
    #[inline(always)]
    pub fn start_boottime_ns(self) -> u64 {
        peek(self.0, &TASK_START_BOOTTIME)
    }

    #[inline(always)]
    fn signal(self) -> *const u8 {
        peek(self.0, &TASK_SIGNAL)
    }

    /// Threads of its process that have not begun to exit.
    #[inline(always)]
    pub fn live_threads(self) -> u32 {
        // `live` is an `atomic_t`.
        peek(self.signal(), &SIGNAL_LIVE)
    }

    /// Minor and major faults of threads already released, and of the leader; of `self` too if it
    /// is another. That is every thread of a process whose others are gone.
    #[inline(always)]
    pub fn process_faults(self) -> (u64, u64) {
        let leader = self.group_leader();
        let (minor, major) = self.released_faults();
        let (leaders_minor, leaders_major) = leader.faults();
        let (own_minor, own_major) = if leader.address() == self.address() {
            (0, 0)
        } else {
            self.faults()
        };
        (
            minor + leaders_minor + own_minor,
            major + leaders_major + own_major,
        )
    }

    /// Its own minor and major faults.
    #[inline(always)]
    pub fn faults(self) -> (u64, u64) {
        (peek(self.0, &TASK_MIN_FLT), peek(self.0, &TASK_MAJ_FLT))
    }

    /// All of its own faults that the kernel has counted. Only of a thread that the verifier
    /// knows: by direct loads, since it is asked at each begin and end of a fault.
    #[inline(always)]
    pub fn counted_faults(self) -> u64 {
        // SAFETY: `self.0` is a pointer that the verifier knows as `task_struct`.
        unsafe { field::<u64>(self.0, &TASK_MIN_FLT) + field::<u64>(self.0, &TASK_MAJ_FLT) }
    }

    /// What it counts apart from its space (`task->rss_stat`), on kernels that have that.
    #[inline(always)]
    pub fn cache(self) -> Split {
        let at = self.0.wrapping_add(THREAD_CACHE.load() as usize);
        let [file, anon, swap, shmem] = copy::<[i32; 4]>(at);
        Split {
            file: i64::from(file),
            anon: i64::from(anon),
            swap: i64::from(swap),
            shmem: i64::from(shmem),
        }
    }

    /// Faults of threads already released (`__exit_signal`): of a freed process, all of them.
    #[inline(always)]
    pub fn released_faults(self) -> (u64, u64) {
        let signal = self.signal();
        (peek(signal, &SIGNAL_MIN_FLT), peek(signal, &SIGNAL_MAJ_FLT))
    }

    /// Highest `ru_maxrss` of the process, and of its waited-for descendants, pages.
    #[inline(always)]
    pub fn maxrss(self) -> (u64, u64) {
        let signal = self.signal();
        (peek(signal, &SIGNAL_MAXRSS), peek(signal, &SIGNAL_CMAXRSS))
    }

    /// Registers with which user space entered the kernel (`task_pt_regs`).
    #[inline(always)]
    pub fn registers(self) -> Registers {
        // SAFETY: the running thread's pointer, as the helper asks for.
        Registers(unsafe { bpf_task_pt_regs(self.0 as *mut _) } as *const u8)
    }

    /// Wait status of its process, as `wait_task_zombie` composes it.
    #[inline(always)]
    pub fn wait_status(self) -> u32 {
        const SIGNAL_GROUP_EXIT: u32 = 4;
        let signal = self.signal();
        if peek::<u32>(signal, &SIGNAL_FLAGS) & SIGNAL_GROUP_EXIT != 0 {
            peek(signal, &SIGNAL_GROUP_EXIT_CODE)
        } else {
            peek(self.group_leader().0, &TASK_EXIT_CODE)
        }
    }
}

/// A process's number and namespace at a depth: `pid->numbers[level]`.
#[inline(always)]
fn upid(pid: *const u8, level: u64) -> *const u8 {
    pid.wrapping_add((PID_NUMBERS.load() + level * UPID_BYTES.load()) as usize)
}

/// Thread group id of the running process in the initial PID namespace.
#[inline(always)]
pub fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}
