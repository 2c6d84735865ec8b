//! A level over time in bounded memory: all points while they are few, later the outline.
//!
//! Time is cut into slots of a power of two of nanoseconds. Each slot keeps its first, last,
//! least and greatest point. When that is too much, slots become twice as long. So the outline is
//! equally fine everywhere, does not depend on the order of arrival, and never loses the maximum.

/// Points kept at most.
pub const MAX_POINTS: usize = 4_096;

/// A level at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
    /// Pages.
    pub pages: i64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// A slot is `1 << shift` nanoseconds long.
    shift: u32,
    /// Slots that have points, by time.
    slots: Vec<Slot>,
    /// Points that they have in all.
    points: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    number: u64,
    first: Point,
    last: Point,
    least: Point,
    greatest: Point,
}

impl Slot {
    fn new(number: u64, point: Point) -> Self {
        Self {
            number,
            first: point,
            last: point,
            least: point,
            greatest: point,
        }
    }

    fn add(&mut self, other: &Slot) {
        if other.first.at_ns < self.first.at_ns {
            self.first = other.first;
        }
        if other.last.at_ns >= self.last.at_ns {
            self.last = other.last;
        }
        // Of equal levels the earliest, so that the order of arrival does not matter.
        let low = |point: &Point| (point.pages, point.at_ns);
        let high = |point: &Point| (-point.pages, point.at_ns);
        if low(&other.least) < low(&self.least) {
            self.least = other.least;
        }
        if high(&other.greatest) < high(&self.greatest) {
            self.greatest = other.greatest;
        }
    }

    /// Its different points by time; first and last in their places even where times are equal.
    fn points(&self) -> impl Iterator<Item = Point> + use<> {
        let (a, b) = if self.least.at_ns <= self.greatest.at_ns {
            (self.least, self.greatest)
        } else {
            (self.greatest, self.least)
        };
        let (first, last) = (self.first, self.last);
        let between = |point: &Point| *point != first && *point != last;
        [
            Some(first),
            Some(a).filter(between),
            Some(b).filter(|point| between(point) && *point != a),
            Some(last).filter(|last| *last != first),
        ]
        .into_iter()
        .flatten()
    }

    fn len(&self) -> usize {
        self.points().count()
    }
}

impl Timeline {
    /// Adds a point; it may be older than others.
    pub fn add(&mut self, point: Point) {
        let slot = Slot::new(point.at_ns >> self.shift, point);
        let place = self
            .slots
            .partition_point(|other| other.number < slot.number);
        match self
            .slots
            .get_mut(place)
            .filter(|other| other.number == slot.number)
        {
            Some(same) => {
                self.points -= same.len();
                same.add(&slot);
                self.points += same.len();
            }
            None => {
                self.slots.insert(place, slot);
                self.points += 1;
            }
        }
        while self.points > MAX_POINTS {
            self.coarsen();
        }
    }

    /// Doubles the length of a slot. Ends at one slot of at most four points.
    fn coarsen(&mut self) {
        self.shift += 1;
        for slot in &mut self.slots {
            slot.number >>= 1;
        }
        self.slots.dedup_by(|later, earlier| {
            let same = later.number == earlier.number;
            if same {
                earlier.add(later);
            }
            same
        });
        self.points = self.slots.iter().map(Slot::len).sum();
    }

    /// The points kept, by time; at most [`MAX_POINTS`].
    pub fn points(&self) -> impl Iterator<Item = Point> + '_ {
        self.slots.iter().flat_map(Slot::points)
    }

    /// The greatest level of all points ever added, the earliest of equals.
    pub fn greatest(&self) -> Option<Point> {
        let greatest = self.slots.iter().map(|slot| slot.greatest);
        greatest.max_by_key(|point| (point.pages, std::cmp::Reverse(point.at_ns)))
    }

    /// The latest point.
    pub fn last(&self) -> Option<Point> {
        self.slots.last().map(|slot| slot.last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn of(points: &[(u64, i64)]) -> Timeline {
        let mut timeline = Timeline::default();
        for &(at_ns, pages) in points {
            timeline.add(Point { at_ns, pages });
        }
        timeline
    }

    #[test]
    fn few_points_are_all_kept() {
        let timeline = of(&[(5, 10), (7, 3), (6, 12), (6, 12)]);
        let points: Vec<_> = timeline.points().map(|p| (p.at_ns, p.pages)).collect();
        assert_eq!(points, [(5, 10), (6, 12), (7, 3)]);
    }

    #[test]
    fn many_points_keep_the_outline() {
        let many: Vec<_> = (0..100_000)
            .map(|i| (i * 1000, if i == 77_777 { 999 } else { 1 }))
            .collect();
        let timeline = of(&many);
        let points: Vec<_> = timeline.points().map(|p| (p.at_ns, p.pages)).collect();
        assert!(points.len() <= MAX_POINTS);
        assert!(points.len() > MAX_POINTS / 4, "{}", points.len());
        assert_eq!(points.first(), Some(&(0, 1)));
        assert_eq!(points.last(), Some(&(99_999_000, 1)));
        assert!(points.contains(&(77_777_000, 999)));
    }

    proptest! {
        // Points out of order are slow to place: in a run they are few.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_maximum_survives_and_order_is_by_time(
            points in prop::collection::vec((0..1_u64 << 40, -5..1000_i64), 0..6000),
        ) {
            let timeline = of(&points);
            let kept: Vec<_> = timeline.points().collect();
            prop_assert!(kept.len() <= MAX_POINTS);
            prop_assert!(kept.is_sorted_by_key(|point| point.at_ns));
            let given: HashSet<_> = points.iter().copied().collect();
            prop_assert!(kept.iter().all(|p| given.contains(&(p.at_ns, p.pages))));
            let highest = points.iter().map(|p| p.1).max();
            prop_assert_eq!(timeline.greatest().map(|p| p.pages), highest);
            prop_assert_eq!(kept.iter().map(|p| p.pages).max(), highest);
            prop_assert_eq!(kept.iter().map(|p| p.pages).min(), points.iter().map(|p| p.1).min());
            let last = points.iter().map(|p| p.0).max();
            prop_assert_eq!(timeline.last().map(|p| p.at_ns), last);
        }

        #[test]
        fn bursts_stay_bounded(times in prop::collection::vec(0..64_u64, 0..20_000)) {
            let points: Vec<_> = times.iter().enumerate().map(|(i, t)| (*t, i as i64)).collect();
            let kept = of(&points).points().count();
            prop_assert!(kept <= MAX_POINTS);
        }
    }
}
