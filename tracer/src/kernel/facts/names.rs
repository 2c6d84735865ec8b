//! Names of what the kernel side is built on, in the kernel's own words.

/// BTF tracepoints that some plan uses.
pub(super) const TRACEPOINTS: [&str; 13] = [
    "rss_stat",
    "exit_mmap",
    "task_newtask",
    "sched_prepare_exec",
    "sched_process_exec",
    "sched_process_exit",
    "sched_process_free",
    "mmap_lock_acquire_returned",
    "mmap_lock_released",
    "task_prctl_unknown",
    "sys_exit",
    "cgroup_attach_task",
    "mark_victim",
];

/// Enum of the functions of the kernel that every program may call, and those that not every kernel
/// has.
pub(super) const HELPERS: (&str, [&str; 2]) = (
    "bpf_func_id",
    ["BPF_FUNC_loop", "BPF_FUNC_map_lookup_percpu_elem"],
);

/// Enum of the cgroup controllers, and the name of ours.
pub(super) const CONTROLLERS: (&str, &str) = ("cgroup_subsys_id", "memory_cgrp_id");

/// Functions that better hooks would need, and those that programs call.
pub(super) const FUNCTIONS: [&str; 15] = [
    functions::FAULT_HANDLER,
    functions::SYNC,
    functions::EXEC,
    functions::PRCTL,
    functions::MAP,
    functions::UNMAP,
    functions::STACK,
    functions::X86_64_REMAP,
    functions::X86_64_BREAK,
    functions::ARM64_REMAP,
    functions::ARM64_BREAK,
    functions::TASKS,
    functions::CAST,
    functions::PREEMPT_DISABLE,
    functions::PREEMPT_ENABLE,
];

/// Names of functions that programs are attached to or call.
pub mod functions {
    /// Resolves a page fault.
    pub const FAULT_HANDLER: &str = "handle_mm_fault";
    /// Adds what a thread counted apart to its space's counters (before Linux 6.2).
    pub const SYNC: &str = "sync_mm_rss";
    /// Leaves the old program: the point of no return of an exec.
    pub const EXEC: &str = "begin_new_exec";
    /// Asks the security modules about a `prctl` call, the first thing that one does.
    pub const PRCTL: &str = "security_task_prctl";
    /// Maps, with the lock of the space held from begin to end. (`do_mmap`, which calls it, has more
    /// arguments than Linux 6.1 lets programs attach to.)
    pub const MAP: &str = "mmap_region";
    /// Unmaps: the call `munmap`, and the kernel for itself.
    pub const UNMAP: &str = "__vm_munmap";
    /// Lets a stack grow, with the lock of the space held from begin to end.
    pub const STACK: &str = "expand_downwards";
    /// The call `mremap` on x86-64.
    pub const X86_64_REMAP: &str = "__x64_sys_mremap";
    /// The call `brk` on x86-64.
    pub const X86_64_BREAK: &str = "__x64_sys_brk";
    /// The call `mremap` on arm64.
    pub const ARM64_REMAP: &str = "__arm64_sys_mremap";
    /// The call `brk` on arm64.
    pub const ARM64_BREAK: &str = "__arm64_sys_brk";
    /// Stands for the list of all tasks.
    pub const TASKS: &str = "bpf_iter_task";
    /// Makes an address one that may be read.
    pub const CAST: &str = "bpf_rdonly_cast";
    /// Turns preemption off.
    pub const PREEMPT_DISABLE: &str = "bpf_preempt_disable";
    /// Turns it on again.
    pub const PREEMPT_ENABLE: &str = "bpf_preempt_enable";
}

/// Structs as which programs read what is at an address.
pub(super) const STRUCTURES: [&str; 2] = [structures::TWO_WORDS, structures::SPACE];

/// Names of structs whose numbers programs are told.
pub mod structures {
    /// Two words and nothing else.
    pub const TWO_WORDS: &str = "timespec64";
    /// An address space.
    pub const SPACE: &str = "mm_struct";
}

/// What a tracepoint holds while its programs run, if they may be preempted (Linux 7.0, where
/// `__DECLARE_TRACE` came to guard them by it).
pub(super) const PREEMPTIBLE_GUARD: &str = "class_srcu_fast_notrace_t";

macro_rules! offset_table {
    ($($symbol:ident = $structure:literal $field:literal;)+) => {
        /// Every offset that the kernel side loads: symbol, struct, field.
        pub(super) const OFFSETS: &[(&str, &str, &str)] = &[$((stringify!($symbol), $structure, $field)),+];
    };
}
tracer_common::offsets!(offset_table);

/// Offsets from which others are made: symbol, struct, field.
pub(super) const BASE_OFFSETS: [(&str, &str, &str); 7] = [
    (base::RSS_STAT, "mm_struct", "rss_stat"),
    (base::SPACE_COUNTS, "mm_rss_stat", "count"),
    (base::CACHE, "task_struct", "rss_stat"),
    (base::CACHE_COUNTS, "task_rss_stat", "count"),
    (base::LOCK, "percpu_counter", "lock"),
    (base::COUNT, "percpu_counter", "count"),
    (base::COUNTERS, "percpu_counter", "counters"),
];

/// Where arm64 keeps what the kernel side calls by the same names: symbol, field of `pt_regs`, and how
/// far into that, bytes. `regs` are the registers x0 and on; what was in x0 at the call is apart,
/// since the result comes there.
pub(super) const ARM64_REGISTERS: [(&str, &str, u64); 8] = [
    ("REGS_CALL", "syscallno", 0),
    ("REGS_FIRST", "orig_x0", 0),
    ("REGS_SECOND", "regs", 8),
    ("REGS_THIRD", "regs", 16),
    ("REGS_FOURTH", "regs", 24),
    ("REGS_FIFTH", "regs", 32),
    ("REGS_SIXTH", "regs", 40),
    ("REGS_MODE", "pstate", 0),
];

/// Names of the offsets that only the plan uses.
pub mod base {
    /// `mm_struct.rss_stat`.
    pub const RSS_STAT: &str = "mm_struct.rss_stat";
    /// `mm_rss_stat.count`: a space's counters before Linux 6.2.
    pub const SPACE_COUNTS: &str = "mm_rss_stat.count";
    /// `task_struct.rss_stat`: what a thread counts apart from its space, before Linux 6.2.
    pub const CACHE: &str = "task_struct.rss_stat";
    /// `task_rss_stat.count`.
    pub const CACHE_COUNTS: &str = "task_rss_stat.count";
    /// `percpu_counter.lock`.
    pub const LOCK: &str = "percpu_counter.lock";
    /// `percpu_counter.count`.
    pub const COUNT: &str = "percpu_counter.count";
    /// `percpu_counter.counters`.
    pub const COUNTERS: &str = "percpu_counter.counters";
}
