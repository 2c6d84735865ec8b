//! The exact level while somebody looked: the least and the highest that one look can have seen.
//! It knows levels at times, and when each look began and ended.

use super::{pass::Follows, track::Whose};

/// When one look began and ended, nanoseconds from the start of tracing.
pub type Window = (u64, u64);

/// Levels in windows that follow each other.
#[derive(Clone, Debug)]
pub struct Windows {
    whose: Whose,
    windows: Vec<Window>,
    /// By window: the least and the highest level in it that a poller can read.
    seen: Vec<Option<(i64, i64)>>,
    next: usize,
    now: i64,
}

impl Windows {
    /// Of these windows, by time.
    pub fn new(whose: Whose, windows: Vec<Window>) -> Self {
        Self {
            whose,
            seen: vec![None; windows.len()],
            windows,
            next: 0,
            now: 0,
        }
    }

    fn include(&mut self, bytes: i64) {
        let seen = &mut self.seen[self.next];
        let (least, highest) = seen.unwrap_or((bytes, bytes));
        *seen = Some((least.min(bytes), highest.max(bytes)));
    }

    /// By window, the least and the highest level; complete once the run is over.
    pub fn seen(&mut self) -> Vec<(Window, (i64, i64))> {
        while self.next < self.windows.len() {
            self.include(self.now);
            self.next += 1;
        }
        let windows = self.windows.iter().zip(&self.seen);
        windows
            .filter_map(|(window, seen)| Some((*window, (*seen)?)))
            .collect()
    }

    /// The window that had the highest level, and its levels.
    pub fn best(&mut self) -> Option<(Window, (i64, i64))> {
        self.seen()
            .into_iter()
            .max_by_key(|(_, (_, highest))| *highest)
    }
}

impl Follows for Windows {
    fn whose(&self) -> Whose {
        self.whose
    }

    fn end_ns(&self) -> u64 {
        u64::MAX
    }

    fn level(&mut self, at_ns: u64, bytes: i64, hidden_bytes: i64) {
        while let Some((begin_ns, end_ns)) = self.windows.get(self.next).copied() {
            if begin_ns < at_ns {
                self.include(self.now);
            }
            if end_ns >= at_ns {
                break;
            }
            self.next += 1;
        }
        self.now = bytes.saturating_sub(hidden_bytes);
        if self
            .windows
            .get(self.next)
            .is_some_and(|(begin_ns, _)| *begin_ns <= at_ns)
        {
            self.include(self.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_look_may_have_seen_what_was_there_while_it_lasted() {
        let windows = vec![(0, 5), (10, 20), (30, 31), (40, 60), (100, 110)];
        let mut windows = Windows::new(Whose::Target, windows);
        for (at_ns, bytes, hidden) in [
            (2, 10, 0),
            (15, 50, 0),
            (18, 20, 0),
            (50, 90, 30),
            (99, 7, 0),
        ] {
            windows.level(at_ns, bytes, hidden);
        }
        let expected = [(0, 10), (10, 50), (20, 20), (20, 60), (7, 7)];
        let seen = windows.seen().into_iter().map(|(_, levels)| levels);
        assert_eq!(seen.collect::<Vec<_>>(), expected);
        assert_eq!(windows.best(), Some(((40, 60), (20, 60))));
    }
}
