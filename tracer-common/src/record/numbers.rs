//! Numbers in records: what each of them stands for.

/// Kinds of records.
pub mod kind {
    /// [`super::super::Level`]
    pub const LEVEL: u32 = 0;
    /// [`super::super::ProcessStarted`]
    pub const PROCESS_STARTED: u32 = 1;
    /// [`super::super::SpaceOpened`]
    pub const SPACE_OPENED: u32 = 2;
    /// [`super::super::Execed`]
    pub const EXECED: u32 = 3;
    /// [`super::super::ProcessExited`]
    pub const PROCESS_EXITED: u32 = 4;
    /// [`super::super::ProcessFreed`]
    pub const PROCESS_FREED: u32 = 5;
    /// [`super::super::SpaceClosed`]
    pub const SPACE_CLOSED: u32 = 6;
    /// [`super::super::VmChanged`]
    pub const VM_CHANGED: u32 = 7;
    /// [`super::super::Marked`]
    pub const MARKED: u32 = 8;
    /// [`super::super::Called`]
    pub const CALLED: u32 = 9;
    /// [`super::super::ProcessLeft`]
    pub const PROCESS_LEFT: u32 = 10;
    /// [`super::super::Victim`]
    pub const VICTIM: u32 = 11;
    /// Number of kinds, and of those to come: a power of two.
    pub const COUNT: usize = 16;
}

/// Sorts of calls that change the virtual size of a space.
pub mod call {
    /// `mmap`.
    pub const MMAP: u32 = 0;
    /// `munmap`.
    pub const MUNMAP: u32 = 1;
    /// `mremap` to more, or moved.
    pub const MREMAP: u32 = 2;
    /// `mremap` to less.
    pub const MREMAP_SHRUNK: u32 = 3;
    /// `brk` to more.
    pub const BRK: u32 = 4;
    /// `brk` to less.
    pub const BRK_SHRUNK: u32 = 5;
    /// Growth of a stack at a fault.
    pub const STACK: u32 = 6;
    /// Anything else: what an exec maps, `shmat`, calls of another ABI. Pages either way.
    pub const OTHER: u32 = 7;
    /// Number of sorts.
    pub const COUNT: usize = 8;
}

/// System calls that are told with their arguments.
pub mod made {
    /// `mmap`.
    pub const MMAP: u32 = 0;
    /// `munmap`.
    pub const MUNMAP: u32 = 1;
    /// `mremap`.
    pub const MREMAP: u32 = 2;
    /// `brk`.
    pub const BRK: u32 = 3;
    /// `madvise`.
    pub const MADVISE: u32 = 4;
    /// `mprotect`.
    pub const MPROTECT: u32 = 5;
    /// Room for them, a power of two.
    pub const COUNT: usize = 8;
}

/// What a marker says; the first five are those of the marker call.
pub mod mark {
    /// Begin of a phase.
    pub const BEGIN: u32 = 1;
    /// End of a phase.
    pub const END: u32 = 2;
    /// A moment.
    pub const INSTANT: u32 = 3;
    /// Begin of a phase of the whole target.
    pub const BEGIN_TARGET: u32 = 4;
    /// End of a phase of the whole target.
    pub const END_TARGET: u32 = 5;
    /// A thread of a marked process ended.
    pub const THREAD_ENDS: u32 = 16;
    /// A marked process ended.
    pub const PROCESS_ENDS: u32 = 17;
    /// A marked process is about to leave its space by exec.
    pub const EXECS: u32 = 18;
    /// A process entered a program, where each program is a phase.
    pub const PROGRAM: u32 = 19;
    /// A function that is a phase was entered.
    pub const ENTERED: u32 = 20;
    /// It returned.
    pub const RETURNED: u32 = 21;
    /// First argument of the marker call, `prctl`: "MTRC".
    pub const CALL: u32 = 0x4D54_5243;
}

/// Why a space or a process belongs to the target.
pub mod via {
    /// It existed when the tracer attached.
    pub const CENSUS: u32 = 1;
    /// A process of the target forked it.
    pub const FORK: u32 = 2;
    /// A process of the target entered it by exec.
    pub const EXEC: u32 = 3;
    /// It entered the cgroup that is the target.
    pub const CGROUP: u32 = 5;
    /// The command's holder (processes only; a holder's first own space comes by exec).
    pub const HOLDER: u32 = 4;
}
