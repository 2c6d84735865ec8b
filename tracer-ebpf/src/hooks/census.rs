//! Who is there already: finds the processes that the user named, with their descendants, and
//! brings every ledger up to date. Run by reading the iterator, until a run adds nothing: a child
//! forked before its parent was known is found by the next run, a later one by its fork.

use tracer_common::record::via;

use crate::{
    hooks::process::{FOLLOW, FOLLOWS_CGROUP, join, leave},
    ledger,
    maps::{FOUND, SPACES, TASKS, WANTED},
    peek::{Thread, current_tgid},
    preempt,
};

/// `struct bpf_iter__task`.
#[repr(C)]
pub struct Step {
    meta: *const u8,
    task: *const u8,
}

/// One thread of the machine; null at the end.
///
/// # Safety
///
/// Called by the kernel only.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub unsafe fn census(step: *const Step) -> i32 {
    // SAFETY: the kernel's argument, as the verifier knows it.
    let task = unsafe { (*step).task };
    if !task.is_null() {
        preempt::in_task(|| count(Thread::new(task)));
    }
    0
}

#[inline(always)]
fn count(thread: Thread) {
    let mm = thread.mm();
    let tgid = thread.tgid();
    if tgid == current_tgid() {
        // The tracer, who reads the iterator.
        return;
    }
    let Some(found) = FOUND.get_ptr_mut(0) else {
        return;
    };
    if TASKS.get_ptr(tgid).is_some() {
        if thread.live_threads() == 0 {
            if mm.is_null() {
                // It exited while it was being counted, so that its own exit did not know it.
                leave(thread);
            } else {
                // It is about to: to be looked at once more.
                // SAFETY: the only writer while the tracer reads the iterator.
                unsafe { (*found).added += 1 };
            }
        }
        if mm.is_null() {
            return;
        }
        if let (Some(space), Some(target)) = (ledger::find(mm), ledger::target()) {
            ledger::seed_cache(thread, space);
            ledger::collect(target);
            ledger::publish(mm, space, target);
        }
        return;
    }
    let parent = thread.real_parent();
    let wanted = if FOLLOWS_CGROUP.load() != 0 {
        if !thread.is_in_cgroup() {
            return;
        }
        true
    } else {
        WANTED.get_ptr(thread.visible_pid()).is_some()
    };
    let parent_process = if wanted {
        0
    } else {
        match TASKS.get_ptr(parent.tgid()) {
            // SAFETY: a live map value; its number is written once.
            Some(parent) if FOLLOW.load() != 0 => unsafe { (*parent).process },
            _ => return,
        }
    };
    if mm.is_null() {
        return;
    }
    adopt(thread, parent_process, parent);
    if let Some(space) = ledger::find(mm) {
        ledger::seed_cache(thread, space);
    }
    // SAFETY: the only writer while the tracer reads the iterator.
    unsafe { (*found).added += 1 };
    if thread.mm().is_null() {
        // It left its space while it was being counted: its end may have come too early to be
        // seen. The kernel gives the address to nobody while this program runs.
        if let Some(space) = SPACES.get_ptr_mut(mm.address()) {
            ledger::close(mm, space);
        }
        leave(thread);
    }
}

/// [`join`] with a stack frame of its own: what follows it here needs the room.
#[inline(never)]
fn adopt(thread: Thread, parent_process: u32, parent: Thread) {
    join(thread, parent_process, parent, via::CENSUS, None);
}
