//! Staying on the CPU while a program runs.
//!
//! Since Linux 7.0 a tracepoint's programs may be preempted (`__DECLARE_TRACE`, tracepoint.h), and
//! the kernel skips a program on a CPU where another task stands still in it (`__bpf_trace_run`,
//! bpf_trace.c): an exit or the end of an address space would not be seen. Programs that run for a
//! task are preempted everywhere, perhaps with a ledger's lock in their hands.
//!
//! User space puts calls of `bpf_preempt_disable` and `bpf_preempt_enable` (helpers.c) into the
//! places marked here where that is so, and elsewhere nothing, for which nothing is paid.

use aya_ebpf::Global;
use tracer_common::layout::place::{TASK_OFF, TASK_ON, TRACEPOINT_OFF, TRACEPOINT_ON};

use crate::{maps::LOOKED, peek::Thread};

/// 1: tracepoints have second programs.
#[unsafe(no_mangle)]
pub static RUNS_AGAIN: Global<u64> = Global::new(0);

macro_rules! place {
    ($word:expr) => {
        // SAFETY: a call of the kernel without arguments, which changes what calls change.
        unsafe {
            core::arch::asm!(
                ".quad {word}",
                word = const $word,
                out("r0") _,
                out("r1") _,
                out("r2") _,
                out("r3") _,
                out("r4") _,
                out("r5") _,
                options(nostack),
            )
        }
    };
}

/// Runs the whole program of a tracepoint.
#[inline(always)]
pub fn in_tracepoint(program: impl FnOnce()) -> i32 {
    place!(TRACEPOINT_OFF);
    program();
    place!(TRACEPOINT_ON);
    0
}

/// Runs a whole program that the kernel runs for a task.
#[inline(always)]
pub fn in_task(program: impl FnOnce()) -> u32 {
    place!(TASK_OFF);
    program();
    place!(TASK_ON);
    0
}

/// The running task's change is being looked at on this CPU.
#[inline(always)]
pub fn looks() {
    if RUNS_AGAIN.load() != 0
        && let Some(looked) = LOOKED.get_ptr_mut(0)
    {
        // SAFETY: a live map value of this CPU, and nothing comes between.
        unsafe { *looked = Thread::current().address() };
    }
}

/// Whether the first program has looked at the running task's change. Perhaps not, though it has,
/// if others have been here meanwhile.
#[inline(always)]
pub fn has_looked() -> bool {
    let Some(looked) = LOOKED.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: as in `looks`.
    unsafe {
        let is_own = *looked == Thread::current().address();
        if is_own {
            *looked = 0;
        }
        is_own
    }
}
