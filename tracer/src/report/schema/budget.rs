//! The budget of a run.

use serde::Serialize;

/// The budget that the user gave the peak: `--max-peak`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// How much the peak may be.
    pub bytes: u64,
    /// What it is to that.
    pub verdict: BudgetVerdict,
}

/// What a peak is to its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetVerdict {
    /// The most that it can have been is not more.
    Within,
    /// The least that it can have been is more.
    Over,
    /// What was found, if anything was, leaves it open.
    Open,
}
