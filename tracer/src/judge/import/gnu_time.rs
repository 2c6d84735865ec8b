//! GNU `time`: what it prints with `-v`, or its one line without. Its figure is `ru_maxrss` of the
//! command, in KiB. What the command itself printed may stand around it.

use super::{
    Imported, Malformed, Measure,
    amount::{Figures, amount, figure},
    lines,
};

const LONG: &str = "Maximum resident set size (kbytes):";
const SHORT: &str = "maxresident)k";

/// The figure in a line, in KiB.
fn kib(line: &str) -> Option<&str> {
    let line = line.trim();
    line.strip_prefix(LONG).map(str::trim).or_else(|| {
        let before = line.split_once(SHORT)?.0;
        before.rsplit_once(' ').map(|(_, kib)| kib)
    })
}

pub(super) fn is_it(text: &str) -> bool {
    lines(text).any(|(_, line)| kib(line).is_some())
}

pub(super) fn parse(text: &str) -> Result<Vec<Imported>, Malformed> {
    let mut told = Figures::default();
    for (number, line) in lines(text) {
        if let Some(kib) = kib(line) {
            let amount = amount(kib, "KiB").map_err(|reason| Malformed::at(number, reason))?;
            told.add(figure("GNU time", Measure::MaxRss, amount, None))?;
        }
    }
    told.all(&format!("no line of it says `{LONG}` or `{SHORT}`"))
}
