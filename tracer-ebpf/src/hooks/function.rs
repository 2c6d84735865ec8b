//! Functions that are phases: probes where they begin and where they leave, in the calling thread.
//!
//! Not at their return in the way of `uretprobe`: that puts an address of the kernel's on the stack,
//! and a program in which an exception passes through such a function dies of it.

use aya_ebpf::{
    EbpfContext as _, helpers::generated::bpf_get_attach_cookie, macros::uprobe,
    programs::ProbeContext,
};
use tracer_common::record::mark;

use crate::{
    hooks::mark::{Said, marked},
    peek::Registers,
    preempt,
};

#[uprobe]
pub fn function_entered(ctx: ProbeContext) -> u32 {
    passed(&ctx, mark::ENTERED)
}

/// At each instruction that leaves the function. The stack pointer is again what it was at the
/// entry.
#[uprobe]
pub fn function_left(ctx: ProbeContext) -> u32 {
    passed(&ctx, mark::RETURNED)
}

#[inline(always)]
fn passed(ctx: &ProbeContext, what: u32) -> u32 {
    preempt::in_task(|| {
        // SAFETY: the context is this program's own.
        let function = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) } as u32;
        marked(&Said {
            function,
            stack_pointer: Registers::new(ctx.as_ptr().cast()).stack_pointer(),
            ..Said::only(what)
        });
    })
}
