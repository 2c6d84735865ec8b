//! One level over time, as pollers of several intervals see it: from when they may begin to look
//! to the end of what they look at.
//!
//! A track is of the whole target or of one space, and of any part of its time. It knows levels at
//! times; where they come from is [`super::pass`]'s.

use super::{
    fold::Fold,
    scale::{Class, NOTHING, Scale, within},
};

/// Errors that a verdict asks about, thousandths of the peak.
pub const ERRORS: [u16; 4] = [10, 50, 100, 250];

/// Whose level it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All of the target that pollers can see.
    Target,
    /// The space of this number.
    Space(u32),
}

/// What is judged. Times count from the start of tracing, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of what.
    pub whose: Whose,
    /// Pollers begin at this time or up to one interval later.
    pub start_ns: u64,
    /// Nothing can be read from here on.
    pub end_ns: u64,
    /// The exact peak in it, bytes, above 0.
    pub peak_bytes: i64,
    /// When that was reached; `None` if the ledger does not know.
    pub peak_at_ns: Option<u64>,
}

/// How long the level stayed near the peak.
#[derive(Clone, Copy, Debug)]
struct Stay {
    /// Near is this class and those above.
    from: Class,
    since_ns: Option<u64>,
    longest_ns: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Track {
    /// What it is of.
    pub span: Span,
    scale: Scale,
    folds: Vec<Fold>,
    stays: [Stay; ERRORS.len()],
    /// The peak has had its place in this pass.
    is_peak_told: bool,
    /// Since then, nanoseconds from the span's start, the level is of this class.
    since_ns: u64,
    class: Class,
    /// Bytes that count to the peak and that no poller can read.
    hidden_bytes: i64,
}

impl Track {
    /// With a fold for each of these intervals, each of at most so many pieces.
    pub fn new(span: Span, intervals_ns: &[u64], most_pieces: usize) -> Self {
        let folds = intervals_ns.iter().map(|ns| Fold::new(*ns, most_pieces));
        Self {
            span,
            scale: Scale::new(span.peak_bytes),
            folds: folds.collect(),
            stays: ERRORS.map(|error| Stay {
                from: within(error),
                since_ns: None,
                longest_ns: 0,
            }),
            is_peak_told: false,
            since_ns: 0,
            class: NOTHING,
            hidden_bytes: 0,
        }
    }

    /// The level from this time on, bytes, and what of it cannot be read. Not before what was told
    /// already; what comes before the span is in force at its start.
    pub fn level(&mut self, at_ns: u64, bytes: i64, hidden_bytes: i64) {
        // The ledger knows the peak to the byte, the stream within its quantum. It lasts until the
        // stream tells of another level.
        let peak_at_ns = self.span.peak_at_ns.filter(|_| !self.is_peak_told);
        if let Some(peak_at_ns) = peak_at_ns.filter(|peak_at_ns| *peak_at_ns <= at_ns) {
            self.is_peak_told = true;
            self.pass_until(peak_at_ns);
            let seen_bytes = self.span.peak_bytes.saturating_sub(self.hidden_bytes);
            self.class = self.scale.class(seen_bytes);
        }
        self.hidden_bytes = hidden_bytes;
        let class = self.scale.class(bytes.saturating_sub(hidden_bytes));
        // Most steps are small: what stays in its class goes on as one.
        if class != self.class {
            self.pass_until(at_ns);
            self.class = class;
        }
    }

    fn pass_until(&mut self, at_ns: u64) {
        let at_ns = at_ns
            .min(self.span.end_ns)
            .saturating_sub(self.span.start_ns);
        if at_ns <= self.since_ns {
            return;
        }
        for fold in &mut self.folds {
            fold.see(self.since_ns, at_ns, self.class);
        }
        for stay in &mut self.stays {
            if self.class < stay.from {
                stay.since_ns = None;
            } else {
                let since_ns = *stay.since_ns.get_or_insert(self.since_ns);
                stay.longest_ns = stay.longest_ns.max(at_ns - since_ns);
            }
        }
        self.since_ns = at_ns;
    }

    /// No more levels will come. True if all of them have to come once more.
    pub fn end_pass(&mut self) -> bool {
        self.pass_until(self.span.end_ns);
        self.since_ns = 0;
        self.class = NOTHING;
        self.hidden_bytes = 0;
        self.is_peak_told = false;
        self.stays.iter_mut().for_each(|stay| stay.since_ns = None);
        let left = self
            .folds
            .iter_mut()
            .filter_map(|fold| fold.end_pass().then_some(()));
        left.count() > 0
    }

    /// Its classes.
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// By interval, as asked for.
    pub fn folds(&self) -> &[Fold] {
        &self.folds
    }

    /// For each of [`ERRORS`], how long at a time the level stayed so near to the peak.
    pub fn longest_stays_ns(&self) -> [u64; ERRORS.len()] {
        self.stays.map(|stay| stay.longest_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start_ns: u64, end_ns: u64) -> Span {
        Span {
            whose: Whose::Target,
            start_ns,
            end_ns,
            peak_bytes: 1_000,
            peak_at_ns: Some(450),
        }
    }

    #[test]
    fn a_part_of_the_time_is_judged_by_itself() {
        let mut track = Track::new(span(400, 600), &[100], 10);
        track.level(100, 500, 0);
        // The stream tells it 4 % lower than the ledger, and a little later.
        track.level(451, 960, 0);
        track.level(470, 500, 0);
        track.level(800, 1_000, 0);
        assert!(!track.end_pass());
        let told = track.folds()[0].told();
        assert_eq!(told.iter().sum::<u64>(), 100);
        // A nanosecond of the peak, then 19 of what the stream says; else half of it.
        let held = |bytes| told[usize::from(track.scale().class(bytes))];
        assert_eq!((held(1_000), held(960), held(500)), (1, 19, 80));
        assert_eq!(track.longest_stays_ns(), [1, 20, 20, 20]);
    }

    #[test]
    fn what_no_poller_can_read_is_not_seen() {
        let mut track = Track::new(span(0, 1_000), &[100], 10);
        track.level(0, 600, 0);
        track.level(400, 600, 400);
        track.level(500, 0, 0);
        track.end_pass();
        let told = track.folds()[0].told();
        assert_eq!(told[usize::from(track.scale().class(600))], 100);
        assert_eq!(track.longest_stays_ns(), [0; 4]);
    }
}
