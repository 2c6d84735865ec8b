//! How often, or how long, a figure was what: an HDR histogram of two significant digits.

use hdrhistogram::Histogram;

/// Significant digits: a value is told at most 1/128 too high.
pub const DIGITS: u8 = 2;
const GREATEST: u64 = i64::MAX as u64;

/// See the module.
#[derive(Clone, Debug)]
pub struct Distribution {
    histogram: Histogram<u64>,
    least: Option<u64>,
    greatest: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, GREATEST, DIGITS)
                .expect("the bounds are constant and sound"),
            least: None,
            greatest: 0,
        }
    }
}

impl Distribution {
    /// Counts a value so many times.
    pub fn add(&mut self, value: u64, weight: u64) {
        if weight == 0 {
            return;
        }
        self.histogram.saturating_record_n(value, weight);
        self.least = Some(self.least.map_or(value, |least| least.min(value)));
        self.greatest = self.greatest.max(value);
    }

    /// Sum of the weights.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Least value, exact; `None` if there is none.
    pub fn least(&self) -> Option<u64> {
        self.least
    }

    /// Greatest value, exact.
    pub fn greatest(&self) -> u64 {
        self.greatest
    }

    /// The value that so many hundredths of the weight do not exceed.
    pub fn percentile(&self, hundredths: u32) -> u64 {
        let value = self.histogram.value_at_percentile(hundredths.into());
        value.min(self.greatest)
    }

    /// Buckets that hold something, by value: the greatest value of each, its weight.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let recorded = self.histogram.iter_recorded();
        recorded.map(|step| {
            let upper = self.histogram.highest_equivalent(step.value_iterated_to());
            (upper, step.count_at_value())
        })
    }
}
