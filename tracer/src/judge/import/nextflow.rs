//! A trace of nextflow: a line for each task, `peak_rss` of the task's tree; in bytes, or in units
//! of 1024 that it calls KB, MB and so on.

use super::{
    Imported, Malformed, Measure,
    amount::{Figures, amount, figure},
    table,
};

const COLUMNS: [&str; 2] = ["name", "peak_rss"];
/// It looks every 30 s in a long task, more often at first.
const EVERY_NS: u64 = 30_000_000_000;

pub(super) fn is_it(text: &str) -> bool {
    table::names(text, table::TAB, &COLUMNS)
}

pub(super) fn parse(text: &str) -> Result<Vec<Imported>, Malformed> {
    let mut told = Figures::default();
    table::read(text, table::TAB, COLUMNS, |line, [name, rss]| {
        // It never looked, or took the result from its cache.
        if ["-", ""].contains(&rss) {
            return Ok(());
        }
        // One letter is 1024 to us, two are 1000.
        let rss = rss.strip_suffix('B').unwrap_or(rss);
        let amount = amount(rss, "").map_err(|reason| Malformed::at(line, reason))?;
        let name = format!("nextflow, {name}");
        told.add(figure(name, Measure::Polled, amount, Some(EVERY_NS)))
    })?;
    told.all("no task of it has a peak_rss")
}
