//! `memray stats --json`: the most that allocators had given out at once, bytes.

use serde::Deserialize;

use super::{
    Imported, Malformed, Measure,
    amount::{Amount, figure},
};

#[derive(Deserialize)]
struct Stats {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    peak_memory: u64,
}

pub(super) fn is_it(text: &str) -> bool {
    text.trim_start().starts_with('{') && text.contains("\"peak_memory\"")
}

pub(super) fn parse(text: &str) -> Result<Vec<Imported>, Malformed> {
    let stats: Stats = serde_json::from_str(text)
        .map_err(|error| Malformed::at(error.line().max(1) as u64, error.to_string()))?;
    let amount = Amount {
        bytes: stats.metadata.peak_memory,
        step_bytes: 1,
    };
    Ok(vec![figure("memray", Measure::Heap, amount, None)])
}
