//! What other instruments say of the same run.

use std::borrow::Cow;

use serde::Serialize;

/// A reading held against the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Name of the instrument, e.g. `VmHWM`.
    pub against: Cow<'static, str>,
    /// What it says; `None` if it cannot be had.
    pub bytes: Option<u64>,
    /// That less the ledger's figure.
    pub diff_bytes: Option<i64>,
    /// In one word.
    pub verdict: Verdict,
    /// In one sentence.
    pub why: Cow<'static, str>,
}

/// A count held against ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CountCheck {
    /// Name of the instrument, e.g. `ru_minflt`.
    pub against: &'static str,
    /// What it says.
    pub count: u64,
    /// What we say of the same processes; `None` if unknown.
    pub counted: Option<u64>,
    /// The instrument's less ours.
    pub diff: Option<i64>,
    /// In one word.
    pub verdict: Verdict,
    /// In one sentence.
    pub why: Cow<'static, str>,
}

/// Verdict on a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same to the byte.
    Equal,
    /// The kernel's figure is too low.
    KernelLow,
    /// The kernel's figure is too high.
    KernelHigh,
    /// It speaks of an earlier program of the process, or of its parent.
    Inherited,
    /// It covers more than the ledger does.
    CoversMore,
    /// It covers less than the ledger does.
    CoversLess,
    /// It was reached before tracing began.
    BeforeAttach,
    /// It cannot be had.
    Unavailable,
}
