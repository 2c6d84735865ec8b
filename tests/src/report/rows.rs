//! Processes of a report, and what other instruments say of them.

use serde::Deserialize;

use crate::truth::{Calls, Level};

/// An exit with a code.
pub fn exited(code: i32) -> Option<Exit> {
    Some(Exit {
        code: Some(code),
        signal: None,
    })
}

/// Calls of virtual memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Vm {
    /// `mmap`.
    pub mmap: Calls,
    /// `munmap`.
    pub munmap: Calls,
    /// `mremap`.
    pub mremap: CallsBothWays,
    /// `brk`.
    pub brk: CallsBothWays,
    /// Growth of stacks.
    pub stack: Calls,
    /// All else.
    pub other: Calls,
    /// Laid over what was there, or refused.
    pub overlays_or_refused: Option<u64>,
}

/// Calls that make a mapping larger or smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct CallsBothWays {
    /// How many made it larger.
    pub count: u64,
    /// By how much.
    pub bytes: u64,
    /// How many made it smaller.
    pub shrunk_count: u64,
    /// By how much.
    pub shrunk_bytes: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Exit {
    /// Exit code.
    pub code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
}

/// The highest level of the target or of a row.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Peak {
    /// The sum of the classes.
    pub rss_bytes: u64,
    /// Anonymous.
    pub anon_bytes: Option<u64>,
    /// File.
    pub file_bytes: Option<u64>,
    /// Shared memory.
    pub shmem_bytes: Option<u64>,
    /// In swap then.
    pub swap_bytes: Option<u64>,
    /// Huge pages of hugetlb then.
    pub hugetlb_bytes: Option<u64>,
    /// When.
    pub at_ns: Option<u64>,
    /// Processes alive then; of the target only.
    pub processes: Option<u64>,
}

/// A row of the process table.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// PID.
    pub pid: Option<u32>,
    /// How many execs came before, within this PID.
    pub image: u32,
    /// Number of its space.
    pub space: Option<u32>,
    /// Space of another process that it ran in.
    pub shares_space_with: Option<u32>,
    /// PID of its parent.
    pub parent_pid: Option<u32>,
    /// Name.
    pub comm: String,
    /// Command line.
    pub argv: Vec<String>,
    /// When it ended.
    pub end_ns: Option<u64>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// Level when it joined the target.
    pub start_rss_bytes: Option<u64>,
    /// Level just before it was torn down, or at the end of tracing.
    pub end_rss_bytes: Option<u64>,
    /// Peak of its own space.
    pub peak: Option<Peak>,
    /// Page faults.
    pub faults: Option<Faults>,
    /// Peak of the virtual size.
    pub peak_vm_bytes: Option<u64>,
    /// Calls of virtual memory.
    pub vm: Option<Vm>,
    /// System calls.
    pub syscalls: Option<Syscalls>,
    /// Other instruments' readings.
    pub checks: Vec<Check>,
}

/// System calls that change memory.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Syscalls {
    /// `mmap`.
    pub mmap: Outcomes,
    /// `munmap`.
    pub munmap: Outcomes,
    /// `mremap`.
    pub mremap: Outcomes,
    /// `brk`.
    pub brk: Outcomes,
}

/// System calls of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Outcomes {
    /// Those that did what was asked.
    pub succeeded: u64,
    /// Those that were refused.
    pub failed: u64,
}

/// A system call.
#[derive(Clone, Debug, Deserialize)]
pub struct CallRow {
    /// PID.
    pub pid: Option<u32>,
    /// Name.
    pub call: String,
    /// Arguments, hexadecimal.
    pub arguments: Vec<String>,
    /// What it gave, hexadecimal.
    pub result: Option<String>,
    /// Number of the error.
    pub error: Option<i32>,
}

/// Page faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Faults {
    /// Without I/O.
    pub minor: u64,
    /// With I/O.
    pub major: u64,
}

/// A reading held against the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Check {
    /// The instrument.
    pub against: String,
    /// What it says.
    pub bytes: Option<u64>,
    /// That less the ledger's figure.
    pub diff_bytes: Option<i64>,
    /// In one word.
    pub verdict: String,
    /// In one sentence.
    pub why: String,
}

/// A count of another instrument held against memtrace's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CountCheck {
    /// The instrument.
    pub against: String,
    /// What it says.
    pub count: u64,
    /// What memtrace says.
    pub counted: Option<u64>,
    /// In one word.
    pub verdict: String,
    /// In one sentence.
    pub why: String,
}

impl Peak {
    /// By class; the classes must be known.
    #[track_caller]
    pub fn level(&self) -> Level {
        const UNSPLIT: &str = "the peak's classes are not known";
        Level {
            rss_bytes: self.rss_bytes,
            anon_bytes: self.anon_bytes.expect(UNSPLIT),
            file_bytes: self.file_bytes.expect(UNSPLIT),
            shmem_bytes: self.shmem_bytes.expect(UNSPLIT),
        }
    }
}

impl Row {
    /// Peak of its own space, which must be there.
    #[track_caller]
    pub fn peak(&self) -> Peak {
        self.peak
            .unwrap_or_else(|| panic!("PID {:?} image {} has no peak", self.pid, self.image))
    }

    /// The check against an instrument, which must be there.
    #[track_caller]
    pub fn check(&self, against: &str) -> &Check {
        let found = self.checks.iter().find(|check| check.against == against);
        found.unwrap_or_else(|| panic!("PID {:?}: no check against {against}", self.pid))
    }
}
