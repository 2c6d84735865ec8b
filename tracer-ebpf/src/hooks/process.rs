//! Births and deaths of processes.

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::record::{ProcessExited, ProcessFreed, ProcessStarted, kind, mark, via};

use crate::{
    emit, hooks, ledger,
    maps::{EMPTY_TASK, EXITED, TASKS},
    peek::{Mm, Thread, current_tgid, nothing},
    preempt,
};

#[unsafe(no_mangle)]
pub static FOLLOW: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub static EXIT_HAS_GROUP_DEAD: Global<u64> = Global::new(0);

#[unsafe(no_mangle)]
pub static FOLLOWS_CGROUP: Global<u64> = Global::new(0);

const CLONE_THREAD: u64 = 0x1_0000;

/// End of `copy_process` (fork.c), in the parent: the child is complete and has not run yet. Its
/// space only grew while it was copied, so nothing of its peak is missed.
#[btf_tracepoint(function = "task_newtask")]
pub fn task_newtask(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| forked(Thread::new(ctx.arg(0)), ctx.arg(1)))
}

/// The running process made a thread; of a new process if `flags` say so.
#[inline(always)]
pub fn forked(child: Thread, flags: u64) {
    if flags & CLONE_THREAD != 0 || FOLLOW.load() == 0 || cfg!(mutant = "fork-unregistered") {
        return;
    }
    let parent = match TASKS.get_ptr(current_tgid()) {
        // SAFETY: a live map value; its numbers are written once.
        Some(parent) => unsafe { (*parent).process },
        None => 0,
    };
    let joins = if FOLLOWS_CGROUP.load() != 0 {
        child.is_in_cgroup()
    } else {
        parent != 0
    };
    if !joins {
        return;
    }
    let own = Thread::current();
    join(child, parent, own, via::FORK, Some(own.mm()));
}

/// Makes a process one of the target, with its space. Gives its number; 0 if there is no room.
/// `beside`: see [`ledger::open`].
#[inline(always)]
pub fn join(
    thread: Thread,
    parent: u32,
    parent_thread: Thread,
    why: u32,
    beside: Option<Mm>,
) -> u32 {
    let Some(target) = ledger::target() else {
        return 0;
    };
    let mm = thread.mm();
    // SAFETY: the target's ledger is a live map value.
    let process = unsafe { ledger::bump(&raw mut (*target).last_process, 1) } as u32;
    let tgid = thread.tgid();
    let Some(empty) = EMPTY_TASK.get(0) else {
        return 0;
    };
    if TASKS.insert(tgid, empty, 0).is_err() {
        // SAFETY: as above.
        unsafe { ledger::bump(&raw mut (*target).processes_refused, 1) };
        return 0;
    }
    let Some(task) = TASKS.get_ptr_mut(tgid) else {
        return 0;
    };
    // SAFETY: a live map value that nobody else knows yet.
    unsafe {
        (*task).process = process;
        (*task).leader = thread.group_leader().address();
    }
    // SAFETY: as above.
    unsafe { ledger::bump(&raw mut (*target).processes, 1) };
    // A space that is known already is another process's too (`vfork`, `CLONE_VM`).
    let shared = if why == via::HOLDER {
        None
    } else {
        ledger::find(mm)
    };
    let space = match shared {
        // SAFETY: a live map value; its number is written once.
        Some(space) => unsafe { (*space).id },
        None if why == via::HOLDER => 0,
        None => ledger::open(mm, process, why, beside),
    };
    emit::life::<ProcessStarted>(kind::PROCESS_STARTED, |record| {
        // SAFETY: `record` is the ring's reserved memory; every field is written.
        unsafe {
            (&raw mut (*record).header).write(emit::header(kind::PROCESS_STARTED, emit::now()));
            (&raw mut (*record).process).write(process);
            (&raw mut (*record).parent).write(parent);
            (&raw mut (*record).space).write(space);
            (&raw mut (*record).via).write(why);
            (&raw mut (*record).shares_space).write(u32::from(shared.is_some()));
            (&raw mut (*record).pid).write(thread.visible_pid());
            (&raw mut (*record).parent_pid).write(parent_thread.visible_pid());
            (&raw mut (*record).uid).write(thread.uid());
            (&raw mut (*record).start_boottime_ns).write(thread.start_boottime_ns());
            let (minor, major) = if why == via::FORK {
                (0, 0)
            } else {
                thread.process_faults()
            };
            (&raw mut (*record).minor_faults).write(minor);
            (&raw mut (*record).major_faults).write(major);
            thread.comm(&raw mut (*record).comm);
        }
    });
    process
}

