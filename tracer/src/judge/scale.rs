//! Levels as shares of a peak, in classes: what a poller that saw this level errs by.
//!
//! The classes are narrow where it matters. Every error that a verdict asks about is the edge of
//! one, so that "misses by more than 5 %" is exact; only quantiles are rounded, up to the edge.

/// Number of a class, from the lowest levels (0) to the peak itself.
pub type Class = u16;

/// The class of having seen nothing at all, and of levels that come to nearly nothing.
pub const NOTHING: Class = 0;

/// How many classes there are.
pub const CLASSES: usize = EDGES.len();

/// Greatest error of each class, thousandths of the peak.
const EDGES: [u16; 175] = edges();

const fn edges() -> [u16; 175] {
    let mut edges = [0; 175];
    let (mut at, mut error) = (0, 1000);
    while at < edges.len() {
        edges[at] = error;
        at += 1;
        // Nothing follows an error of 0.
        if at < edges.len() {
            error -= step_below(error);
        }
    }
    edges
}

/// How wide the class is whose greatest error is this, thousandths.
const fn step_below(error: u16) -> u16 {
    match error {
        261.. => 10,
        61.. => 5,
        _ => 1,
    }
}

/// Greatest error of levels of a class, thousandths of the peak.
pub fn worst(class: Class) -> u16 {
    EDGES[usize::from(class)]
}

/// The lowest class that is off by no more than this, which is the edge of one.
pub fn within(error: u16) -> Class {
    EDGES.partition_point(|edge| *edge > error) as Class
}

/// The classes of one peak.
#[derive(Clone, Debug)]
pub struct Scale {
    /// Least level of each class, bytes.
    least: Vec<i64>,
}

impl Scale {
    /// Of a peak above 0, bytes.
    pub fn new(peak_bytes: i64) -> Self {
        let least = EDGES.iter().map(|error| at_error(peak_bytes, *error));
        Self {
            least: least.collect(),
        }
    }

    /// Class of a level, bytes.
    pub fn class(&self, bytes: i64) -> Class {
        let reached = self.least.partition_point(|least| *least <= bytes);
        reached.saturating_sub(1) as Class
    }

    /// Least and greatest level of a class, bytes; the highest class has no greatest.
    pub fn levels(&self, class: Class) -> (i64, Option<i64>) {
        let class = usize::from(class);
        let next = self.least.get(class + 1).copied();
        (self.least[class], next.map(|next| next - 1))
    }
}

/// The least level that is off by no more than so many thousandths of the peak.
pub fn at_error(peak_bytes: i64, error: u16) -> i64 {
    let kept = i128::from(peak_bytes) * (1000 - i128::from(error));
    // Rounded up; the quotient is not above the peak.
    ((kept + 999) / 1000) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_edges_go_from_all_to_nothing() {
        assert_eq!((EDGES[0], EDGES[CLASSES - 1]), (1000, 0));
        assert!(EDGES.is_sorted_by(|a, b| a > b));
        for error in [10, 50, 100, 250] {
            assert!(EDGES.contains(&error), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_class_holds_the_levels_that_it_says(peak in 1..1_i64 << 60, share in 0..=1000_i64) {
            let scale = Scale::new(peak);
            let bytes = (i128::from(peak) * i128::from(share) / 1000) as i64;
            let class = scale.class(bytes);
            let (least, greatest) = scale.levels(class);
            prop_assert!(least <= bytes && greatest.is_none_or(|greatest| bytes <= greatest));
            let error = (i128::from(peak) - i128::from(bytes)) * 1000;
            prop_assert!(error <= i128::from(peak) * i128::from(worst(class)));
            if let Some(better) = EDGES.get(usize::from(class) + 1) {
                prop_assert!(error > i128::from(peak) * i128::from(*better));
            }
        }
    }
}
