//! A benchmark of snakemake: a line for each repetition, `max_rss` in MiB, of the job's tree.

use super::{
    Imported, Malformed, Measure,
    amount::{Figures, amount, figure},
    table,
};

/// It looks soon after the start, then every 30 s.
const EVERY_NS: u64 = 30_000_000_000;

pub(super) fn is_it(text: &str) -> bool {
    table::names(text, table::TAB, &["s", "h:m:s", "max_rss"])
}

pub(super) fn parse(text: &str) -> Result<Vec<Imported>, Malformed> {
    let mut told = Figures::default();
    let mut repetition = 0;
    table::read(text, table::TAB, ["max_rss"], |line, [rss]| {
        repetition += 1;
        // It says so where it never looked.
        if ["NA", "-", ""].contains(&rss) {
            return Ok(());
        }
        let amount = amount(rss, "MiB").map_err(|reason| Malformed::at(line, reason))?;
        let name = format!("snakemake, repetition {repetition}");
        told.add(figure(name, Measure::Polled, amount, Some(EVERY_NS)))
    })?;
    let mut told = told.all("no line of it has a max_rss")?;
    if repetition == 1 {
        told.iter_mut()
            .for_each(|only| only.name = "snakemake".to_owned());
    }
    Ok(told)
}
