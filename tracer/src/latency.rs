//! How long page faults took: from what each CPU counted to one distribution. Knows neither maps
//! nor reports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracer_common::latency::{FaultSums, greatest_of};

/// Whether the time of page faults is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum FaultLatency {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// It is.
    Taken,
    /// It was asked for and cannot be had.
    Unavailable {
        /// Why, a clause.
        why: String,
    },
}

/// Faults by how long they took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultLatencies {
    /// Greatest value of a bucket, nanoseconds, and the faults in it; those that hold some.
    pub buckets: Vec<(u64, u64)>,
    /// Shortest; 0 if there was none.
    pub least_ns: u64,
    /// Longest.
    pub greatest_ns: u64,
    /// Faults that the kernel has counted and whose begin or end was not seen.
    pub lost: u64,
}

impl FaultLatencies {
    /// Adds up what the CPUs counted: faults by number of their bucket, and the rest.
    pub fn of(
        counted: impl IntoIterator<Item = (u32, u64)>,
        sums: impl IntoIterator<Item = FaultSums>,
    ) -> Self {
        let mut buckets = BTreeMap::new();
        for (bucket, faults) in counted {
            if faults > 0 {
                *buckets.entry(greatest_of(bucket)).or_default() += faults;
            }
        }
        let mut all = Self {
            buckets: buckets.into_iter().collect(),
            ..Self::default()
        };
        for cpu in sums {
            all.lost += cpu.lost;
            if cpu.least_ns > 0 {
                all.least_ns = match all.least_ns {
                    0 => cpu.least_ns,
                    least => least.min(cpu.least_ns),
                };
                all.greatest_ns = all.greatest_ns.max(cpu.greatest_ns);
            }
        }
        all
    }

    /// All faults.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, faults)| faults).sum()
    }

    /// The time that so many hundredths of the faults did not exceed, told at most 1/16 too high.
    pub fn percentile(&self, hundredths: u64) -> u64 {
        let wanted = u128::from(self.count()) * u128::from(hundredths);
        let mut below = 0;
        let reached = self.buckets.iter().find(|(_, faults)| {
            below += u128::from(*faults) * 100;
            below >= wanted
        });
        reached.map_or(0, |(upper, _)| (*upper).min(self.greatest_ns))
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use proptest::prelude::*;
    use tracer_common::latency::{BUCKETS, DIGITS, bucket, greatest_of};

    use super::*;

    /// Values of every size alike.
    fn values() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64_u32).prop_map(|(value, shift)| value >> shift)
    }

    proptest! {
        #[test]
        fn a_value_is_in_its_bucket_and_at_most_a_sixteenth_below_its_end(value in values()) {
            let bucket = bucket(value);
            let end = greatest_of(bucket);
            prop_assert!(bucket < BUCKETS);
            prop_assert!(value <= end);
            prop_assert!(end - value <= value / 16);
            prop_assert!(bucket == 0 || greatest_of(bucket - 1) < value);
        }

        /// A second implementation.
        #[test]
        fn buckets_are_those_of_hdrhistogram(value in values()) {
            let value = value.min(i64::MAX.unsigned_abs());
            let other = Histogram::<u64>::new_with_bounds(1, i64::MAX.unsigned_abs(), DIGITS);
            let other = other.expect("sound bounds");
            prop_assert_eq!(greatest_of(bucket(value)), other.highest_equivalent(value));
        }

        #[test]
        fn percentiles_are_those_of_the_sorted_values(
            mut values in proptest::collection::vec(1..u64::MAX, 1..200),
            hundredths in 1..=100_u64,
        ) {
            values.sort_unstable();
            let all = of_one_cpu(&values);
            prop_assert_eq!(all.count(), values.len() as u64);
            let rank = (values.len() as u64 * hundredths).div_ceil(100) as usize;
            let exact = values[rank - 1];
            let told = all.percentile(hundredths);
            prop_assert!(told >= exact && told - exact <= exact / 16, "{} {}", told, exact);
        }
    }

    fn of_one_cpu(values: &[u64]) -> FaultLatencies {
        let sums = FaultSums {
            least_ns: values.iter().copied().min().unwrap_or(0),
            greatest_ns: values.iter().copied().max().unwrap_or(0),
            lost: 0,
        };
        let counted = values.iter().map(|value| (bucket(*value), 1));
        FaultLatencies::of(counted, [sums])
    }

    #[test]
    fn the_ends_of_the_scale() {
        assert_eq!(bucket(0), 0);
        assert_eq!(greatest_of(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(greatest_of(BUCKETS - 1), u64::MAX);
    }

    #[test]
    fn cpus_that_saw_nothing_do_not_make_the_least_zero() {
        let sums = |least_ns, greatest_ns, lost| FaultSums {
            least_ns,
            greatest_ns,
            lost,
        };
        let cpus = [sums(0, 0, 1), sums(900, 4_000, 0), sums(700, 800, 2)];
        let counted = [(bucket(900), 1), (bucket(4_000), 1), (bucket(700), 1)];
        let all = FaultLatencies::of(counted.into_iter().chain([(3, 0)]), cpus);
        assert_eq!((all.least_ns, all.greatest_ns, all.lost), (700, 4_000, 3));
        assert_eq!((all.count(), all.buckets.len()), (3, 3));
        assert_eq!(all.percentile(100), 4_000);
        assert_eq!(FaultLatencies::default().percentile(50), 0);
    }
}
