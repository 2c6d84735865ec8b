//! System calls with their arguments, as far as they are kept. Counts come from the ledgers.

use tracer_common::record::Called;

/// Calls kept.
pub const MAX_KEPT: usize = 10_000;

/// The calls of a run.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    kept: Vec<Called>,
    not_kept: u64,
}

impl Calls {
    /// Takes a call in.
    pub fn add(&mut self, call: Called) {
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

    /// Those that came later.
    pub fn not_kept(&self) -> u64 {
        self.not_kept
    }
}
