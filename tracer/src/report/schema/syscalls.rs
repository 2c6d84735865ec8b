//! What the report says of system calls, where they were asked for.

use serde::Serialize;

/// System calls that change memory, of one space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Syscalls {
    /// `mmap`.
    pub mmap: Outcomes,
    /// `munmap`.
    pub munmap: Outcomes,
    /// `mremap`.
    pub mremap: Outcomes,
    /// `brk`; questions for the break among those that succeeded.
    pub brk: Outcomes,
    /// `madvise`.
    pub madvise: Outcomes,
    /// `mprotect`.
    pub mprotect: Outcomes,
}

/// Calls of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Those that did what was asked.
    pub succeeded: u64,
    /// Those that were refused.
    pub failed: u64,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallRow {
    /// When it ended.
    pub at_ns: u64,
    /// PID; `None` if unknown.
    pub pid: Option<u32>,
    /// Thread.
    pub thread: u32,
    /// Name.
    pub call: &'static str,
    /// Arguments as they were in the registers, hexadecimal.
    pub arguments: Vec<String>,
    /// What it gave, hexadecimal; `None` if it was refused.
    pub result: Option<String>,
    /// Number of the error (`errno`); `None` if it succeeded. `brk` is refused without one.
    pub error: Option<u32>,
    /// It was refused.
    pub failed: bool,
}
