//! What the peak is to the budget that the user gave it.

use super::schema::{Budget, BudgetVerdict, Certainty, TargetPeak};

impl Budget {
    /// Held against a peak, bytes, and what it is worth.
    pub(super) fn of(bytes: u64, peak: Option<&TargetPeak>, certainty: &Certainty) -> Self {
        Self {
            bytes,
            verdict: verdict(bytes, peak.map(|peak| peak.rss_bytes), certainty),
        }
    }
}

fn verdict(budget: u64, peak: Option<i64>, certainty: &Certainty) -> BudgetVerdict {
    let Some(peak) = peak else {
        return BudgetVerdict::Open;
    };
    let (least, most) = match &certainty.sampled {
        Some(sampled) => (sampled.peak_least_bytes, sampled.peak_most_bytes),
        // What was seen was there.
        None => {
            let bound = certainty.peak_error_bound_bytes;
            let most = bound.and_then(|bound| peak.checked_add_unsigned(bound));
            (Some(peak), most)
        }
    };
    let is_over = |bytes: i64| i128::from(bytes) > i128::from(budget);
    if least.is_some_and(is_over) {
        BudgetVerdict::Over
    } else if most.is_some_and(|most| !is_over(most)) {
        BudgetVerdict::Within
    } else {
        BudgetVerdict::Open
    }
}
