//! `docker stats --format json`: a line for each look at each container, without a time. Usage is
//! what the container is charged for, less page cache that was not used lately.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Epoch, Imported, Malformed, Measure,
    amount::{Figures, Series, amount},
    lines,
};

/// It looks once a second.
const EVERY_NS: u64 = 1_000_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    name: String,
    mem_usage: String,
}

/// A line without what clears the screen before it.
fn bare(line: &str) -> &str {
    line.find('{').map_or(line, |at| &line[at..]).trim_end()
}

pub(super) fn is_it(text: &str) -> bool {
    let first = lines(text).next().map_or("", |(_, line)| bare(line));
    first.starts_with('{') && first.contains("\"MemUsage\"")
}

pub(super) fn parse(text: &str) -> Result<Vec<Imported>, Malformed> {
    let mut containers: BTreeMap<String, Series> = BTreeMap::new();
    // Nothing but a cleared screen is no look.
    let looks = lines(text).filter(|(_, line)| line.contains(|c: char| c.is_ascii_graphic()));
    let looks = looks.filter(|(_, line)| !is_control(line));
    for (number, line) in looks {
        let at = |reason: String| Malformed::at(number, reason);
        let line: Line = serde_json::from_str(bare(line)).map_err(|error| at(error.to_string()))?;
        let used = line.mem_usage.split('/').next().unwrap_or_default().trim();
        // The container has ended, or not begun.
        if used == "--" {
            continue;
        }
        let amount = amount(used, "").map_err(at)?;
        containers.entry(line.name).or_default().add(None, amount);
    }
    let mut told = Figures::default();
    for (name, series) in containers {
        let name = format!("docker stats, {name}");
        let imported = series.imported(name, Measure::Container, Epoch::Own)?;
        told.add(Imported {
            nominal_ns: Some(EVERY_NS),
            ..imported
        })?;
    }
    told.all("no line of it tells of a container")
}

/// The line is made of escape sequences alone.
fn is_control(line: &str) -> bool {
    let sequences = line.trim().split('\x1b').skip(1);
    let is_sequence = |text: &str| {
        text.starts_with('[')
            && text.len() <= 8
            && text.ends_with(|c: char| c.is_ascii_alphabetic())
    };
    line.trim().starts_with('\x1b') && sequences.into_iter().all(is_sequence)
}
