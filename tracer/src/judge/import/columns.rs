//! Any comma-separated file, with its columns named by the user:
//! `time=COLUMN,rss=COLUMN,unit=KiB,time_unit=ms`, of which `rss` must be there.

use super::{
    Epoch, Imported, Malformed, Measure,
    amount::{Series, amount, time_ns},
    table,
};
use crate::units;

const SECOND: i64 = 1_000_000_000;
/// Later than any machine has run, earlier than any clock that counts from 1970 shows.
const LONG_AGO_NS: i64 = 1_000_000_000 * SECOND;

/// What the columns hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    time: Option<String>,
    rss: String,
    unit: String,
    time_unit_ns: i64,
}

impl std::str::FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut time, mut rss, mut unit, mut time_unit_ns) = (None, None, String::new(), SECOND);
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("time", column)) => time = Some(column.to_owned()),
                Some(("rss", column)) => rss = Some(column.to_owned()),
                Some(("unit", name)) => {
                    units::parse_bytes(&format!("1{name}")).map_err(|error| error.to_string())?;
                    unit = name.to_owned();
                }
                Some(("time_unit", name)) => {
                    time_unit_ns = match name {
                        "s" => SECOND,
                        "ms" => 1_000_000,
                        "us" => 1_000,
                        "ns" => 1,
                        _ => return Err(format!("`{name}` is no unit of time: s, ms, us or ns")),
                    }
                }
                _ => {
                    return Err(format!(
                        "`{part}` is none of time=, rss=, unit=, time_unit="
                    ));
                }
            }
        }
        Ok(Self {
            time,
            rss: rss.ok_or("say which column holds the memory: rss=COLUMN")?,
            unit,
            time_unit_ns,
        })
    }
}

impl Columns {
    pub(super) fn parse(&self, text: &str) -> Result<Vec<Imported>, Malformed> {
        let mut series = Series::default();
        let mut is_unix = true;
        // Without a column of times, the memory's own stands in for it and is not looked at.
        let time = self.time.as_ref().unwrap_or(&self.rss);
        table::read(
            text,
            table::COMMA,
            [&self.rss, time],
            |line, [rss, time]| {
                let at = |reason| Malformed::at(line, reason);
                let time = self
                    .time
                    .is_some()
                    .then(|| time_ns(time, self.time_unit_ns));
                let at_ns = time.transpose().map_err(at)?;
                is_unix &= at_ns.is_some_and(|at_ns| at_ns > LONG_AGO_NS);
                series.add(at_ns, amount(rss, &self.unit).map_err(at)?);
                Ok(())
            },
        )?;
        let epoch = if is_unix { Epoch::Unix } else { Epoch::Own };
        Ok(vec![series.imported(
            format!("column {}", self.rss),
            Measure::Polled,
            epoch,
        )?])
    }
}
