//! How the kernel counts a space's resident memory, and what it takes to sum that exactly.

use std::iter::zip;

use tracer_common::layout::global;

use super::{
    Refusal,
    functions::{At, AtFunction},
};
use crate::kernel::facts::{
    Facts, Fentry,
    base::{CACHE, CACHE_COUNTS, COUNT, COUNTERS, LOCK, RSS_STAT, SPACE_COUNTS},
    functions::{FAULT_HANDLER, SYNC},
};

/// Where the counts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counters {
    /// In four counters with a slot for each CPU (Linux 6.2 and later). Every change is an event.
    PerCpu,
    /// In the space and in its threads (`SPLIT_RSS_COUNTING`, before Linux 6.2). What a thread's
    /// own faults change is no event: the end of a fault is.
    ByThread,
}

impl Counters {
    /// Finds out.
    pub(super) fn of(facts: &Facts) -> Result<Self, Refusal> {
        let refusal = |found: String| Refusal::Counters {
            release: facts.release.clone(),
            found,
        };
        let is_by_thread = [SPACE_COUNTS, CACHE, CACHE_COUNTS]
            .iter()
            .all(|field| facts.offsets.contains_key(*field));
        match &facts.rss_stat {
            Some((element, 4)) if element == "percpu_counter" => Ok(Self::PerCpu),
            Some((element, length)) => Err(refusal(format!("{length} x {element}"))),
            None if is_by_thread => {
                let has = |name| facts.functions.contains_key(name);
                let obstacle = match &facts.fentry {
                    _ if !has(FAULT_HANDLER) || !has(SYNC) => {
                        format!("its type data lack {FAULT_HANDLER} or {SYNC}")
                    }
                    // Not tried means without privilege: then nothing is attached.
                    Some(Fentry::Accepted) | None => return Ok(Self::ByThread),
                    Some(Fentry::Refused { why }) => {
                        format!("{why}; a sandbox (seccomp) or a security module may forbid them")
                    }
                };
                Err(Refusal::CountsByThread {
                    release: facts.release.clone(),
                    obstacle,
                })
            }
            None => Err(refusal("a form of its own".to_owned())),
        }
    }

    /// Whether programs at functions of the kernel are needed to sum them.
    pub(super) fn wants_functions(facts: &Facts) -> bool {
        facts.offsets.contains_key(CACHE)
    }

    /// Programs at functions of the kernel.
    pub(super) fn programs(self) -> &'static [AtFunction] {
        match self {
            Self::PerCpu => &[],
            Self::ByThread => &BY_THREAD,
        }
    }

    /// Where the kernel side finds the counts.
    pub(super) fn globals(self, facts: &Facts) -> Result<Vec<(&'static str, u64)>, Refusal> {
        let base = |symbol| {
            let offset = facts.offsets.get(symbol).copied();
            offset.ok_or_else(|| missing(facts, symbol))
        };
        let counters = base(RSS_STAT)?;
        let mut globals = vec![(global::COUNTS_BY_THREAD, u64::from(self == Self::ByThread))];
        match self {
            Self::PerCpu => {
                let bytes = facts.sizes.get("percpu_counter").copied();
                let bytes = bytes.ok_or_else(|| missing(facts, global::COUNTER_BYTES))?;
                let (lock, count) = (base(LOCK)?, base(COUNT)?);
                let names = zip(global::COUNTS, global::LOCKS);
                for (member, (count_symbol, lock_symbol)) in (0..).zip(names) {
                    let counter = counters + member * bytes;
                    globals.push((count_symbol, counter + count));
                    globals.extend(lock_symbol.map(|symbol| (symbol, counter + lock)));
                }
                globals.extend([
                    (global::COUNTER_BYTES, bytes),
                    (global::SLOTS, counters + base(COUNTERS)?),
                ]);
            }
            Self::ByThread => {
                let first = counters + base(SPACE_COUNTS)?;
                let words = (0..).step_by(size_of::<u64>());
                globals.extend(zip(global::COUNTS, words.map(|at: u64| first + at)));
                globals.push((global::THREAD_CACHE, base(CACHE)? + base(CACHE_COUNTS)?));
            }
        }
        Ok(globals)
    }
}

fn missing(facts: &Facts, symbol: &'static str) -> Refusal {
    Refusal::Field {
        release: facts.release.clone(),
        symbol,
    }
}

const fn program(name: &'static str, function: &'static str, at: At) -> AtFunction {
    AtFunction {
        name,
        function,
        at,
        subject: "resident memory",
        is_made_up_for: false,
    }
}

/// The begin of handing over first: what is added to a space must have left its thread before.
const BY_THREAD: [AtFunction; 3] = [
    program("sync_ended", SYNC, At::Exit),
    program("sync_began", SYNC, At::Entry),
    program("fault_cached", FAULT_HANDLER, At::Exit),
];
