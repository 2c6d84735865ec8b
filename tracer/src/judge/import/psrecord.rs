//! `psrecord --log`: a line for each look, in seconds since psrecord began and MiB (which it calls
//! MB). With `--log-format csv` the same in other words.

use super::{
    Epoch, Imported, Malformed, Measure,
    amount::{Series, amount, time_ns},
    lines, table,
};

const PLAIN: &str = "# Elapsed time";
const CSV: &str = "elapsed_time,";

pub(super) fn is_it(text: &str) -> bool {
    text.starts_with(PLAIN) || text.starts_with(CSV)
}

pub(super) fn parse(text: &str) -> Result<Vec<Imported>, Malformed> {
    let mut series = Series::default();
    let mut look = |line: u64, seconds: &str, mib: &str| {
        let at = |reason| Malformed::at(line, reason);
        let at_ns = time_ns(seconds, 1_000_000_000).map_err(at)?;
        series.add(Some(at_ns), amount(mib, "MiB").map_err(at)?);
        Ok(())
    };
    if text.starts_with(CSV) {
        let columns = ["elapsed_time", "mem_real"];
        table::read(text, table::COMMA, columns, |line, [seconds, mib]| {
            look(line, seconds, mib)
        })?;
    } else {
        if !text.starts_with(PLAIN) {
            return Err(Malformed::at(
                1,
                format!("it does not begin with `{PLAIN}`"),
            ));
        }
        for (line, text) in lines(text).filter(|(_, line)| !line.starts_with('#')) {
            let fields: Vec<_> = text.split_whitespace().collect();
            match fields.as_slice() {
                [seconds, _cpu, mib, _virtual, ..] => look(line, seconds, mib)?,
                _ => return Err(Malformed::at(line, "it has fewer than four fields")),
            }
        }
    }
    Ok(vec![series.imported(
        "psrecord",
        Measure::Polled,
        Epoch::Own,
    )?])
}
