//! Amounts and times as tools print them.

use super::{Epoch, Imported, Malformed, Measure};
use crate::units;

/// An amount of memory as it was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) bytes: u64,
    /// What one more in the last digit would be, bytes; at least 1.
    pub(super) step_bytes: u64,
}

/// Reads a number with its unit behind it, or of a unit that is known: `""` for the former.
pub(super) fn amount(text: &str, unit: &str) -> Result<Amount, String> {
    let refused = || match unit {
        "" => format!("`{text}` is no amount of memory"),
        _ => format!("`{text}` is no number of {unit}"),
    };
    let printed = format!("{}{unit}", text.trim());
    let bytes = units::parse_bytes(&printed).map_err(|_| refused())?;
    let number = printed.trim_end_matches(|c: char| !c.is_ascii_digit() && c != '.');
    let decimals = number.split_once('.').map_or(0, |(_, digits)| digits.len());
    let one = format!("1{}", printed[number.len()..].trim_start());
    let one_bytes = units::parse_bytes(&one).map_err(|_| refused())?;
    let parts = u32::try_from(decimals)
        .ok()
        .and_then(|d| 10_u64.checked_pow(d));
    Ok(Amount {
        bytes,
        step_bytes: parts.map_or(1, |parts| one_bytes.div_ceil(parts)),
    })
}

/// Reads a time that is printed as a number of a unit of so many nanoseconds: to the nanosecond,
/// and with an exponent (some print so what is nearly 0) to the nearest that a float can tell.
pub(super) fn time_ns(text: &str, unit_ns: i64) -> Result<i64, String> {
    let text = text.trim();
    let refused = || format!("`{text}` is no time");
    if text.contains(['e', 'E']) {
        let ns = text.parse::<f64>().map_err(|_| refused())? * unit_ns as f64;
        let is_held = ns.abs() < i64::MAX as f64;
        return is_held.then_some(ns as i64).ok_or_else(refused);
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return Err(refused());
    }
    let whole: i64 = whole.parse().map_err(|_| refused())?;
    let mut ns = whole.checked_mul(unit_ns).ok_or_else(refused)?;
    let mut digit_ns = unit_ns;
    for digit in fraction.bytes() {
        digit_ns /= 10;
        ns = ns
            .checked_add(i64::from(digit - b'0') * digit_ns)
            .ok_or_else(refused)?;
    }
    Ok(sign * ns)
}

/// More than any one run has of jobs, tasks, containers or children.
const MOST_FIGURES: usize = 1_000;

/// The figures of a file that tells of several things.
#[derive(Debug, Default)]
pub(super) struct Figures(Vec<Imported>);

impl Figures {
    pub(super) fn add(&mut self, imported: Imported) -> Result<(), Malformed> {
        if self.0.len() == MOST_FIGURES {
            return Err(Malformed::whole(format!(
                "it tells of more than {MOST_FIGURES} jobs, tasks or processes: leave those in \
                 that are of this run"
            )));
        }
        self.0.push(imported);
        Ok(())
    }

    /// All of them.
    ///
    /// # Errors
    ///
    /// With the reason, if there is none.
    pub(super) fn all(self, else_reason: &str) -> Result<Vec<Imported>, Malformed> {
        if self.0.is_empty() {
            return Err(Malformed::whole(else_reason));
        }
        Ok(self.0)
    }
}

/// A single figure without a time.
pub(super) fn figure(
    name: impl Into<String>,
    measure: Measure,
    amount: Amount,
    nominal_ns: Option<u64>,
) -> Imported {
    Imported {
        name: name.into(),
        measure,
        pid: None,
        peak_bytes: amount.bytes,
        step_bytes: amount.step_bytes,
        nominal_ns,
        epoch: Epoch::Own,
        samples: Vec::new(),
    }
}

/// A series that grows sample by sample.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    samples: Vec<(i64, u64)>,
    peak: Option<Amount>,
}

impl Series {
    pub(super) fn add(&mut self, at_ns: Option<i64>, amount: Amount) {
        if let Some(at_ns) = at_ns {
            self.samples.push((at_ns, amount.bytes));
        }
        if self.peak.is_none_or(|peak| amount.bytes > peak.bytes) {
            self.peak = Some(amount);
        }
    }

    /// What it comes to.
    ///
    /// # Errors
    ///
    /// If nothing was added.
    pub(super) fn imported(
        self,
        name: impl Into<String>,
        measure: Measure,
        epoch: Epoch,
    ) -> Result<Imported, Malformed> {
        let name = name.into();
        let peak = self
            .peak
            .ok_or_else(|| Malformed::whole(format!("there is no figure of {name} in it")))?;
        Ok(Imported {
            name,
            measure,
            pid: None,
            peak_bytes: peak.bytes,
            step_bytes: peak.step_bytes,
            nominal_ns: None,
            epoch,
            samples: self.samples,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_their_last_digit() {
        for (text, unit, bytes, step_bytes) in [
            ("42.890625", "MiB", 44_974_080, 2),
            ("11.176", "MiB", 11_718_885, 1049),
            ("43724", "KiB", 44_773_376, 1024),
            ("1.945MiB", "", 2_039_480, 1049),
            ("12345K", "", 12_641_280, 1024),
            ("7", "", 7, 1),
        ] {
            let expected = Amount { bytes, step_bytes };
            assert_eq!(amount(text, unit), Ok(expected), "{text}{unit}");
        }
        for text in ["", "x", "-1", "1e3", "1.2.3", "nan"] {
            assert!(amount(text, "MiB").is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_to_the_nanosecond() {
        let second = 1_000_000_000;
        assert_eq!(
            time_ns("1795366283.3231", second),
            Ok(1_795_366_283_323_100_000)
        );
        assert_eq!(time_ns(" 0.053", second), Ok(53_000_000));
        assert_eq!(time_ns("-1.5", second), Ok(-1_500_000_000));
        assert_eq!(time_ns("6.794929504394531e-05", second), Ok(67_949));
        for text in ["", ".", "e", "1e300", "nane", "9999999999999", "1.x"] {
            assert!(time_ns(text, second).is_err(), "{text}");
        }
    }
}
