//! System calls out of the ledgers and the model.

use std::collections::HashMap;

use tracer_common::{
    ledger::Made,
    record::{Called, made},
};

use super::{
    schema::{CallRow, Outcomes, Syscalls},
    scope::Scope,
};
use crate::kernel::plan::SYSTEM_CALLS;

/// Whether they were asked for. The hook alone may be there for markers only.
pub(super) fn is_told(scope: &Scope<'_>) -> bool {
    let mut hooks = scope.begun.hooks.iter();
    scope.begun.tells_syscalls && hooks.any(|hook| hook.subject == SYSTEM_CALLS)
}

/// The counts of a space; `None` if calls were not asked for.
pub(super) fn of(scope: &Scope<'_>, counts: &[Made; made::COUNT]) -> Option<Syscalls> {
    let of = |sort: u32| Outcomes {
        succeeded: counts[sort as usize].succeeded,
        failed: counts[sort as usize].failed,
    };
    is_told(scope).then(|| Syscalls {
        mmap: of(made::MMAP),
        munmap: of(made::MUNMAP),
        mremap: of(made::MREMAP),
        brk: of(made::BRK),
        madvise: of(made::MADVISE),
        mprotect: of(made::MPROTECT),
    })
}

/// The calls kept; `None` if they were not asked for.
pub(super) fn calls(scope: &Scope<'_>) -> Option<Vec<CallRow>> {
    let pids: HashMap<u32, u32> = scope
        .rows
        .iter()
        .filter_map(|row| Some((row.space?, row.process.pid()?)))
        .collect();
    let kept = scope.model.calls().kept().iter();
    is_told(scope).then(|| kept.map(|call| row(scope, call, &pids)).collect())
}

/// Name of a call.
pub(super) fn name(call: u32) -> &'static str {
    named(call).0
}

/// Name and number of arguments.
fn named(call: u32) -> (&'static str, usize) {
    match call {
        made::MMAP => ("mmap", 6),
        made::MUNMAP => ("munmap", 2),
        made::MREMAP => ("mremap", 5),
        made::BRK => ("brk", 1),
        made::MADVISE => ("madvise", 3),
        made::MPROTECT => ("mprotect", 3),
        _ => ("?", 0),
    }
}

fn row(scope: &Scope<'_>, call: &Called, pids: &HashMap<u32, u32>) -> CallRow {
    let arguments = named(call.call).1;
    let hex = |number: u64| format!("{number:#x}");
    let failed = call.failed != 0;
    CallRow {
        at_ns: scope.since_start(call.header.at_ns),
        pid: pids.get(&call.space).copied(),
        thread: call.thread,
        call: name(call.call),
        arguments: call
            .arguments
            .iter()
            .take(arguments)
            .map(|a| hex(*a))
            .collect(),
        result: (!failed).then(|| hex(call.result)),
        error: u32::try_from(call.result.wrapping_neg())
            .ok()
            .filter(|_| failed && call.call != made::BRK),
        failed,
    }
}
