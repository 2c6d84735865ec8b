//! Calls that change memory, by name, with what they asked and what they got: only on request,
//! since the kernel then tells of every call of every process.

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::record::{self, Called, made};

use crate::{
    emit,
    hooks::mark::{self, Said, UNTIL_ZERO, marked},
    ledger,
    peek::{Call, Registers, Thread, is_error},
    preempt,
};

/// 1: this is also where the marker call is seen, for want of a better hook.
#[unsafe(no_mangle)]
pub static MARKS_BY_SYSCALL: Global<u64> = Global::new(0);
/// 1: calls are told.
#[unsafe(no_mangle)]
pub static TELLS_SYSCALLS: Global<u64> = Global::new(0);

/// The `mode` of `faccessat2` by which systing's users mark, -975; its `dirfd` says what.
const SENTINEL: u32 = 0xFFFF_FC31;

/// `syscall_exit_work` (entry): the call is done, its registers are still those of the call.
#[btf_tracepoint(function = "sys_exit")]
pub fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    preempt::in_tracepoint(|| {
        let registers = Registers::new(ctx.arg(0));
        let sort = match registers.call() {
            Call::Mmap => made::MMAP,
            Call::Munmap => made::MUNMAP,
            Call::Mremap => made::MREMAP,
            Call::Brk => made::BRK,
            Call::Madvise => made::MADVISE,
            Call::Mprotect => made::MPROTECT,
            Call::Prctl => {
                if MARKS_BY_SYSCALL.load() != 0 {
                    mark::called(registers.first_five());
                }
                return;
            }
            Call::Faccessat2 => {
                if TELLS_SYSCALLS.load() != 0 {
                    marked_by_sentinel(registers);
                }
                return;
            }
            Call::None | Call::Other => return,
        };
        if TELLS_SYSCALLS.load() != 0 && registers.is_64_bit() {
            tell(sort, registers, ctx.arg(1));
        }
    })
}

/// A function of its own, so that its stack is not under that of a marker.
#[inline(never)]
fn tell(sort: u32, registers: Registers, result: u64) {
    let own = Thread::current();
    let Some(space) = ledger::find(own.mm()) else {
        return;
    };
    let arguments = registers.arguments();
    // `brk` gives the break as it is: another one than was asked for is a refusal.
    let failed = match sort {
        made::BRK => arguments[0] != 0 && result != arguments[0],
        _ => is_error(result),
    };
    // SAFETY: a live map value; threads of a space write here at the same time, so atomically.
    unsafe {
        let of = &raw mut (*space).made[sort as usize & (made::COUNT - 1)];
        if failed {
            ledger::bump(&raw mut (*of).failed, 1);
        } else {
            ledger::bump(&raw mut (*of).succeeded, 1);
        }
        emit::called(Called {
            header: emit::header(tracer_common::record::kind::CALLED, emit::now()),
            space: (*space).id,
            thread: own.visible_tid(),
            call: sort,
            failed: u32::from(failed),
            arguments,
            result,
        });
    }
}

#[inline(always)]
fn marked_by_sentinel(registers: Registers) {
    let [what, name, mode, ..] = registers.first_five();
    if mode as u32 != SENTINEL {
        return;
    }
    let what = match what as u32 {
        0 => record::mark::BEGIN,
        1 => record::mark::END,
        2 => record::mark::INSTANT,
        _ => return,
    };
    marked(&Said {
        name,
        name_len: UNTIL_ZERO,
        ..Said::only(what)
    });
}
