//! Markers: where a phase begins or ends, the segments of its space and of the target are cut,
//! at that instant and in the marking thread.

use aya_ebpf::{
    Global,
    macros::{btf_tracepoint, fentry},
    programs::{BtfTracePointContext, FEntryContext},
};
use tracer_common::{
    ledger::{Calls, Space, Task},
    limits::{COMM_BYTES, MARK_NAME_BYTES},
    record::{Marked, call, kind, mark},
};

use crate::{
    emit, ledger,
    maps::TASKS,
    peek::{Mm, Thread, current_tgid, nothing, read_user, read_user_text},
    preempt,
};

#[unsafe(no_mangle)]
pub static PROGRAMS_ARE_PHASES: Global<u64> = Global::new(0);

/// Length of a name that ends with a zero.
pub const UNTIL_ZERO: u64 = u64::MAX;

/// What a marker says, apart from who says it.
#[repr(C)]
pub struct Said {
    /// [`mark`].
    pub what: u32,
    /// Number of the function, for those of functions.
    pub function: u32,
    /// See [`Marked::track`].
    pub track: u64,
    /// See [`Marked::stack_pointer`].
    pub stack_pointer: u64,
    /// Where the name is in the process's memory; 0 if it has none.
    pub name: u64,
    /// Its length, bytes.
    pub name_len: u64,
}

impl Said {
    /// Nothing more than what it is.
    #[inline(always)]
    pub fn only(what: u32) -> Self {
        Self {
            what,
            function: 0,
            track: 0,
            stack_pointer: 0,
            name: 0,
            name_len: 0,
        }
    }
}

/// The `default` of `prctl`'s switch (sys.c): an option that the kernel does not know. Ours is one
/// of them: the call does nothing, and fails.
#[btf_tracepoint(function = "task_prctl_unknown")]
pub fn task_prctl_unknown(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| {
        called([ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4)]);
    })
}

/// `security_task_prctl` (security.c), with which `prctl` begins: for kernels without that
/// tracepoint.
#[fentry(function = "security_task_prctl")]
pub fn security_task_prctl(ctx: FEntryContext) -> u32 {
    preempt::in_task(|| {
        called([ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4)]);
    })
}

/// The running thread called `prctl` with these arguments: a marker, if the first says so.
#[inline(always)]
pub fn called([option, what, name, name_len, track]: [u64; 5]) {
    let is_marker = option as u32 == mark::CALL
        && what >= u64::from(mark::BEGIN)
        && what <= u64::from(mark::END_TARGET);
    if is_marker {
        marked(&Said {
            track,
            name,
            name_len,
            ..Said::only(what as u32)
        });
    }
}

/// The running thread said something, to be answered if it is of the target.
#[inline(always)]
pub fn marked(said: &Said) {
    if let Some(task) = TASKS.get_ptr_mut(current_tgid()) {
        let own = Thread::current();
        answer(own, own.mm(), task, said);
    }
}

/// An end of a thread, a process or a program: it ends phases, where there were markers.
///
/// Nothing begins here, so the space's segment may go on: its peak is known without a new scan,
/// since whoever left early proved that the level was not above it.
#[inline(always)]
pub fn end(thread: Thread, mm: Mm, task: *mut Task, what: u32) {
    // SAFETY: a live map value.
    if unsafe { (*task).marked } != 0 {
        tell_end(thread, mm, task, what);
    }
}

#[inline(never)]
fn tell_end(thread: Thread, mm: Mm, task: *const Task, what: u32) {
    let Some(target) = ledger::target() else {
        return;
    };
    let space = if mm.is_null() { None } else { ledger::find(mm) };
    let mut level = nothing();
    // SAFETY: a live map value.
    let scanned = space.is_some_and(|space| unsafe { ledger::scan(mm, space, &mut level) });
    emit::life::<Marked>(kind::MARKED, |record| {
        // SAFETY: as in `answer`.
        unsafe {
            begin(record, thread, task, what);
            ledger::cut_target(target, record, scanned || space.is_none());
            if let Some(space) = space {
                (&raw mut (*record).space).write((*space).id);
                (&raw mut (*record).level).write(level);
                (&raw mut (*record).segment).write((*space).segment.max((*space).late_segment));
                copy_calls(space, record);
            }
            (&raw mut (*record).header).write(emit::header(kind::MARKED, emit::now()));
        }
    });
}

