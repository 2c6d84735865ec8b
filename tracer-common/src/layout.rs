//! Where the kernel's structures keep what we read: offsets that user space takes from BTF and
//! hands over as frozen `.rodata`, so that every load in the kernel is a direct one.

/// Value of an offset that this kernel's BTF does not have.
pub const ABSENT: u64 = u64::MAX;

/// Calls `$with!` with every offset: `SYMBOL = "struct" "field.path"`, one per line.
///
/// The kernel side makes a global of each, the user side a table to resolve.
#[macro_export]
macro_rules! offsets {
    ($with:ident) => {
        $with! {
            MM_HIWATER_RSS = "mm_struct" "hiwater_rss";
            MM_TOTAL_VM = "mm_struct" "total_vm";
            MM_BRK = "mm_struct" "brk";
            MM_PGTABLES_BYTES = "mm_struct" "pgtables_bytes";
            MM_HUGETLB_USAGE = "mm_struct" "hugetlb_usage";
            MM_ARG_START = "mm_struct" "arg_start";
            MM_ARG_END = "mm_struct" "arg_end";
            TASK_MM = "task_struct" "mm";
            TASK_TGID = "task_struct" "tgid";
            TASK_COMM = "task_struct" "comm";
            TASK_CRED = "task_struct" "cred";
            TASK_SIGNAL = "task_struct" "signal";
            TASK_GROUP_LEADER = "task_struct" "group_leader";
            TASK_REAL_PARENT = "task_struct" "real_parent";
            TASK_THREAD_PID = "task_struct" "thread_pid";
            TASK_EXIT_CODE = "task_struct" "exit_code";
            TASK_MIN_FLT = "task_struct" "min_flt";
            TASK_MAJ_FLT = "task_struct" "maj_flt";
            TASK_START_BOOTTIME = "task_struct" "start_boottime";
            TASK_CGROUPS = "task_struct" "cgroups";
            CSS_SET_SUBSYS = "css_set" "subsys";
            CSS_SET_DFL_CGRP = "css_set" "dfl_cgrp";
            CSS_CGROUP = "cgroup_subsys_state" "cgroup";
            CGROUP_LEVEL = "cgroup" "level";
            CGROUP_ANCESTORS = "cgroup" "ancestors";
            CGROUP_KN = "cgroup" "kn";
            KN_ID = "kernfs_node" "id";
            CRED_UID = "cred" "uid";
            SIGNAL_LIVE = "signal_struct" "live";
            SIGNAL_FLAGS = "signal_struct" "flags";
            SIGNAL_GROUP_EXIT_CODE = "signal_struct" "group_exit_code";
            SIGNAL_MIN_FLT = "signal_struct" "min_flt";
            SIGNAL_MAJ_FLT = "signal_struct" "maj_flt";
            SIGNAL_MAXRSS = "signal_struct" "maxrss";
            SIGNAL_CMAXRSS = "signal_struct" "cmaxrss";
            PID_LEVEL = "pid" "level";
            PID_NUMBERS = "pid" "numbers";
            UPID_NR = "upid" "nr";
            UPID_NS = "upid" "ns";
            REGS_CALL = "pt_regs" "orig_ax";
            REGS_FIRST = "pt_regs" "di";
            REGS_SECOND = "pt_regs" "si";
            REGS_THIRD = "pt_regs" "dx";
            REGS_FOURTH = "pt_regs" "r10";
            REGS_FIFTH = "pt_regs" "r8";
            REGS_SIXTH = "pt_regs" "r9";
            REGS_MODE = "pt_regs" "cs";
            REGS_STACK = "pt_regs" "sp";
            BPRM_MM = "linux_binprm" "mm";
            VMA_MM = "vm_area_struct" "vm_mm";
            BPF_ARRAY_PPTRS = "bpf_array" "pptrs";
        }
    };
}

/// Instructions that stand where user space is to put calls of the kernel's functions
/// (`BPF_PSEUDO_KFUNC_CALL`), by the numbers that this kernel gives them. As they are they call
/// functions that do not exist, and the kernel refuses them.
pub mod place {
    /// Preemption goes off, in programs of tracepoints.
    pub const TRACEPOINT_OFF: u64 = 0x7fff_fff0_0000_2085;
    /// It comes on again there.
    pub const TRACEPOINT_ON: u64 = 0x7fff_fff1_0000_2085;
    /// Preemption goes off, in programs that run for a task: probes of functions, the census.
    pub const TASK_OFF: u64 = 0x7fff_fff2_0000_2085;
    /// It comes on again there.
    pub const TASK_ON: u64 = 0x7fff_fff3_0000_2085;
    /// An address becomes one that may be read.
    pub const CAST: u64 = 0x7fff_fff4_0000_2085;
}

