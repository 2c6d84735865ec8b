//! Calls that were refused for want of memory, and by what.

use tracer_common::record::Called;

use super::{
    schema::Refusals,
    scope::Scope,
    syscalls::{is_told, name},
};
use crate::{
    event::Reading,
    model::{calls::asked_bytes, row::Row},
    readings::VirtualLimits,
    units::Bytes,
};

/// What was refused; `None` if nothing was, as far as calls are told.
pub(super) fn of(scope: &Scope<'_>) -> Option<Refusals> {
    let refused = scope.model.calls().refused();
    let largest = refused.largest.filter(|_| is_told(scope))?;
    let row = scope
        .rows
        .iter()
        .find(|row| row.space == Some(largest.space));
    Some(Refusals {
        count: refused.count,
        call: name(largest.call),
        bytes: asked_bytes(&largest),
        at_ns: scope.since_start(largest.header.at_ns),
        pid: row.and_then(|row| row.process.pid()),
        comm: row.map(Row::comm).unwrap_or_default(),
        why: why(scope, &largest, row),
    })
}

fn why(scope: &Scope<'_>, call: &Called, row: Option<&Row<'_>>) -> String {
    let limits = scope
        .model
        .readings()
        .iter()
        .find_map(|reading| match reading {
            Reading::Limits { space, limits } if *space == call.space => Some(limits),
            _ => None,
        });
    let Some(limits) = limits else {
        return "By what is not known: the process was gone before its limits could be read."
            .to_owned();
    };
    let ledger = row.and_then(Row::ledger);
    let size = ledger.map_or(0, |ledger| scope.bytes_unsigned(ledger.vm.peak));
    bound(limits, size, asked_bytes(call))
}

/// The bound that a request goes beyond, of a space that had this size at most.
fn bound(limits: &VirtualLimits, size: u64, asked: u64) -> String {
    let bytes = |bytes: u64| Bytes(bytes.cast_signed());
    let goes_beyond = |limit: &u64| size.saturating_add(asked) > *limit;
    if let Some(limit) = limits.address_space_bytes.filter(goes_beyond) {
        return format!(
            "Its address space was limited to {} (ulimit -v).",
            bytes(limit)
        );
    }
    if let Some(limit) = limits.data_bytes.filter(goes_beyond) {
        return format!(
            "Its data was limited to {} (ulimit -d), less than its virtual size with this call.",
            bytes(limit)
        );
    }
    match (limits.overcommit, limits.machine_bytes) {
        (Some(2), _) => {
            let known = limits.commit_limit_bytes.zip(limits.committed_bytes);
            let amounts = known.map_or(String::new(), |(limit, committed)| {
                format!(": {} of {} were promised", bytes(committed), bytes(limit))
            });
            format!("The machine promises no more than it has (vm.overcommit_memory = 2){amounts}.")
        }
        (Some(0), Some(machine)) if asked > machine => format!(
            "It was more than the machine has, {} with swap (vm.overcommit_memory = 0).",
            bytes(machine)
        ),
        _ => "No limit of the process or the machine explains it; the number of its mappings has one, \
              too (vm.max_map_count)."
            .to_owned(),
    }
}