/// A process entered a program: a phase, if programs are.
#[inline(always)]
pub fn program(thread: Thread, mm: Mm, task: *mut Task) {
    if PROGRAMS_ARE_PHASES.load() != 0 {
        answer(thread, mm, task, &Said::only(mark::PROGRAM));
    }
}

/// Cuts the segments and tells it. With no room in the ring nothing is cut: the loss is counted,
/// and the open phases go on.
#[inline(never)]
pub fn answer(thread: Thread, mm: Mm, task: *mut Task, said: &Said) {
    let Some(target) = ledger::target() else {
        return;
    };
    let space = if mm.is_null() { None } else { ledger::find(mm) };
    emit::life::<Marked>(kind::MARKED, |record| {
        // SAFETY: `record` is the ring's reserved memory; the others are live map values.
        unsafe {
            begin(record, thread, task, said.what);
            (*task).marked = 1;
            (&raw mut (*record).track).write(said.track);
            (&raw mut (*record).stack_pointer).write(said.stack_pointer);
            (&raw mut (*record).function).write(said.function);
            let name = &raw mut (*record).name;
            let mut name_len = 0;
            if said.name_len == UNTIL_ZERO {
                name_len = read_user_text(name, said.name).unwrap_or(Marked::UNREADABLE);
            } else if said.name_len != 0 {
                let most = MARK_NAME_BYTES as u64;
                let length = if said.name_len > most {
                    most
                } else {
                    said.name_len
                };
                name_len = if read_user(name, length, said.name) {
                    length as u32
                } else {
                    Marked::UNREADABLE
                };
            } else if said.what == mark::PROGRAM {
                thread.comm(name.cast());
                name_len = COMM_BYTES as u32;
            }
            (&raw mut (*record).name_len).write(name_len);
            match space {
                Some(space) => {
                    (&raw mut (*record).space).write((*space).id);
                    copy_calls(space, record);
                    ledger::cut(mm, space, target, record);
                }
                None => ledger::cut_target(target, record, true),
            }
            // The time is the cut's, so that it is later than all that is in the segment.
            (&raw mut (*record).header).write(emit::header(kind::MARKED, emit::now()));
        }
    });
}

/// Who marks, and what; all else is cleared.
///
/// # Safety
///
/// `record` is the ring's reserved memory, `task` a live map value.
#[inline(always)]
unsafe fn begin(record: *mut Marked, thread: Thread, task: *const Task, what: u32) {
    let (minor_faults, major_faults) = thread.faults();
    let mut word = 0;
    // SAFETY: by the caller; a record is made of whole aligned words.
    unsafe {
        while word < size_of::<Marked>() / size_of::<u64>() {
            core::ptr::write_volatile(record.cast::<u64>().add(word), 0);
            word += 1;
        }
        (&raw mut (*record).process).write((*task).process);
        (&raw mut (*record).thread).write(thread.visible_tid());
        (&raw mut (*record).what).write(what);
        (&raw mut (*record).minor_faults).write(minor_faults);
        (&raw mut (*record).major_faults).write(major_faults);
    }
}

/// # Safety
///
/// `space` is a live map value, `record` the ring's reserved memory.
#[inline(always)]
unsafe fn copy_calls(space: *const Space, record: *mut Marked) {
    const WORDS: usize = size_of::<[Calls; call::COUNT]>() / size_of::<u64>();
    let mut word = 0;
    while word < WORDS {
        // SAFETY: by the caller; both arrays are whole aligned words.
        unsafe {
            let from = (&raw const (*space).vm.calls).cast::<u64>().add(word);
            let to = (&raw mut (*record).vm).cast::<u64>().add(word);
            core::ptr::write_volatile(to, core::ptr::read_volatile(from));
        }
        word += 1;
    }
}