/// Names of the other globals that user space sets.
pub mod global {
    /// Offsets in `mm_struct` of the plain counts (`rss_stat[member].count`), by member.
    pub const COUNTS: [&str; 4] = ["FILE_COUNT", "ANON_COUNT", "SWAP_COUNT", "SHMEM_COUNT"];
    /// Offsets in `mm_struct` of the counters' locks; those of swap are not looked at.
    pub const LOCKS: [Option<&str>; 4] = [
        Some("FILE_LOCK"),
        Some("ANON_LOCK"),
        None,
        Some("SHMEM_LOCK"),
    ];
    /// Offset in `mm_struct` of the first counter's pointer to its per-CPU slots.
    pub const SLOTS: &str = "SLOTS";
    /// Size of `struct percpu_counter`, bytes.
    pub const COUNTER_BYTES: &str = "COUNTER_BYTES";
    /// Size of `struct upid`, bytes.
    pub const UPID_BYTES: &str = "UPID_BYTES";
    /// BTF id of a struct of two words, as which any address may be read; 0 if it may not.
    pub const TWO_WORDS: &str = "TWO_WORDS";
    /// BTF id of `mm_struct`; 0 where addresses may not be read.
    pub const SPACE_TYPE: &str = "SPACE_TYPE";
    /// 1: threads count apart from their space, and [`COUNTS`] are the space's own counts alone.
    pub const COUNTS_BY_THREAD: &str = "COUNTS_BY_THREAD";
    /// Offset in `task_struct` of what a thread counts apart (`rss_stat.count`), where it does.
    pub const THREAD_CACHE: &str = "THREAD_CACHE";
    /// Numbers of system calls.
    pub const SYSTEM_CALLS: [&str; 8] = [
        "SYS_MMAP",
        "SYS_MUNMAP",
        "SYS_MREMAP",
        "SYS_BRK",
        "SYS_MPROTECT",
        "SYS_MADVISE",
        "SYS_PRCTL",
        "SYS_FACCESSAT2",
    ];
    /// The bits of `REGS_MODE` that tell whether the caller is 64-bit code.
    pub const MODE_MASK: &str = "MODE_MASK";
    /// What those bits are then.
    pub const MODE_64_BIT: &str = "MODE_64_BIT";
    /// 1: what a CPU reads and writes happens in the order of its program, as others see it, except
    /// that a read may come before a write that precedes it.
    pub const IN_ORDER: &str = "IN_ORDER";
    /// Possible CPUs.
    pub const CPUS: &str = "CPUS";
    /// Pages by which the plain counts of one space can be below its true RSS:
    /// 3 members x CPUs x (batch - 1), `lib/percpu_counter.c`.
    pub const PLAIN_SLACK: &str = "PLAIN_SLACK";
    /// 1: the target is a command, and begins with the exec of the tracer's child.
    pub const HOLDS_COMMAND: &str = "HOLDS_COMMAND";
    /// 1: descendants belong to the target.
    pub const FOLLOW: &str = "FOLLOW";
    /// 1: `sched_process_exit` has the argument `group_dead` (6.16 and later).
    pub const EXIT_HAS_GROUP_DEAD: &str = "EXIT_HAS_GROUP_DEAD";
    /// 1: there is no `sched_prepare_exec`, so that an exec's space joins when it is in place.
    pub const EXEC_OPENS_LATE: &str = "EXEC_OPENS_LATE";
    /// Twice the CPUs as a power of two, rounded up: into how many parts half of the quantum is
    /// shared out.
    pub const UNSEEN_SHIFT: &str = "UNSEEN_SHIFT";
    /// Bytes of a page as a power of two.
    pub const PAGE_SHIFT: &str = "PAGE_SHIFT";
    /// 1: the target is a cgroup: [`crate::ledger::Found::cgroup_id`].
    pub const FOLLOWS_CGROUP: &str = "FOLLOWS_CGROUP";
    /// Index of the memory controller in `css_set.subsys`; [`ABSENT`] for the unified hierarchy.
    pub const MEMORY_CONTROLLER: &str = "MEMORY_CONTROLLER";
    /// 1: tracepoints have second programs, for when the kernel skips the first.
    pub const RUNS_AGAIN: &str = "RUNS_AGAIN";
    /// 1: system calls are told.
    pub const TELLS_SYSCALLS: &str = "TELLS_SYSCALLS";
    /// 1: the marker call is seen when system calls end.
    pub const MARKS_BY_SYSCALL: &str = "MARKS_BY_SYSCALL";
    /// 1: each program that a process enters is a phase.
    pub const PROGRAMS_ARE_PHASES: &str = "PROGRAMS_ARE_PHASES";
    /// Least movement that the stream tells, pages; 0 = every change.
    pub const QUANTUM: &str = "QUANTUM";
    /// 1: the quantum grows with the peak ([`crate::limits::QUANTUM_SHIFT`]) when that is more than `QUANTUM`.
    pub const QUANTUM_GROWS: &str = "QUANTUM_GROWS";
}