/// `do_exit` (exit.c), for each thread; the last one ends the process. Since 6.16 the space is
/// still set here, and its level is the process's last.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| {
        let thread = Thread::new(ctx.arg(0));
        let last = if EXIT_HAS_GROUP_DEAD.load() != 0 {
            ctx.arg::<u64>(1) & 1 != 0
        } else {
            thread.live_threads() == 0
        };
        if let Some(task) = TASKS.get_ptr_mut(thread.tgid()) {
            let what = if last {
                mark::PROCESS_ENDS
            } else {
                mark::THREAD_ENDS
            };
            hooks::mark::end(thread, thread.mm(), task, what);
        }
        if last {
            leave(thread);
        }
        ledger::forget_cache(thread);
    })
}

/// A process that is no longer one of the target.
pub struct Taken {
    /// Its number.
    pub process: u32,
    /// No other is left.
    pub is_last: bool,
}

/// Takes a process out of the target; `None` if it was not in it.
#[inline(always)]
pub fn take_out(thread: Thread) -> Option<Taken> {
    let tgid = thread.tgid();
    let task = TASKS.get_ptr(tgid)?;
    // SAFETY: a live map value until its removal here; its numbers are written once.
    let process = unsafe { (*task).process };
    TASKS.remove(tgid).ok()?;
    let target = ledger::target()?;
    // SAFETY: the target's ledger is a live map value.
    let left = unsafe { ledger::bump(&raw mut (*target).processes, u64::MAX) };
    Some(Taken {
        process,
        is_last: left == 0,
    })
}

/// A process ends: it leaves the target, unless it has left it already.
#[inline(never)]
pub fn leave(thread: Thread) {
    let Some(Taken { process, is_last }) = take_out(thread) else {
        return;
    };
    let _ = EXITED.insert(thread.group_leader().address(), process, 0);
    let mm = thread.mm();
    let space = if mm.is_null() { None } else { ledger::find(mm) };
    // SAFETY: a live map value; its number is written once.
    let space_id = space.map_or(0, |space| unsafe { (*space).id });
    let mut end = nothing();
    // SAFETY: a live map value.
    let known = space.is_some_and(|space| unsafe { ledger::scan(mm, space, &mut end) });
    let (minor_faults, major_faults) = thread.process_faults();
    let (maxrss, children_maxrss) = thread.maxrss();
    emit::send::<ProcessExited>(kind::PROCESS_EXITED, is_last, |record| {
        // SAFETY: `record` is the ring's reserved memory.
        unsafe {
            record.write(ProcessExited {
                header: emit::header(kind::PROCESS_EXITED, emit::now()),
                process,
                space: space_id,
                status: thread.wait_status(),
                end_known: u32::from(known),
                end,
                hiwater: if known { mm.hiwater_rss() } else { 0 },
                plain_rss: if known { mm.plain_rss() } else { 0 },
                maxrss,
                children_maxrss,
                minor_faults,
                major_faults,
            });
        }
    });
}

/// `delayed_put_task_struct` (exit.c): the process is reaped; all its threads' faults have been
/// added up (`__exit_signal`), those of the exit itself included.
#[btf_tracepoint(function = "sched_process_free")]
pub fn sched_process_free(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| freed(Thread::new(ctx.arg(0))))
}

/// The kernel gives up a process.
#[inline(always)]
pub fn freed(thread: Thread) {
    if let Some(task) = TASKS.get_ptr(thread.tgid()) {
        // The PID may be another's by now, and a leader is freed alone when another thread execs.
        // SAFETY: a live map value.
        if unsafe { (*task).leader } == thread.address() && thread.live_threads() == 0 {
            // The kernel skipped all programs at its exit.
            leave(thread);
        }
    }
    let Some(process) = EXITED.get_ptr(thread.address()) else {
        return;
    };
    // SAFETY: a live map value until its removal here.
    let process = unsafe { *process };
    let _ = EXITED.remove(thread.address());
    let (minor_faults, major_faults) = thread.released_faults();
    emit::life::<ProcessFreed>(kind::PROCESS_FREED, |record| {
        // SAFETY: `record` is the ring's reserved memory.
        unsafe {
            record.write(ProcessFreed {
                header: emit::header(kind::PROCESS_FREED, emit::now()),
                process,
                reserved: 0,
                minor_faults,
                major_faults,
            });
        }
    });
}
