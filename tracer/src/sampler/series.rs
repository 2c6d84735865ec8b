//! What an instrument saw, in bounded memory: every look while there is room, then the higher one
//! of each two, so that the peak is always among those kept.

/// Looks that are kept, at most: with three numbers each, 1.5 MiB.
const MOST_KEPT: usize = 1 << 16;

/// One look. Times are of `CLOCK_MONOTONIC`, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Before the first file was read.
    pub begin_ns: u64,
    /// After the last one.
    pub end_ns: u64,
    /// What it came to.
    pub bytes: u64,
}

/// Looks of one instrument, and what was beside the highest: `T`.
#[derive(Clone, Debug)]
pub struct Series<T> {
    kept: Vec<Look>,
    count: u64,
    /// When the first and the last one began.
    times_ns: Option<(u64, u64)>,
    highest: Option<(Look, T)>,
}

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            count: 0,
            times_ns: None,
            highest: None,
        }
    }
}

impl<T> Series<T> {
    /// Takes a look in, which came after those before.
    pub fn add(&mut self, look: Look, beside: T) {
        if self.kept.len() == MOST_KEPT {
            let pairs = self.kept.chunks(2);
            let higher = pairs.filter_map(|pair| pair.iter().max_by_key(|look| look.bytes));
            self.kept = higher.copied().collect();
        }
        self.kept.push(look);
        self.count += 1;
        let first_ns = self
            .times_ns
            .map_or(look.begin_ns, |(first_ns, _)| first_ns);
        self.times_ns = Some((first_ns, look.begin_ns));
        if self
            .highest
            .as_ref()
            .is_none_or(|(highest, _)| look.bytes > highest.bytes)
        {
            self.highest = Some((look, beside));
        }
    }

    /// The looks kept, by time.
    pub fn looks(&self) -> &[Look] {
        &self.kept
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The highest, and what was beside it; `None` if there was none.
    pub fn highest(&self) -> Option<&(Look, T)> {
        self.highest.as_ref()
    }

    /// How far apart they were in the mean, nanoseconds; `None` if there were not two.
    pub fn every_ns(&self) -> Option<u64> {
        let (first_ns, last_ns) = self.times_ns?;
        (last_ns - first_ns).checked_div(self.count.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_and_the_count_outlive_the_room() {
        let mut series = Series::default();
        let looks = 5 * MOST_KEPT as u64;
        for i in 0..looks {
            let bytes = if i == 70_001 { 9_000_000 } else { i };
            let look = Look {
                begin_ns: i * 10,
                end_ns: i * 10 + 1,
                bytes,
            };
            series.add(look, i);
        }
        assert!(series.looks().len() <= MOST_KEPT);
        assert_eq!((series.count(), series.every_ns()), (looks, Some(10)));
        let (highest, beside) = series.highest().unwrap();
        assert_eq!((highest.bytes, *beside), (9_000_000, 70_001));
        assert!(series.looks().iter().any(|look| look.bytes == 9_000_000));
        assert!(series.looks().is_sorted_by_key(|look| look.begin_ns));
    }
}
