//! Records: what the ring buffers carry. Every record starts with a [`Header`].

mod numbers;

pub use self::numbers::{call, kind, made, mark, via};
use crate::{
    ledger::{Calls, Space, Split},
    limits::{ARGV_BYTES, COMM_BYTES, MARK_NAME_BYTES},
    wire_safe,
};

/// Start of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u32,
    /// CPU that wrote it.
    pub cpu: u32,
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
}

/// The level of a space, and of the target at the same instant, after it moved by the quantum.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Kind [`kind::LEVEL`].
    pub header: Header,
    /// Space that changed.
    pub space: u64,
    /// Its pages.
    pub split: Split,
    /// The target's resident pages.
    pub target_rss: i64,
}

/// A process joined the target.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessStarted {
    /// Kind [`kind::PROCESS_STARTED`].
    pub header: Header,
    /// Its number.
    pub process: u32,
    /// Number of the process that created it; 0 if that is not of the target.
    pub parent: u32,
    /// PID in the tracer's namespace (0 if it has none there).
    pub pid: u32,
    /// The parent's PID in the tracer's namespace.
    pub parent_pid: u32,
    /// Space that it runs in; 0 for a holder.
    pub space: u32,
    /// [`via`].
    pub via: u32,
    /// Its space is another process's too (`vfork`, `CLONE_VM`): 1, else 0.
    pub shares_space: u32,
    /// User id.
    pub uid: u32,
    /// `task->start_boottime`, nanoseconds: with the PID, names a process for ever.
    pub start_boottime_ns: u64,
    /// Faults before it joined (census; for a fork 0).
    pub minor_faults: u64,
    /// See `minor_faults`.
    pub major_faults: u64,
    /// `task->comm`.
    pub comm: [u8; COMM_BYTES],
}

/// A space joined the target.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceOpened {
    /// Kind [`kind::SPACE_OPENED`].
    pub header: Header,
    /// Its number.
    pub space: u32,
    /// Process that it was opened for.
    pub process: u32,
    /// [`via`].
    pub via: u32,
    /// Not used.
    pub reserved: u32,
    /// Its pages then.
    pub split: Split,
    /// `mm->hiwater_rss` then, pages: what VmHWM says of the time before (census only).
    pub hiwater: u64,
}

/// A process of the target entered a new program.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execed {
    /// Kind [`kind::EXECED`].
    pub header: Header,
    /// Process.
    pub process: u32,
    /// Space that it entered.
    pub space: u32,
    /// 1 if `before` is known: the space left was one of the target.
    pub before_known: u32,
    /// Bytes of `argv` that hold something; arguments are separated by zeros.
    pub argv_len: u32,
    /// Length of the whole command line; larger than `argv_len` if it was cut.
    pub argv_full_len: u64,
    /// Level of the space left, just before.
    pub before: Split,
    /// `mm->hiwater_rss` of the space left, pages.
    pub before_hiwater: u64,
    /// `signal->maxrss` just after: what `ru_maxrss` inherits, pages.
    pub inherited_maxrss: u64,
    /// Faults of the process so far.
    pub minor_faults: u64,
    /// See `minor_faults`.
    pub major_faults: u64,
    /// `task->comm` after the exec.
    pub comm: [u8; COMM_BYTES],
    /// The command line (`mm->arg_start`), cut at [`ARGV_BYTES`].
    pub argv: [u8; ARGV_BYTES],
}

/// The last thread of a process of the target exits.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessExited {
    /// Kind [`kind::PROCESS_EXITED`].
    pub header: Header,
    /// Process.
    pub process: u32,
    /// Space that it leaves; 0 if unknown.
    pub space: u32,
    /// Wait status as `wait` gives it: signal in the low 7 bits, core flag 0x80, code above.
    pub status: u32,
    /// 1 if `end`, `hiwater` and `plain_rss` are known: `mm` was still set.
    pub end_known: u32,
    /// Level just before the space is torn down (of a shared one: just before it is left).
    pub end: Split,
    /// `mm->hiwater_rss`, pages.
    pub hiwater: u64,
    /// The kernel's own approximate reading: the sum of the counters' plain counts, pages.
    pub plain_rss: i64,
    /// `signal->maxrss`, pages: `ru_maxrss` of `RUSAGE_SELF`.
    pub maxrss: u64,
    /// `signal->cmaxrss`, pages: the largest waited-for descendant.
    pub children_maxrss: u64,
    /// Faults so far.
    pub minor_faults: u64,
    /// See `minor_faults`.
    pub major_faults: u64,
}

/// The kernel forgets a process of the target: its fault counts are final.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessFreed {
    /// Kind [`kind::PROCESS_FREED`].
    pub header: Header,
    /// Process.
    pub process: u32,
    /// Not used.
    pub reserved: u32,
    /// Faults of the process, all threads.
    pub minor_faults: u64,
    /// See `minor_faults`.
    pub major_faults: u64,
}

/// A process left the cgroup that is the target, and with it the target.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessLeft {
    /// Kind [`kind::PROCESS_LEFT`].
    pub header: Header,
    /// Process.
    pub process: u32,
    /// Space that it took along; 0 if that goes on for others, or is unknown.
    pub space: u32,
    /// Level of that space.
    pub end: Split,
}

