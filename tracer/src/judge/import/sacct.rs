//! `sacct -P`: a line for each job and step, fields between bars. `MaxRSS` is the highest that
//! Slurm saw of any task of a step when it looked.

use super::{
    Imported, Malformed, Measure,
    amount::{Figures, amount, figure},
    table,
};

const COLUMNS: [&str; 2] = ["JobID", "MaxRSS"];
/// It looks every 30 s unless it is set otherwise.
const EVERY_NS: u64 = 30_000_000_000;

pub(super) fn is_it(text: &str) -> bool {
    table::names(text, table::BAR, &COLUMNS)
}

pub(super) fn parse(text: &str) -> Result<Vec<Imported>, Malformed> {
    let mut told = Figures::default();
    table::read(text, table::BAR, COLUMNS, |line, [job, rss]| {
        // A job has none, only its steps; and 0 says that it never looked.
        if rss.is_empty() || rss.trim_end_matches(|c: char| c.is_ascii_alphabetic()) == "0" {
            return Ok(());
        }
        let amount = amount(rss, "").map_err(|reason| Malformed::at(line, reason))?;
        let name = format!("sacct, {job}");
        told.add(figure(name, Measure::Polled, amount, Some(EVERY_NS)))
    })?;
    told.all("no step of it has a MaxRSS")
}
