//! Sizes, durations and counts as people write them: `1.5GiB`, `350 ms`, `12,345`.
//!
//! Integers throughout: what is printed is rounded to the nearest step shown, and what is parsed
//! is exact. (Floating point, as size crates use it, is wrong beyond 2^53 bytes and saturates.)

use std::{fmt, time::Duration};

use thiserror::Error;

/// Binary units, each 1024 of the one before.
const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MINUTE: u64 = 60 * NANOS_PER_SECOND;
const NANOS_PER_HOUR: u64 = 60 * NANOS_PER_MINUTE;

/// Why a size or a duration cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// No digits where a number belongs.
    #[error("`{0}` does not start with a number (write it like {1})")]
    NoNumber(String, &'static str),
    /// The unit is not one of ours.
    #[error("`{0}` is no unit (write it like {1})")]
    UnknownUnit(String, &'static str),
    /// More than can be held.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// An amount of memory in bytes; negative where a class of the kernel's counters is.
///
/// Prints like `1.5GiB`, with two decimals at most (one from 100 on); `{:+}` prints the sign of a
/// difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub i64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.0 {
            n if n < 0 => "-",
            n if n > 0 && f.sign_plus() => "+",
            _ => "",
        };
        let n = u128::from(self.0.unsigned_abs());
        for (power, unit) in (0_u32..).zip(BINARY) {
            // The smallest unit of which there are fewer than 1024 after rounding, so that
            // 1023.99KiB becomes 1MiB.
            for (steps, most) in [(100, 100), (10, 1024)] {
                let rounded = ((n * steps * 2) >> (10 * power)).div_ceil(2);
                if rounded < most * steps {
                    let (whole, part) = (rounded / steps, rounded % steps);
                    let text = format!("{whole}.{part:0width$}", width = steps.ilog10() as usize);
                    let text = text.trim_end_matches('0').trim_end_matches('.');
                    return pad(f, &format!("{sign}{text}{unit}"));
                }
            }
        }
        pad(f, &format!("{sign}{n}B"))
    }
}

/// Fills up to the width asked for, without touching precision or sign.
fn pad(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let missing = f.width().unwrap_or(0).saturating_sub(text.chars().count());
    let left = match f.align() {
        Some(fmt::Alignment::Right) => missing,
        Some(fmt::Alignment::Center) => missing / 2,
        Some(fmt::Alignment::Left) | None => 0,
    };
    write!(f, "{:left$}{text}{:right$}", "", "", right = missing - left)
}

/// Reads `1.5GiB`, `64K`, `10 MB` (decimal, 10^6) or a plain number of bytes; rounds down.
pub fn parse_bytes(text: &str) -> Result<u64, ParseError> {
    const EXAMPLE: &str = "64KiB or 1.5GiB";
    let (number, unit, rest) = number_and_unit(text.trim(), EXAMPLE)?;
    let unknown = || ParseError::UnknownUnit(unit.to_owned(), EXAMPLE);
    if !rest.is_empty() {
        return Err(ParseError::UnknownUnit(format!("{unit}{rest}"), EXAMPLE));
    }
    let bytes = number.times(size_factor(unit).ok_or_else(unknown)?);
    bytes
        .and_then(|bytes| u64::try_from(bytes).ok())
        .ok_or_else(|| ParseError::TooLarge(text.to_owned()))
}

fn size_factor(unit: &str) -> Option<u64> {
    let lower = unit.to_ascii_lowercase();
    let prefix = lower.strip_suffix('b').unwrap_or(&lower);
    let power = |letter: &str| {
        ["", "k", "m", "g", "t", "p", "e"]
            .iter()
            .position(|l| *l == letter)
    };
    // One letter means the same as three, as systemd, docker and ulimit have it.
    if let Some(letter) = prefix.strip_suffix('i') {
        return power(letter).filter(|p| *p > 0).map(|p| 1 << (10 * p));
    }
    let power = power(prefix)?;
    let decimal = lower.ends_with('b') && power > 0;
    Some(if decimal {
        1000_u64.pow(u32::try_from(power).ok()?)
    } else {
        1 << (10 * power)
    })
}

