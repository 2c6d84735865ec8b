//! A level over time in bounded memory: all points while they are few, later the outline.
//!
//! Time is cut into slots of a power of two of nanoseconds. Each slot keeps its first, last,
//! least and greatest point. When that is too much, slots become twice as long. So the outline is
//! equally fine everywhere, does not depend on the order of arrival, and never loses the maximum.

use std::cmp::Reverse;

use tracer_common::ledger::Split;

/// Points of the target's timeline, at most.
pub const MAX_POINTS: usize = 4_096;

/// What a timeline can be of.
pub trait Level: Copy + PartialEq {
    /// By which the least and the greatest are found, pages.
    fn rank(&self) -> i64;
}

impl Level for i64 {
    fn rank(&self) -> i64 {
        *self
    }
}

impl Level for Split {
    fn rank(&self) -> i64 {
        self.rss()
    }
}

/// A level at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point<L = i64> {
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
    /// Pages, in all or by class.
    pub pages: L,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Timeline<L = i64> {
    /// Points that are given out, at most. Twice as many are held before they are thinned, so
    /// that thinning costs little for each point.
    most: usize,
    /// A slot is `1 << shift` nanoseconds long.
    shift: u32,
    /// By time; those of equal times as they came.
    points: Vec<Point<L>>,
    /// Where the last slot begins.
    tail: usize,
}

/// Points of the last slot before it is thinned: a stream in order costs little then.
const TAIL: usize = 16;

impl<L: Level> Timeline<L> {
    /// An empty one that gives out at most so many points.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            shift: 0,
            points: Vec::new(),
            tail: 0,
        }
    }

    /// Adds a point; it may be older than others.
    pub fn add(&mut self, point: Point<L>) {
        match self.points.last() {
            Some(last) if last.at_ns > point.at_ns => return self.add_late(point),
            Some(last) if *last == point => return,
            _ => {}
        }
        let is_same_slot = self
            .points
            .get(self.tail)
            .is_some_and(|first| first.at_ns >> self.shift == point.at_ns >> self.shift);
        if !is_same_slot || self.points.len() - self.tail >= TAIL {
            self.thin_tail();
        }
        if !is_same_slot {
            self.tail = self.points.len();
        }
        self.points.push(point);
        if self.points.len() > 2 * self.most {
            self.thin();
        }
    }

    fn add_late(&mut self, point: Point<L>) {
        let place = self
            .points
            .partition_point(|other| other.at_ns <= point.at_ns);
        if place == 0 || self.points[place - 1] != point {
            self.points.insert(place, point);
            self.find_tail();
        }
        if self.points.len() > 2 * self.most {
            self.thin();
        }
    }

    fn find_tail(&mut self) {
        let slot = |point: &Point<L>| point.at_ns >> self.shift;
        let last = self.points.last().map_or(0, slot);
        self.tail = self.points.partition_point(|point| slot(point) < last);
    }

    /// Thins the last slot.
    fn thin_tail(&mut self) {
        if self.shift > 0 && self.points.len() > self.tail + 4 {
            let mut kept = outline(&self.points[self.tail..]);
            let kept: [Option<Point<L>>; 4] = std::array::from_fn(|_| kept.next());
            self.points.truncate(self.tail);
            self.points.extend(kept.into_iter().flatten());
        }
    }

    /// Gives out at most so many from now on, and holds no more than that just now.
    pub fn limit(&mut self, most: usize) {
        self.most = most;
        self.thin();
        self.points.shrink_to_fit();
    }

    fn thin(&mut self) {
        if self.shift > 0 {
            self.coarsen(self.shift);
        }
        // One or two slots of at most four points are left in the end.
        while self.points.len() > self.most && self.shift < u64::BITS - 1 {
            self.coarsen(self.shift + 1);
        }
        self.find_tail();
    }

    fn coarsen(&mut self, shift: u32) {
        self.shift = shift;
        let slots = self
            .points
            .chunk_by(|a, b| a.at_ns >> shift == b.at_ns >> shift);
        self.points = slots.flat_map(outline).collect();
    }

    /// The points kept, by time.
    pub fn points(&self) -> Vec<Point<L>> {
        let mut thinned = self.clone();
        thinned.thin();
        thinned.points
    }

    /// The greatest level of all points ever added, the earliest of equals.
    pub fn greatest(&self) -> Option<Point<L>> {
        let points = self.points.iter().copied();
        points.min_by_key(|point| Reverse(point.pages.rank()))
    }

    /// The latest point.
    pub fn last(&self) -> Option<Point<L>> {
        self.points.last().copied()
    }

    /// Points that it holds.
    pub fn held(&self) -> usize {
        self.points.len()
    }
}

/// First, last, least and greatest of a slot, by time; of equal levels the earliest.
fn outline<L: Level>(slot: &[Point<L>]) -> impl Iterator<Item = Point<L>> + use<L> {
    let rank = |i: &usize| slot[*i].pages.rank();
    let all = 0..slot.len();
    let least = all.clone().min_by_key(rank).unwrap_or(0);
    let greatest = all.min_by_key(|i| Reverse(rank(i))).unwrap_or(0);
    let mut kept = [0, least, greatest, slot.len() - 1];
    kept.sort_unstable();
    let is_new = |i: usize| i == 0 || kept[i] != kept[i - 1];
    let points: [Option<Point<L>>; 4] = std::array::from_fn(|i| is_new(i).then(|| slot[kept[i]]));
    points.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn of(points: &[(u64, i64)]) -> Timeline {
        let mut timeline = Timeline::new(MAX_POINTS);
        for &(at_ns, pages) in points {
            timeline.add(Point { at_ns, pages });
        }
        timeline
    }

    fn kept(timeline: &Timeline) -> Vec<(u64, i64)> {
        timeline
            .points()
            .iter()
            .map(|p| (p.at_ns, p.pages))
            .collect()
    }

    #[test]
    fn few_points_are_all_kept() {
        let timeline = of(&[(5, 10), (7, 3), (6, 12), (6, 12)]);
        assert_eq!(kept(&timeline), [(5, 10), (6, 12), (7, 3)]);
    }

    #[test]
    fn many_points_keep_the_outline() {
        let many: Vec<_> = (0..100_000)
            .map(|i| (i * 1000, if i == 77_777 { 999 } else { 1 }))
            .collect();
        let points = kept(&of(&many));
        assert!(points.len() <= MAX_POINTS);
        assert!(points.len() > MAX_POINTS / 4, "{}", points.len());
        assert_eq!(points.first(), Some(&(0, 1)));
        assert_eq!(points.last(), Some(&(99_999_000, 1)));
        assert!(points.contains(&(77_777_000, 999)));
    }

    #[test]
    fn a_lower_limit_keeps_the_greatest() {
        let mut timeline = of(&(0..3000)
            .map(|i| (i * 7, i as i64 % 977))
            .collect::<Vec<_>>());
        timeline.limit(8);
        assert!(timeline.held() <= 8);
        assert_eq!(
            timeline.greatest().map(|p| (p.at_ns, p.pages)),
            Some((976 * 7, 976))
        );
        assert_eq!(timeline.last().map(|p| p.at_ns), Some(2999 * 7));
    }

    proptest! {
        // Points out of order are slow to place: in a run they are few.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_maximum_survives_and_order_is_by_time(
            points in prop::collection::vec((0..1_u64 << 40, -5..1000_i64), 0..6000),
        ) {
            let timeline = of(&points);
            let kept = timeline.points();
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
            prop_assert!(of(&points).points().len() <= MAX_POINTS);
        }
    }
}
