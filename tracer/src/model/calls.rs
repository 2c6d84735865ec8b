//! System calls with their arguments, as far as they are kept. Counts come from the ledgers.

use tracer_common::record::{Called, made};

/// Calls kept.
pub const MAX_KEPT: usize = 10_000;

/// The calls of a run.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    kept: Vec<Called>,
    not_kept: u64,
    refused: Refused,
}

/// Calls that were refused for want of memory (`ENOMEM`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// The one that asked for the most.
    pub largest: Option<Called>,
    /// The one that came last.
    pub last: Option<Called>,
}

/// Bytes that a refused call asked for.
pub fn asked_bytes(call: &Called) -> u64 {
    let [first, second, third, ..] = call.arguments;
    match call.call {
        made::MREMAP => third.saturating_sub(second),
        // It gives the break as it is.
        made::BRK => first.saturating_sub(call.result),
        _ => second,
    }
}

/// A call was refused for want of memory; `brk` has no other reason.
fn is_refused(call: &Called) -> bool {
    const ENOMEM: u64 = 12;
    let is_brk = call.call == made::BRK && asked_bytes(call) > 0;
    call.failed != 0 && (is_brk || call.result.wrapping_neg() == ENOMEM)
}

impl Calls {
    /// Takes a call in.
    pub fn add(&mut self, call: Called) {
        if is_refused(&call) {
            let refused = &mut self.refused;
            refused.count += 1;
            refused.last = Some(call);
            let most = refused.largest.as_ref().map(asked_bytes);
            if most.is_none_or(|most| asked_bytes(&call) > most) {
                refused.largest = Some(call);
            }
        }
        if self.kept.len() < MAX_KEPT {
            self.kept.push(call);
        } else {
            self.not_kept += 1;
        }
    }

    /// The first of them, by time.
    pub fn kept(&self) -> &[Called] {
        &self.kept
    }

    /// Those of all that were refused for want of memory.
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// Those that came later.
    pub fn not_kept(&self) -> u64 {
        self.not_kept
    }
}
