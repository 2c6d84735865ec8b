//! Calls of virtual memory out of a ledger or a phase.

use tracer_common::{ledger::Calls, record::call};

use super::{
    schema::{Vm, VmBothWays, VmCalls},
    scope::Scope,
};
use crate::kernel::plan::VIRTUAL_MEMORY;

/// Whether the calls are seen at all.
pub(super) fn is_seen(scope: &Scope<'_>) -> bool {
    let mut hooks = scope.begun.hooks.iter();
    hooks.any(|hook| hook.subject == VIRTUAL_MEMORY)
}

/// The calls of a space; `None` if they are not seen.
pub(super) fn of(
    scope: &Scope<'_>,
    calls: &[Calls; call::COUNT],
    unsure: Option<u64>,
) -> Option<Vm> {
    let one = |sort: u32| VmCalls {
        count: calls[sort as usize].count,
        bytes: scope.bytes_unsigned(calls[sort as usize].pages),
    };
    let both = |more: u32, less: u32| VmBothWays {
        count: one(more).count,
        bytes: one(more).bytes,
        shrunk_count: one(less).count,
        shrunk_bytes: one(less).bytes,
    };
    is_seen(scope).then(|| Vm {
        mmap: one(call::MMAP),
        munmap: one(call::MUNMAP),
        mremap: both(call::MREMAP, call::MREMAP_SHRUNK),
        brk: both(call::BRK, call::BRK_SHRUNK),
        stack: one(call::STACK),
        other: one(call::OTHER),
        overlays_or_refused: unsure,
    })
}
