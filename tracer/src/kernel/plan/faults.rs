//! How long page faults take: which programs that needs, and why it cannot be had.

use super::{
    Asked,
    functions::{At, AtFunction},
};
use crate::{
    kernel::facts::{Facts, Fentry, functions::FAULT_HANDLER},
    latency::FaultLatency,
};

/// Subject of the hooks at page faults.
pub const FAULT_LATENCY: &str = "fault latency";

const fn program(name: &'static str, at: At) -> AtFunction {
    AtFunction {
        name,
        function: FAULT_HANDLER,
        at,
        subject: FAULT_LATENCY,
        // They find out by themselves what they missed.
        is_made_up_for: true,
    }
}

/// The programs, each with a second one: the kernel may preempt a program, and skips it then for
/// other tasks on that CPU.
const PROGRAMS: [AtFunction; 4] = [
    program("fault_ended", At::Exit),
    program("fault_ended_again", At::Exit),
    program("fault_began", At::Entry),
    program("fault_began_again", At::Entry),
];

/// What can be done.
pub(super) fn latency(asked: &Asked, facts: &Facts) -> FaultLatency {
    if !asked.fault_latency {
        return FaultLatency::NotAsked;
    }
    match obstacle(facts) {
        None => FaultLatency::Taken,
        Some(why) => FaultLatency::Unavailable { why },
    }
}

/// The programs to attach.
pub(super) fn programs(latency: &FaultLatency) -> Vec<AtFunction> {
    match latency {
        FaultLatency::Taken => PROGRAMS.to_vec(),
        FaultLatency::NotAsked | FaultLatency::Unavailable { .. } => Vec::new(),
    }
}

/// Why the time of faults cannot be taken here; `None` if it can.
pub fn obstacle(facts: &Facts) -> Option<String> {
    if !facts.functions.contains_key(FAULT_HANDLER) {
        return Some(format!(
            "the kernel's type data lack its fault handler, {FAULT_HANDLER}"
        ));
    }
    match &facts.fentry {
        Some(Fentry::Accepted) => None,
        Some(Fentry::Refused { why }) => Some(format!(
            "the kernel refuses programs at its fault handler (fentry of {FAULT_HANDLER}): {why}"
        )),
        None => Some(
            "whether the kernel accepts fentry programs is not known without privilege".to_owned(),
        ),
    }
}
