//! Functions that are phases: probes at their entry and their return, in the calling thread.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::bpf_get_attach_cookie,
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use tracer_common::record::mark;

use crate::{
    hooks::mark::{Said, answer},
    maps::TASKS,
    peek::{Thread, current_tgid, read_user_word},
    preempt,
};

/// Bytes of a return address, which a return takes from the stack.
const RETURN_ADDRESS: u64 = 8;

#[uprobe]
pub fn function_entered(ctx: ProbeContext) -> u32 {
    preempt::in_task(|| {
        // SAFETY: the context is the probe's saved registers.
        let stack_pointer = unsafe { (*ctx.regs).rsp };
        passed(ctx.as_ptr(), mark::ENTERED, stack_pointer);
    })
}

#[uretprobe]
pub fn function_returned(ctx: RetProbeContext) -> u32 {
    preempt::in_task(|| {
        // SAFETY: as above.
        let stack_pointer = unsafe { (*ctx.regs).rsp };
        passed(ctx.as_ptr(), mark::RETURNED, stack_pointer - RETURN_ADDRESS);
    })
}

#[inline(always)]
fn passed(context: *mut core::ffi::c_void, what: u32, stack_pointer: u64) {
    let Some(task) = TASKS.get_ptr_mut(current_tgid()) else {
        return;
    };
    let own = Thread::current();
    let trampoline = own.mm().return_trampoline();
    let is_chained =
        what == mark::ENTERED && trampoline != 0 && read_user_word(stack_pointer) == trampoline;
    let said = Said {
        // SAFETY: the context is this program's own.
        function: unsafe { bpf_get_attach_cookie(context) } as u32,
        stack_pointer,
        is_chained: u64::from(is_chained),
        ..Said::only(what)
    };
    answer(own, own.mm(), task, &said);
}