/// A length of time in nanoseconds. Prints like `350 ms`, `1.23 s`, `2 min 05 s`, `1 h 02 min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        pad(f, &self.text())
    }
}

impl Nanos {
    fn text(self) -> String {
        let n = u128::from(self.0);
        if n == 0 {
            return "0 s".to_owned();
        }
        for (unit, factor, limit) in [
            ("ns", 1, 1000),
            ("µs", 1_000, 1000),
            ("ms", 1_000_000, 1000),
            ("s", 1_000_000_000, 60),
        ] {
            // Three digits: as many decimals as leave the rounded number below 1000 of its steps.
            let most = if factor == 1 { 0 } else { 2 };
            for decimals in (0..=most).rev() {
                let step = 10_u128.pow(decimals);
                let steps = (n * step * 2 / factor).div_ceil(2);
                if steps < 1000 && steps < limit * step {
                    let whole = steps / step;
                    return match decimals {
                        0 => format!("{whole} {unit}"),
                        _ => format!(
                            "{whole}.{:0width$} {unit}",
                            steps % step,
                            width = decimals as usize
                        ),
                    };
                }
            }
        }
        let seconds = (n + u128::from(NANOS_PER_SECOND / 2)) / u128::from(NANOS_PER_SECOND);
        if seconds < 3600 {
            return format!("{} min {:02} s", seconds / 60, seconds % 60);
        }
        let minutes = (n + u128::from(NANOS_PER_MINUTE / 2)) / u128::from(NANOS_PER_MINUTE);
        format!("{} h {:02} min", minutes / 60, minutes % 60)
    }
}

/// Reads `10s`, `500ms`, `2m`, `1h 30min`; a number alone is seconds, as in `timeout`.
pub fn parse_duration(text: &str) -> Result<Duration, ParseError> {
    const EXAMPLE: &str = "500ms, 10s or 2m";
    let too_large = || ParseError::TooLarge(text.to_owned());
    let mut total = 0_u64;
    let mut left = text.trim();
    loop {
        let (number, unit, rest) = number_and_unit(left, EXAMPLE)?;
        let factor = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "" | "s" => NANOS_PER_SECOND,
            "m" | "min" => NANOS_PER_MINUTE,
            "h" => NANOS_PER_HOUR,
            _ => return Err(ParseError::UnknownUnit(unit.to_owned(), EXAMPLE)),
        };
        let part = number
            .times(factor)
            .and_then(|part| u64::try_from(part).ok());
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(too_large)?;
        if rest.is_empty() {
            return Ok(Duration::from_nanos(total));
        }
        left = rest;
    }
}

/// A count, printed in groups of three digits: `12,345`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        pad(f, &text)
    }
}

/// A decimal number as digits and a power of ten, so that nothing is rounded before the unit is
/// known.
struct Decimal {
    digits: u128,
    decimals: u32,
}

impl Decimal {
    /// The number times `factor`, rounded down; `None` beyond `u128`.
    fn times(&self, factor: u64) -> Option<u128> {
        let product = self.digits.checked_mul(u128::from(factor))?;
        Some(product / 10_u128.checked_pow(self.decimals)?)
    }
}

