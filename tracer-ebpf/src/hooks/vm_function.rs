//! Changes of a space's virtual size, by functions of the kernel: for kernels whose tracepoints of
//! `mmap_lock` cost every process time (before Linux 6.13 they format a cgroup's path,
//! `mmap_lock.c`).
//!
//! What maps, and what makes a stack grow, runs under that lock from begin to end, and stands for
//! its taking and letting go. What unmaps gives the lock back within: there the arguments of the
//! call and its result say what it did, and so they do for the two calls that have no such function
//! of their own. The total is then read without the lock.

use core::intrinsics::{AtomicOrdering::SeqCst, atomic_xchg};

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::record::call;

use crate::{
    hooks::vm,
    ledger,
    maps::TASKS,
    peek::{Call, Thread, current_tgid, is_error, vma_mm},
    preempt,
};

const MREMAP_DONTUNMAP: u64 = 4;

/// `mmap_region` (mmap.c, later vma.c), always of the running process's own space.
#[fentry(function = "mmap_region")]
pub fn mapping_began(_ctx: FEntryContext) -> u32 {
    preempt::in_task(|| vm::begin(Thread::current().mm()))
}

/// Its end.
#[fexit(function = "mmap_region")]
pub fn mapping_ended(_ctx: FExitContext) -> u32 {
    preempt::in_task(|| vm::finish(Thread::current().mm(), false))
}

/// `expand_downwards(vma, address)` (mmap.c), perhaps of another's space: an exec puts arguments
/// into one that it has not entered.
#[fentry(function = "expand_downwards")]
pub fn stack_began(ctx: FEntryContext) -> u32 {
    preempt::in_task(|| vm::begin(vma_mm(ctx.arg(0))))
}

/// Its end.
#[fexit(function = "expand_downwards")]
pub fn stack_ended(ctx: FExitContext) -> u32 {
    preempt::in_task(|| {
        // What an exec lays out (`setup_arg_pages`, exec.c) is not the growth of a stack.
        let task = TASKS.get_ptr(current_tgid());
        // SAFETY: a live map value of the running process.
        let execs = task.is_some_and(|task| unsafe { (*task).next_space != 0 });
        vm::finish(vma_mm(ctx.arg(0)), !execs);
    })
}

/// `__vm_munmap(start, len, unlock)` (mmap.c): what `munmap` does, and the kernel for itself. One of
/// nothing counts too.
#[fexit(function = "__vm_munmap")]
pub fn unmapped(ctx: FExitContext) -> u32 {
    preempt::in_task(|| {
        let failed = ctx.arg::<u64>(3) as i32 != 0;
        if failed {
            return;
        }
        let own = Thread::current();
        let registers = own.registers();
        let sort = if registers.call() == Call::Munmap && registers.is_64_bit() {
            call::MUNMAP
        } else {
            call::OTHER
        };
        if let Some(space) = ledger::find(own.mm()) {
            vm::count(space, sort, vm::to_pages(ctx.arg(1)), own.mm().total_vm());
        }
    })
}

/// The call `mremap` (mremap.c).
#[fexit(function = "__x64_sys_mremap")]
pub fn remapped(ctx: FExitContext) -> u32 {
    preempt::in_task(|| {
        if is_error(ctx.arg(1)) {
            return;
        }
        let own = Thread::current();
        let registers = own.registers();
        let old = vm::to_pages(registers.second());
        let new = vm::to_pages(registers.third());
        let stays = registers.fourth() & MREMAP_DONTUNMAP != 0;
        let (sort, pages) = if new < old {
            (call::MREMAP_SHRUNK, old - new)
        } else if stays {
            (call::MREMAP, new)
        } else {
            (call::MREMAP, new - old)
        };
        // Of the same length it has only moved.
        if pages != 0
            && let Some(space) = ledger::find(own.mm())
        {
            vm::count(space, sort, pages, own.mm().total_vm());
        }
    })
}

/// The call `brk` (mmap.c), which gives the break as it is now.
#[fexit(function = "__x64_sys_brk")]
pub fn break_set(ctx: FExitContext) -> u32 {
    preempt::in_task(|| {
        let own = Thread::current();
        let Some(space) = ledger::find(own.mm()) else {
            return;
        };
        let now: u64 = ctx.arg(1);
        // SAFETY: an aligned word of a live map value. Threads that set the break at once see each
        // other's: the sums stay right.
        let before =
            unsafe { atomic_xchg::<u64, { SeqCst }>(&raw mut (*space).vm.before_brk, now) };
        if let Some((sort, pages)) = vm::break_moved(before, now) {
            vm::count(space, sort, pages, own.mm().total_vm());
        }
    })
}
