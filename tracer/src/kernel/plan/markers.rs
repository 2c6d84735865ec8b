//! Where the marker call is seen: it is a `prctl` with an option that no kernel knows.

use super::functions::{At, AtFunction};
use crate::kernel::facts::{Facts, functions::PRCTL};

/// Subject of the hook that answers the marker call.
pub const MARKERS: &str = "phase markers";

/// The tracepoint that shows `prctl` calls with an option that the kernel does not know (6.14 and
/// later).
pub(super) const TRACEPOINT: &str = "task_prctl_unknown";

/// What shows a marker call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeenBy {
    /// [`TRACEPOINT`]: costs nothing but at the call itself.
    Tracepoint,
    /// The kernel's function that every `prctl` calls first.
    Function,
    /// The end of every system call, which makes all of them slower.
    SystemCalls,
}

/// Whether it matters if the kernel accepts programs at its functions.
pub(super) fn wants_functions(facts: &Facts) -> bool {
    !facts.tracepoints.contains_key(TRACEPOINT)
}

pub(super) fn seen_by(facts: &Facts) -> SeenBy {
    if !wants_functions(facts) {
        SeenBy::Tracepoint
    } else if facts.accepts_programs_at(PRCTL) {
        SeenBy::Function
    } else {
        SeenBy::SystemCalls
    }
}

/// The programs to attach to functions. No second one for where the kernel skips the first: a
/// marker that two programs see would count twice.
pub(super) fn programs(facts: &Facts) -> Option<AtFunction> {
    (seen_by(facts) == SeenBy::Function).then_some(AtFunction {
        name: PRCTL,
        function: PRCTL,
        at: At::Entry,
        subject: MARKERS,
        is_made_up_for: false,
    })
}
