//! How long one space was at each level, in bounded memory: exact while the levels are few, later
//! with so many significant bits each.
//!
//! A dense histogram of the common kind takes tens of KiB; of thousands of processes that would
//! be more than all of memtrace. Nearly all of them visit few levels.

/// Significant bits of a level once there are too many of them; fewer when that is still too many.
const FIRST_BITS: u32 = 11;
/// Not fewer than these, whatever the limit.
const LEAST_BITS: u32 = 4;
/// More than a level has: it is exact.
const EXACT: u32 = i64::BITS;

/// See the module.
#[derive(Clone, Debug)]
pub struct Held {
    bits: u32,
    /// Least of the levels that count as one, pages, and how long in nanoseconds; by level.
    entries: Vec<(i64, u64)>,
    /// Entry used last: the next one is mostly that or a neighbour.
    near: usize,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            bits: EXACT,
            entries: Vec::new(),
            near: 0,
        }
    }
}

impl Held {
    /// Adds time at a level; time with nothing resident does not count.
    pub fn add(&mut self, pages: i64, ns: u64, most: usize) {
        if pages <= 0 || ns == 0 {
            return;
        }
        let level = lowest(pages, self.bits);
        match self.find(level) {
            Ok(place) => {
                self.near = place;
                let held = &mut self.entries[place].1;
                *held = held.saturating_add(ns);
            }
            Err(place) => {
                self.near = place;
                self.entries.insert(place, (level, ns));
                self.limit(most);
            }
        }
    }

    fn find(&self, level: i64) -> Result<usize, usize> {
        let is_it = |place: &usize| self.entries.get(*place).is_some_and(|e| e.0 == level);
        let near = [self.near, self.near + 1, self.near.wrapping_sub(1)];
        match near.into_iter().find(is_it) {
            Some(place) => Ok(place),
            None => self.entries.binary_search_by_key(&level, |entry| entry.0),
        }
    }

    /// Tells fewer levels apart until there are at most so many.
    pub fn limit(&mut self, most: usize) {
        while self.entries.len() > most && self.bits > LEAST_BITS {
            self.bits = (self.bits - 1).min(FIRST_BITS);
            for entry in &mut self.entries {
                entry.0 = lowest(entry.0, self.bits);
            }
            self.entries.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    earlier.1 = earlier.1.saturating_add(later.1);
                }
                same
            });
        }
    }

    /// Levels told apart.
    pub fn levels(&self) -> usize {
        self.entries.len()
    }

    /// All the time, nanoseconds.
    pub fn total_ns(&self) -> u64 {
        let times = self.entries.iter().map(|entry| entry.1);
        times.fold(0, u64::saturating_add)
    }

    /// Each level (the greatest of those that count as one) with its time, by level.
    pub fn entries(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        let greatest = |level: i64| level + step(level, self.bits) - 1;
        self.entries
            .iter()
            .map(move |(level, ns)| (greatest(*level), *ns))
    }

    /// The level that was not exceeded for so many hundredths of the time, pages; `None` if there
    /// was no time.
    pub fn percentile(&self, hundredths: u64) -> Option<i64> {
        let total = u128::from(self.total_ns());
        let wanted = (total * u128::from(hundredths)).div_ceil(100);
        let mut so_far = 0;
        let mut reached = self.entries().skip_while(|(_, ns)| {
            so_far += u128::from(*ns);
            so_far < wanted
        });
        reached.next().map(|(level, _)| level)
    }

    /// By how much a level can be told too high, pages.
    pub fn error(&self) -> i64 {
        let steps = self
            .entries
            .iter()
            .map(|(level, _)| step(*level, self.bits) - 1);
        steps.max().unwrap_or(0)
    }
}

/// Levels that count as one with this one.
fn step(level: i64, bits: u32) -> i64 {
    let len = i64::BITS - level.leading_zeros();
    1 << len.saturating_sub(bits)
}

fn lowest(level: i64, bits: u32) -> i64 {
    level & -step(level, bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_levels_are_exact() {
        let mut held = Held::default();
        for (pages, ns) in [(1_000_003, 10), (7, 80), (0, 1000), (1_000_003, 10)] {
            held.add(pages, ns, 64);
        }
        assert_eq!(held.total_ns(), 100);
        assert_eq!(held.percentile(50), Some(7));
        assert_eq!(held.percentile(80), Some(7));
        assert_eq!(held.percentile(81), Some(1_000_003));
        assert_eq!((held.percentile(99), held.error()), (Some(1_000_003), 0));
        assert_eq!(Held::default().percentile(50), None);
    }

    proptest! {
        #[test]
        fn many_levels_stay_within_the_error_told(
            times in prop::collection::vec((1..1_i64 << 34, 1..1000_u64), 1..600),
        ) {
            let mut held = Held::default();
            for (pages, ns) in &times {
                held.add(*pages, *ns, 200);
            }
            prop_assert_eq!(held.total_ns(), times.iter().map(|t| t.1).sum::<u64>());
            prop_assert!(held.levels() <= 200 || held.bits == LEAST_BITS);
            let mut sorted = times.clone();
            sorted.sort_unstable();
            for hundredths in [50, 90, 99] {
                let wanted = (held.total_ns() * hundredths).div_ceil(100);
                let mut so_far = 0;
                let truth = sorted.iter().find(|t| { so_far += t.1; so_far >= wanted }).unwrap().0;
                let told = held.percentile(hundredths).unwrap();
                prop_assert!(told >= truth && told - truth <= held.error(), "{told} {truth}");
            }
        }
    }
}
