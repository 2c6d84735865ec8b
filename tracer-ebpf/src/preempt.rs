//! Staying on the CPU while a program runs.
//!
//! Since Linux 7.0 a tracepoint's programs may be preempted (`__DECLARE_TRACE`, tracepoint.h), and
//! the kernel skips a program on a CPU where another task stands still in it (`__bpf_trace_run`,
//! bpf_trace.c): an exit or the end of an address space would not be seen. Programs that run for a
//! task are preempted everywhere, perhaps with a ledger's lock in their hands.
//!
//! User space puts calls of `bpf_preempt_disable` and `bpf_preempt_enable` (helpers.c) into the
//! places marked here where that is so, and elsewhere nothing, for which nothing is paid.

use tracer_common::layout::place::{TASK_OFF, TASK_ON, TRACEPOINT_OFF, TRACEPOINT_ON};

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
