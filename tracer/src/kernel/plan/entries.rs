//! Where an exec is seen before its new program is in place.

use super::functions::{At, AtFunction};
use crate::kernel::facts::{Facts, functions::EXEC};

/// Subject of the hook at the entry of a program.
pub(super) const ENTRY: &str = "entry of a program";

/// The tracepoint at an exec's point of no return (6.10 and later).
pub(super) const TRACEPOINT: &str = "sched_prepare_exec";

/// What shows that a process is about to enter a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeenAt {
    /// [`TRACEPOINT`].
    Tracepoint,
    /// The kernel's function that begins with leaving the old program.
    Function,
    /// Nothing does before the new program is in place.
    Late,
}

pub(super) fn seen_at(facts: &Facts) -> SeenAt {
    if !wants_functions(facts) {
        SeenAt::Tracepoint
    } else if facts.accepts_programs_at(EXEC) {
        SeenAt::Function
    } else {
        SeenAt::Late
    }
}

/// Whether it matters if the kernel accepts programs at its functions.
pub(super) fn wants_functions(facts: &Facts) -> bool {
    !facts.tracepoints.contains_key(TRACEPOINT)
}

/// The program to attach to the function. No second one for where the kernel skips the first: then
/// the new space joins late.
pub(super) fn programs(facts: &Facts) -> Option<AtFunction> {
    (seen_at(facts) == SeenAt::Function).then_some(AtFunction {
        name: EXEC,
        function: EXEC,
        at: At::Entry,
        subject: ENTRY,
        is_made_up_for: false,
    })
}
