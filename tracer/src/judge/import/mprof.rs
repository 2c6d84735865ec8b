//! `mprof run`: `MEM` lines are the process, or the tree with `--include-children`; `CHLD` lines
//! each child by itself. MiB and seconds since 1970.

use std::collections::BTreeMap;

use super::{
    Epoch, Imported, Malformed, Measure,
    amount::{Figures, Series, amount, time_ns},
    lines,
};

pub(super) fn is_it(text: &str) -> bool {
    let first = lines(text).next().map_or("", |(_, line)| line);
    first.starts_with("CMDLINE ") || (first.starts_with("MEM ") && first.split(' ').count() == 3)
}

pub(super) fn parse(text: &str) -> Result<Vec<Imported>, Malformed> {
    let mut all = Series::default();
    let mut children: BTreeMap<u32, Series> = BTreeMap::new();
    for (number, line) in lines(text) {
        let at = |reason| Malformed::at(number, reason);
        let fields: Vec<_> = line.split_whitespace().collect();
        let (series, mib, seconds) = match fields.as_slice() {
            ["MEM", mib, seconds] => (&mut all, mib, seconds),
            ["CHLD", pid, mib, seconds] => {
                let pid = pid.parse().map_err(|_| at(format!("`{pid}` is no PID")))?;
                (children.entry(pid).or_default(), mib, seconds)
            }
            // Times and levels of functions: no measurement of the process's peak.
            ["CMDLINE", ..] | ["FUNC", ..] => continue,
            _ => {
                return Err(at(
                    "no line of mprof begins so, or has so many fields".to_owned()
                ));
            }
        };
        let at_ns = time_ns(seconds, 1_000_000_000).map_err(at)?;
        // It could not read the process: it had ended.
        if mib.parse() == Ok(-1.0) {
            continue;
        }
        series.add(Some(at_ns), amount(mib, "MiB").map_err(at)?);
    }
    let mut told = Figures::default();
    told.add(all.imported("mprof", Measure::Polled, Epoch::Unix)?)?;
    for (pid, series) in children {
        let name = format!("mprof, child {pid}");
        let imported = series.imported(name, Measure::Polled, Epoch::Unix)?;
        told.add(Imported {
            pid: Some(pid),
            ..imported
        })?;
    }
    told.all("there is no figure of mprof in it")
}