/// Splits `1.5GiB rest` into the number, its unit and what follows.
fn number_and_unit<'a>(
    text: &'a str,
    example: &'static str,
) -> Result<(Decimal, &'a str, &'a str), ParseError> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(ParseError::NoNumber(text.to_owned(), example));
    }
    let too_large = || ParseError::TooLarge(text.to_owned());
    let digits = format!("{whole}{fraction}")
        .parse()
        .map_err(|_| too_large())?;
    let decimals = u32::try_from(fraction.len()).map_err(|_| too_large())?;
    let rest = rest.trim_start();
    let end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.' || c.is_whitespace())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    Ok((Decimal { digits, decimals }, unit, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_print_round_values_exactly() {
        for (bytes, text) in [
            (0, "0B"),
            (1, "1B"),
            (1023, "1023B"),
            (65_536, "64KiB"),
            (3 << 29, "1.5GiB"),
            (1_048_575, "1MiB"),
            (68_194_304, "65.04MiB"),
            (-4096, "-4KiB"),
            (131_510_000, "125.4MiB"),
            (104_852_000, "99.99MiB"),
            (i64::MAX, "8EiB"),
            (i64::MIN, "-8EiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(format!("{:+}", Bytes(4096)), "+4KiB");
        assert_eq!(format!("{:+}", Bytes(0)), "0B");
        assert_eq!(format!("[{:>8}]", Bytes(4096)), "[    4KiB]");
    }

    #[test]
    fn sizes_parse_as_they_are_written() {
        for (text, bytes) in [
            ("1.5GiB", 3 << 29),
            ("64KiB", 65_536),
            ("64k", 65_536),
            ("10 MB", 10_000_000),
            ("2g", 2 << 30),
            ("512", 512),
            ("512B", 512),
            ("0.5KiB", 512),
            (".5MiB", 1 << 19),
            ("9007199254740993B", 9_007_199_254_740_993),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in [
            "", "GiB", "1.2.3K", "-1K", "1X", "1KiBB", "16EiB", "1K 1K", "ib", "1iB", "+1",
        ] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_print_three_digits() {
        for (nanos, text) in [
            (0, "0 s"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (350_000_000, "350 ms"),
            (999_600_000, "1.00 s"),
            (1_230_000_000, "1.23 s"),
            (9_996_000_000, "10.0 s"),
            (59_940_000_000, "59.9 s"),
            (59_960_000_000, "1 min 00 s"),
            (125_000_000_000, "2 min 05 s"),
            (3_599_600_000_000, "1 h 00 min"),
            (3_720_000_000_000, "1 h 02 min"),
        ] {
            assert_eq!(Nanos(nanos).to_string(), text);
        }
    }

    #[test]
    fn durations_parse_as_they_are_written() {
        for (text, nanos) in [
            ("10s", 10_000_000_000),
            ("500ms", 500_000_000),
            ("2m", 120_000_000_000),
            ("1.5", 1_500_000_000),
            ("1h30m", 5_400_000_000_000),
            ("2 min 05 s", 125_000_000_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_nanos(nanos)),
                "{text}"
            );
        }
        for text in ["", "s", "10 years", "-1s", "99999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_come_in_threes() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(Count(count).to_string(), text);
        }
    }

    proptest! {
        /// What is printed reads back as the same within half of the last digit shown.
        #[test]
        fn sizes_survive_a_round_trip(bytes in (0..60_u32).prop_flat_map(|bits| 0..=1_i64 << bits)) {
            let back = parse_bytes(&Bytes(bytes).to_string()).unwrap().cast_signed();
            // 0.005 of a unit, of which there is at least one; one more byte for rounding down.
            prop_assert!((back - bytes).abs() <= bytes / 200 + 1, "{bytes} -> {back}");
        }

        #[test]
        fn round_sizes_survive_exactly(n in 0..1024_i64, power in 0..5_u32) {
            let bytes = n << (10 * power);
            prop_assert_eq!(parse_bytes(&Bytes(bytes).to_string()), Ok(bytes.unsigned_abs()));
        }

        #[test]
        fn durations_survive_a_round_trip(nanos in (0..62_u32).prop_flat_map(|bits| 0..=1_u64 << bits)) {
            let back = parse_duration(&Nanos(nanos).to_string()).unwrap().as_nanos();
            let nanos = u128::from(nanos);
            prop_assert!(back.abs_diff(nanos) <= nanos / 100, "{nanos} -> {back}");
        }

        #[test]
        fn counts_keep_their_digits(count: u64) {
            prop_assert_eq!(Count(count).to_string().replace(',', ""), count.to_string());
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,24}") {
            let _ = parse_bytes(&text);
            let _ = parse_duration(&text);
        }
    }
}
