//! Changes of a space's virtual size: seen by whoever lets go of its `mmap_lock` for writing.
//!
//! `mm->total_vm` and `mm->brk` change under that lock, held for writing, so that what a call did
//! is the difference between its taking and its letting go; nobody else comes between. Only what
//! is unmapped leaves the total later, under the lock for reading (`vms_complete_munmap_vmas`,
//! vma.c): by then it is certain, and the call's own arguments tell how much.

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::{ledger::Space, record::call};

use crate::{
    emit, ledger,
    peek::{Call, Mm, Registers, Thread},
    preempt,
};

#[unsafe(no_mangle)]
pub static PAGE_SHIFT: Global<u64> = Global::new(0);

const MAP_FIXED: u64 = 0x10;
const MREMAP_FIXED: u64 = 2;

/// `__mmap_lock_trace_acquire_returned` (mmap_lock.h): the lock was taken, or, with `write` false
/// right after a writer had it, only kept for reading (`mmap_write_downgrade`).
#[btf_tracepoint(function = "mmap_lock_acquire_returned")]
pub fn mmap_lock_acquire_returned(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| taken(Mm::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2)))
}

/// The lock was taken, or kept for reading.
#[inline(always)]
pub fn taken(mm: Mm, write: u64, got: u64) {
    if got & 1 == 0 {
        return;
    }
    if write & 1 == 0 {
        finish(mm, true);
    } else {
        begin(mm);
    }
}

/// `__mmap_lock_trace_released` (mmap_lock.h): before the lock is let go.
#[btf_tracepoint(function = "mmap_lock_released")]
pub fn mmap_lock_released(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| let_go(Mm::new(ctx.arg(0)), ctx.arg(1)))
}

/// The lock is about to be let go.
#[inline(always)]
pub fn let_go(mm: Mm, write: u64) {
    if write & 1 != 0 {
        finish(mm, false);
    }
}

/// A writer has the lock.
#[inline(always)]
pub fn begin(mm: Mm) {
    if let Some(space) = ledger::find(mm) {
        // SAFETY: a live map value. A writer is the only one here while it writes.
        unsafe {
            (*space).vm.before = mm.total_vm();
            (*space).vm.before_brk = mm.brk();
            (*space).vm.writing = 1;
        }
    }
}

/// A writer is done, if there was one; `goes_on` if it keeps the lock for reading, as what unmaps
/// does.
#[inline(always)]
pub fn finish(mm: Mm, goes_on: bool) {
    if let Some(space) = ledger::find(mm) {
        // SAFETY: as in `begin`.
        if unsafe { (*space).vm.writing } != 0 {
            wrote(mm, space, goes_on);
        }
    }
}

/// What a writer did; `goes_on` as for [`finish`].
#[inline(never)]
fn wrote(mm: Mm, space: *mut Space, goes_on: bool) {
    let own = Thread::current();
    let total = mm.total_vm();
    // SAFETY: a live map value, written by one CPU at a time: the lock's holder.
    unsafe {
        let vm = &raw mut (*space).vm;
        (*vm).writing = 0;
        let moved = total as i64 - (*vm).before as i64;
        let registers = own.registers();
        let is_own = own.mm_address() == mm.address() && registers.is_64_bit();
        let (sort, pages) = match registers.call() {
            Call::Mmap if is_own && !goes_on => {
                let fixed = registers.fourth() & MAP_FIXED != 0;
                if moved == 0 {
                    (*vm).unsure += u64::from(fixed);
                    return;
                }
                let asked = to_pages(registers.second());
                (call::MMAP, if fixed { asked } else { moved as u64 })
            }
            Call::Munmap if is_own && goes_on => (call::MUNMAP, to_pages(registers.second())),
            Call::Brk if is_own => match break_moved((*vm).before_brk, mm.brk()) {
                Some(found) => found,
                None => return,
            },
            Call::Mremap if is_own => match remapped(registers, moved, goes_on) {
                Some(found) => found,
                None => {
                    (*vm).unsure += u64::from(!goes_on && registers.fourth() & MREMAP_FIXED != 0);
                    return;
                }
            },
            _ if moved == 0 => return,
            Call::None if moved > 0 => (call::STACK, moved as u64),
            // A fault in the kernel on a user's behalf: only the growth of a stack goes on.
            _ if goes_on && moved > 0 => (call::STACK, moved as u64),
            _ => (call::OTHER, moved.unsigned_abs()),
        };
        count(space, sort, pages, total);
    }
}

/// Counts a call that left the space with `total` pages. Others may count at the same time, where
/// the lock is not held here.
#[inline(always)]
pub fn count(space: *mut Space, sort: u32, pages: u64, total: u64) {
    // SAFETY: `space` is a live map value, and the index is masked to the array's length.
    unsafe {
        ledger::raise((&raw mut (*space).vm.peak).cast(), total as i64);
        let counted = &raw mut (*space).vm.calls[sort as usize & (call::COUNT - 1)];
        ledger::bump(&raw mut (*counted).count, 1);
        ledger::bump(&raw mut (*counted).pages, pages);
        emit::vm_changed((*space).id, sort, pages, total);
    }
}

/// A program has been loaded into its space: not all hooks see every part of that.
#[inline(always)]
pub fn loaded(mm: Mm) {
    if let Some(space) = ledger::find(mm) {
        // SAFETY: a live map value of the running process, which does nothing else now.
        unsafe {
            ledger::raise((&raw mut (*space).vm.peak).cast(), mm.total_vm() as i64);
            (*space).vm.before_brk = mm.brk();
        }
    }
}

/// What a `brk` did; `None` if the break is where it was.
#[inline(always)]
pub fn break_moved(before: u64, now: u64) -> Option<(u32, u64)> {
    if now == before {
        return None;
    }
    let (from, to) = (to_pages(before), to_pages(now));
    Some(if to >= from {
        (call::BRK, to - from)
    } else {
        (call::BRK_SHRUNK, from - to)
    })
}

/// What an `mremap` did; `None` if the size is what it was.
#[inline(always)]
fn remapped(registers: Registers, moved: i64, goes_on: bool) -> Option<(u32, u64)> {
    let (old, new) = (to_pages(registers.second()), to_pages(registers.third()));
    if goes_on || (moved != 0 && new < old) {
        return Some((call::MREMAP_SHRUNK, old - new));
    }
    if moved == 0 {
        return None;
    }
    // Of the same length it leaves the old one in place (`MREMAP_DONTUNMAP`), or covers others.
    let grown = if new > old {
        new - old
    } else {
        moved.max(0) as u64
    };
    Some((call::MREMAP, grown))
}

#[inline(always)]
pub fn to_pages(bytes: u64) -> u64 {
    let shift = PAGE_SHIFT.load();
    (bytes + (1 << shift) - 1) >> shift
}