/// The kernel chose a process to be killed for want of memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Victim {
    /// Kind [`kind::VICTIM`].
    pub header: Header,
    /// Process; 0 if it is not of the target.
    pub process: u32,
    /// Its space; 0 if that has no ledger.
    pub space: u32,
    /// PID in the tracer's namespace.
    pub pid: u32,
    /// PID there of whoever asked for the page.
    pub asker_pid: u32,
    /// Level of the space, pages; nothing if it has no ledger.
    pub level: Split,
    /// Level of the target, pages.
    pub target_rss: i64,
    /// Name of the victim.
    pub comm: [u8; COMM_BYTES],
    /// Name of whoever asked.
    pub asker_comm: [u8; COMM_BYTES],
}

/// The kernel tore a space down: its ledger is final.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceClosed {
    /// Kind [`kind::SPACE_CLOSED`].
    pub header: Header,
    /// The ledger.
    pub ledger: Space,
}

/// A call changed the virtual size of a space.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmChanged {
    /// Kind [`kind::VM_CHANGED`].
    pub header: Header,
    /// Space.
    pub space: u32,
    /// [`call`].
    pub call: u32,
    /// Pages that it asked for or gave back.
    pub pages: u64,
    /// `mm->total_vm` when the call let go of the lock for writing, pages. What it unmaps may
    /// still be in it.
    pub total: u64,
}

/// A system call was made.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Called {
    /// Kind [`kind::CALLED`].
    pub header: Header,
    /// Space.
    pub space: u32,
    /// Thread id in the tracer's namespace.
    pub thread: u32,
    /// [`made`].
    pub call: u32,
    /// 1 if it was refused.
    pub failed: u32,
    /// Its arguments as they were in the registers.
    pub arguments: [u64; 6],
    /// What it gave: an address, or a negative error number.
    pub result: u64,
}

/// A marker was answered: the segment of a space and of the target that ends here.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Kind [`kind::MARKED`].
    pub header: Header,
    /// Place in the order of all markers, from 1.
    pub order: u64,
    /// Process.
    pub process: u32,
    /// Its space; 0 if that has no ledger: then the fields of the space mean nothing.
    pub space: u32,
    /// Thread id in the tracer's namespace.
    pub thread: u32,
    /// [`mark`].
    pub what: u32,
    /// Track as the caller named it; 0 = the thread's own.
    pub track: u64,
    /// Stack pointer of a function that was entered or returned.
    pub stack_pointer: u64,
    /// Number of that function.
    pub function: u32,
    /// Bytes of `name`; [`Marked::UNREADABLE`] if it could not be read.
    pub name_len: u32,
    /// Name of the phase.
    pub name: [u8; MARK_NAME_BYTES],
    /// Level of the space.
    pub level: Split,
    /// Highest level of the space since the marker before, pages.
    pub segment: i64,
    /// Level of the target, pages.
    pub target_rss: i64,
    /// Highest level of the target since the marker before, pages.
    pub target_segment: i64,
    /// Faults of the thread so far.
    pub minor_faults: u64,
    /// See `minor_faults`.
    pub major_faults: u64,
    /// Calls of the space so far.
    pub vm: [Calls; call::COUNT],
    /// 1 if the level is a scan made under the locks; 0 if one was not to be had in time, so that
    /// segments may lack what happened meanwhile.
    pub is_exact: u32,
    /// 0.
    pub reserved: u32,
}

impl Marked {
    /// Length of a name that could not be read.
    pub const UNREADABLE: u32 = u32::MAX;
}

wire_safe! {
    Header { kind: u32, cpu: u32, at_ns: u64 }
    Level { header: Header, space: u64, split: Split, target_rss: i64 }
    ProcessStarted {
        header: Header, process: u32, parent: u32, pid: u32, parent_pid: u32, space: u32,
        via: u32, shares_space: u32, uid: u32, start_boottime_ns: u64, minor_faults: u64,
        major_faults: u64, comm: [u8; COMM_BYTES],
    }
    SpaceOpened {
        header: Header, space: u32, process: u32, via: u32, reserved: u32, split: Split,
        hiwater: u64,
    }
    Execed {
        header: Header, process: u32, space: u32, before_known: u32, argv_len: u32,
        argv_full_len: u64, before: Split, before_hiwater: u64, inherited_maxrss: u64,
        minor_faults: u64, major_faults: u64, comm: [u8; COMM_BYTES], argv: [u8; ARGV_BYTES],
    }
    ProcessExited {
        header: Header, process: u32, space: u32, status: u32, end_known: u32, end: Split,
        hiwater: u64, plain_rss: i64, maxrss: u64, children_maxrss: u64, minor_faults: u64,
        major_faults: u64,
    }
    ProcessFreed {
        header: Header, process: u32, reserved: u32, minor_faults: u64, major_faults: u64,
    }
    ProcessLeft { header: Header, process: u32, space: u32, end: Split }
    Victim {
        header: Header, process: u32, space: u32, pid: u32, asker_pid: u32, level: Split,
        target_rss: i64, comm: [u8; COMM_BYTES], asker_comm: [u8; COMM_BYTES],
    }
    SpaceClosed { header: Header, ledger: Space }
    VmChanged { header: Header, space: u32, call: u32, pages: u64, total: u64 }
    Called {
        header: Header, space: u32, thread: u32, call: u32, failed: u32, arguments: [u64; 6],
        result: u64,
    }
    Marked {
        header: Header, order: u64, process: u32, space: u32, thread: u32, what: u32, track: u64,
        stack_pointer: u64, function: u32, name_len: u32, name: [u8; MARK_NAME_BYTES],
        level: Split, segment: i64, target_rss: i64, target_segment: i64, minor_faults: u64,
        major_faults: u64, vm: [Calls; call::COUNT], is_exact: u32, reserved: u32,
    }
}
