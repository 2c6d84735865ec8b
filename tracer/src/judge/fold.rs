//! What all pollers of one interval see, whatever their offset: time folded onto the interval.
//!
//! A poller that looks every `d` sees the times that are its offset modulo `d`, and reports the
//! highest level among them. So the offsets form a circle of length `d`, and each stretch of time
//! at a level raises the part of the circle on which it lies. Nothing is simulated and nothing is
//! rounded: all lengths are whole nanoseconds.
//!
//! The circle is a ring of pieces that begins where time stands, and turns as time goes on: what
//! was passed goes to its end. If there are too many pieces, only part of the offsets is looked at,
//! and the others in another pass over the same run. So memory is bounded and nothing is lost.

use std::{collections::VecDeque, ops::Range};

use super::scale::{CLASSES, Class, NOTHING};

/// Stands on offsets that are not looked at in this pass: nothing is higher.
const ELSEWHERE: Class = Class::MAX;

/// The longest interval, nanoseconds: some three days.
pub const LONGEST_NS: u64 = (1 << (u64::BITS - Class::BITS)) - 1;

/// A length of the circle, nanoseconds, and the highest class seen there, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece(u64);

impl Piece {
    fn new(ns: u64, class: Class) -> Self {
        Self((ns << Class::BITS) | u64::from(class))
    }

    fn ns(self) -> u64 {
        self.0 >> Class::BITS
    }

    fn class(self) -> Class {
        self.0 as Class
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Fold {
    interval_ns: u64,
    /// Pieces held, at most.
    most: usize,
    /// Once round, from where time stands.
    pieces: VecDeque<Piece>,
    /// Where time stands, nanoseconds from the start of the track.
    at_ns: u64,
    /// Offsets looked at in this pass.
    asked: Range<u64>,
    /// How much of those is at each class.
    held: Vec<u64>,
    /// A class that none of those is below: most of what happens is not above it.
    least: Class,
    /// How much of the offsets of earlier passes was at each class in the end.
    told: Vec<u64>,
}

impl Fold {
    /// Of pollers with this interval, which is above 0 and at most [`LONGEST_NS`].
    pub fn new(interval_ns: u64, most: usize) -> Self {
        let mut fold = Self {
            interval_ns,
            most,
            pieces: VecDeque::new(),
            at_ns: 0,
            asked: 0..0,
            held: vec![0; CLASSES],
            least: NOTHING,
            told: vec![0; CLASSES],
        };
        fold.ask(0);
        fold
    }

    /// The interval, nanoseconds.
    pub fn interval_ns(&self) -> u64 {
        self.interval_ns
    }

    /// Begins a pass for the offsets from this one on.
    fn ask(&mut self, from: u64) {
        self.asked = from..self.interval_ns;
        self.at_ns = 0;
        self.pieces.clear();
        push(&mut self.pieces, from, ELSEWHERE);
        push(&mut self.pieces, self.interval_ns - from, NOTHING);
        self.held.fill(0);
        self.held[usize::from(NOTHING)] = self.interval_ns - from;
        self.least = NOTHING;
    }

    /// From one time to another, the level was of this class. Not before what was seen already.
    #[inline]
    pub fn see(&mut self, from_ns: u64, until_ns: u64, class: Class) {
        if class > self.least && until_ns > from_ns {
            self.raise(from_ns, until_ns, class);
        }
    }

    fn raise(&mut self, from_ns: u64, until_ns: u64, class: Class) {
        self.turn((from_ns - self.at_ns) % self.interval_ns, NOTHING);
        // Once round is all round.
        let ns = (until_ns - from_ns).min(self.interval_ns);
        self.turn(ns, class);
        self.at_ns = from_ns + ns;
        while self.pieces.len() > self.most {
            self.narrow();
        }
        while self.held[usize::from(self.least)] == 0 {
            self.least += 1;
        }
    }

    /// Lets time pass with at least this class.
    fn turn(&mut self, mut ns: u64, class: Class) {
        while ns > 0 {
            let Some(piece) = self.pieces.pop_front() else {
                return;
            };
            let passed = piece.ns().min(ns);
            ns -= passed;
            if passed < piece.ns() {
                let rest = Piece::new(piece.ns() - passed, piece.class());
                self.pieces.push_front(rest);
            }
            let raised = piece.class().max(class);
            if raised != piece.class() {
                self.held[usize::from(piece.class())] -= passed;
                self.held[usize::from(raised)] += passed;
            }
            push(&mut self.pieces, passed, raised);
        }
    }

    /// Leaves the upper half of the offsets asked about to another pass.
    fn narrow(&mut self) {
        let Range { start, end } = self.asked;
        self.asked.end = start + (end - start).div_ceil(2);
        self.held.fill(0);
        let mut offset = self.at_ns % self.interval_ns;
        for piece in std::mem::take(&mut self.pieces) {
            let mut left = piece.ns();
            while left > 0 {
                let (edge, class) = match offset {
                    before if before < start => (start, ELSEWHERE),
                    asked if asked < self.asked.end => (self.asked.end, piece.class()),
                    _ => (self.interval_ns, ELSEWHERE),
                };
                let ns = left.min(edge - offset);
                push(&mut self.pieces, ns, class);
                if let Some(held) = self.held.get_mut(usize::from(class)) {
                    *held += ns;
                }
                left -= ns;
                offset = (offset + ns) % self.interval_ns;
            }
        }
    }

    /// The track is over. True if it has to be seen once more, for offsets that are left.
    pub fn end_pass(&mut self) -> bool {
        for (told, held) in self.told.iter_mut().zip(&mut self.held) {
            *told += std::mem::take(held);
        }
        let is_left = self.asked.end < self.interval_ns;
        if is_left {
            self.ask(self.asked.end);
        } else {
            self.pieces = VecDeque::new();
            self.asked = self.interval_ns..self.interval_ns;
            self.least = ELSEWHERE;
        }
        is_left
    }

    /// How much of the circle saw each class at most, nanoseconds; complete after the last pass.
    pub fn told(&self) -> &[u64] {
        &self.told
    }
}

/// Adds to the end of the ring.
fn push(pieces: &mut VecDeque<Piece>, ns: u64, class: Class) {
    match pieces.back_mut() {
        Some(back) if back.class() == class => *back = Piece::new(back.ns() + ns, class),
        _ if ns > 0 => pieces.push_back(Piece::new(ns, class)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All passes over lengths of time at classes.
    fn fold(interval_ns: u64, most: usize, steps: &[(u64, Class)]) -> (Vec<u64>, usize) {
        let mut fold = Fold::new(interval_ns, most);
        for pass in 1.. {
            let mut at_ns = 0;
            for (ns, class) in steps {
                fold.see(at_ns, at_ns + ns, *class);
                at_ns += ns;
            }
            if !fold.end_pass() {
                return (fold.told().to_vec(), pass);
            }
        }
        unreachable!("passes end");
    }

    /// Offsets that saw less than this class.
    fn below(told: &[u64], class: Class) -> u64 {
        told[..usize::from(class)].iter().sum()
    }

    fn missed(interval_ns: u64, steps: &[(u64, Class)], class: Class) -> u64 {
        below(&fold(interval_ns, 1000, steps).0, class)
    }

    #[test]
    fn a_spike_is_missed_by_what_it_is_shorter_than_the_interval() {
        for at in [0, 1, 37, 999_983] {
            let steps = [(at, 10), (30, 174), (5_000, 10)];
            assert_eq!(missed(100, &steps, 174), 70, "at {at}");
            assert_eq!(missed(31, &steps, 174), 1);
            assert_eq!(missed(30, &steps, 174), 0);
            assert_eq!(missed(7, &steps, 174), 0);
        }
    }

    #[test]
    fn spikes_count_once_where_their_folds_overlap() {
        // At 0..30, 120..150 and 210..240: on a circle of 100 that is 0..30, 20..50 and 10..40.
        let steps = [(30, 174), (90, 10), (30, 174), (60, 10), (30, 174)];
        assert_eq!(missed(100, &steps, 174), 50);
        // Over the end of the circle: 90..110 and 195..205 are 90..10 and 95..5.
        let steps = [(90, 1), (20, 174), (85, 1), (10, 174), (1, 1)];
        assert_eq!(missed(100, &steps, 174), 80);
        // A multiple of the interval apart: the second one shows nothing new.
        let steps = [(5, 174), (195, 1), (5, 174)];
        assert_eq!(missed(100, &steps, 174), 95);
        assert_eq!(missed(40, &steps, 174), 35);
    }

    #[test]
    fn a_run_shorter_than_the_interval_may_not_be_seen_at_all() {
        let (told, _) = fold(1_000, 10, &[(200, 50), (100, 174)]);
        assert_eq!(told[0], 700);
        assert_eq!((told[50], told[174]), (200, 100));
    }

    #[test]
    fn offsets_that_find_no_room_take_another_pass() {
        let steps: Vec<_> = (0..500).map(|i| (7, 1 + (i * 37 % 170) as Class)).collect();
        let (all, one) = fold(2_000, 1_000, &steps);
        let (parts, many) = fold(2_000, 20, &steps);
        assert_eq!(one, 1);
        assert!(many > 10, "{many}");
        assert_eq!(all, parts);
    }

    proptest! {
        /// Every offset one by one, looking at every sample that it takes.
        #[test]
        fn equals_every_offset_enumerated(
            steps in prop::collection::vec((0..60_u64, 0..175_u16), 0..40),
            interval_ns in 1..200_u64,
            most in 4..40_usize,
        ) {
            let end: u64 = steps.iter().map(|step| step.0).sum();
            let level = |at: u64| {
                let mut until = 0;
                let is_in = |step: &&(u64, Class)| { until += step.0; at < until };
                steps.iter().find(is_in).expect("within the run").1
            };
            let mut truth = vec![0; CLASSES];
            for offset in 0..interval_ns {
                let samples = (offset..end).step_by(interval_ns as usize);
                let highest = samples.map(level).max().unwrap_or(NOTHING);
                truth[usize::from(highest)] += 1;
            }
            prop_assert_eq!(fold(interval_ns, most, &steps).0, truth);
        }
    }
}
