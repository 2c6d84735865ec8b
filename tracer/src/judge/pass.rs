//! One pass over a run's events: gives every track its levels, in the order of their times.

use std::{
    collections::{HashMap, HashSet},
    iter::Peekable,
    slice,
};

use tracer_common::record::Level;

use super::track::{Track, Whose};
use crate::{event::Event, model::order::InOrder};

/// Something that is told a level.
pub trait Follows {
    /// Whose.
    fn whose(&self) -> Whose;
    /// After this, nanoseconds from the start of tracing, it is not interested.
    fn end_ns(&self) -> u64;
    /// The level from this time on, and what of it cannot be read.
    fn level(&mut self, at_ns: u64, bytes: i64, hidden_bytes: i64);
}

impl Follows for Track {
    fn whose(&self) -> Whose {
        self.span.whose
    }

    fn end_ns(&self) -> u64 {
        self.span.end_ns
    }

    fn level(&mut self, at_ns: u64, bytes: i64, hidden_bytes: i64) {
        Track::level(self, at_ns, bytes, hidden_bytes);
    }
}

/// What turns a run's clock times and pages into times since its start and bytes.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// `CLOCK_MONOTONIC` at the start of tracing.
    pub start_ns: u64,
    /// Bytes of a page.
    pub page_bytes: i64,
}

/// Spaces that cannot be read any more and have memory all the same.
#[derive(Debug)]
struct Hidden {
    /// Bytes told of each space that will come to this.
    told: HashMap<u32, i64>,
    /// Bytes of those that it has come to, and that hold some.
    gone: HashMap<u32, i64>,
    bytes: i64,
    most_spaces: usize,
}

impl Hidden {
    /// A space can no longer be read.
    fn hide(&mut self, space: u32) {
        if let Some(bytes) = self.told.remove(&space).filter(|bytes| *bytes != 0) {
            self.gone.insert(space, bytes);
            self.bytes = self.bytes.saturating_add(bytes);
            self.most_spaces = self.most_spaces.max(self.gone.len());
        }
    }

    /// What the stream tells of a space.
    fn tell(&mut self, space: u32, bytes: i64) {
        if let Some(gone) = self.gone.get_mut(&space) {
            self.bytes = self.bytes.saturating_sub(*gone).saturating_add(bytes);
            *gone = bytes;
            if bytes == 0 {
                self.gone.remove(&space);
            }
        } else if let Some(told) = self.told.get_mut(&space) {
            *told = bytes;
        }
    }
}

/// The levels of the spaces that are the target, where that is only a part of what was traced.
#[derive(Debug)]
struct Parts<'a> {
    spaces: &'a HashSet<u32>,
    told: HashMap<u32, i64>,
    bytes: i64,
}

impl Parts<'_> {
    fn tell(&mut self, space: u32, bytes: i64) {
        if self.spaces.contains(&space) {
            let before = self.told.insert(space, bytes).unwrap_or(0);
            self.bytes = self.bytes.saturating_add(bytes.saturating_sub(before));
        }
    }
}

/// What a pass needs to know of its run.
struct Pass<'a, T> {
    /// What is still to come of [`super::subjects::readable_until`].
    readable_until: Peekable<slice::Iter<'a, (u64, u32)>>,
    tracks: &'a mut [T],
    begun: Begun,
    hidden: Hidden,
    parts: Option<Parts<'a>>,
    target_bytes: i64,
}

/// Lets the tracks see a run; they are left at its end. The target is these spaces, or all that was
/// traced. Gives the most spaces that were torn down at the same time.
pub fn pass<T: Follows>(
    events: impl Iterator<Item = Event>,
    begun: Begun,
    readable_until: &[(u64, u32)],
    only: Option<&HashSet<u32>>,
    tracks: &mut [T],
) -> usize {
    // After the end of all that is seen, nothing needs to be hidden.
    let of_target = tracks.iter().filter(|track| track.whose() == Whose::Target);
    let last_ns = of_target.map(Follows::end_ns).max().unwrap_or(0);
    let before_last = readable_until.partition_point(|(end_ns, _)| *end_ns < last_ns);
    let readable_until = &readable_until[..before_last];
    let hidden = Hidden {
        told: readable_until
            .iter()
            .map(|(_, space)| (*space, 0))
            .collect(),
        gone: HashMap::new(),
        bytes: 0,
        most_spaces: 0,
    };
    let mut pass = Pass {
        readable_until: readable_until.iter().peekable(),
        tracks,
        begun,
        hidden,
        parts: only.map(|spaces| Parts {
            spaces,
            told: HashMap::new(),
            bytes: 0,
        }),
        target_bytes: 0,
    };
    let mut in_order = InOrder::default();
    for event in events {
        if let Event::Level(level) = event
            && let Some(level) = in_order.add(level)
        {
            pass.level(&level);
        }
    }
    while let Some(level) = in_order.pop() {
        pass.level(&level);
    }
    pass.hide_until(u64::MAX);
    pass.hidden.most_spaces
}

impl<T: Follows> Pass<'_, T> {
    fn level(&mut self, level: &Level) {
        let at_ns = level.header.at_ns.saturating_sub(self.begun.start_ns);
        self.hide_until(at_ns);
        let bytes = level.split.rss().saturating_mul(self.begun.page_bytes);
        self.target_bytes = level.target_rss.saturating_mul(self.begun.page_bytes);
        let space = u32::try_from(level.space).ok();
        if let Some(space) = space {
            self.hidden.tell(space, bytes);
        }
        if let Some(parts) = &mut self.parts {
            if let Some(space) = space {
                parts.tell(space, bytes);
            }
            self.target_bytes = parts.bytes;
        }
        for track in &mut *self.tracks {
            match track.whose() {
                Whose::Target => track.level(at_ns, self.target_bytes, self.hidden.bytes),
                Whose::Space(own) if Some(own) == space => track.level(at_ns, bytes, 0),
                Whose::Space(_) => {}
            }
        }
    }

    /// Hides what cannot be read any more at this time.
    fn hide_until(&mut self, at_ns: u64) {
        while let Some((end_ns, space)) = self.readable_until.next_if(|end| end.0 <= at_ns) {
            self.hidden.hide(*space);
            for track in &mut *self.tracks {
                if track.whose() == Whose::Target {
                    track.level(*end_ns, self.target_bytes, self.hidden.bytes);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::{ledger::Split, record::Header};

    use super::*;
    use crate::judge::track::Span;

    fn level(at_ns: u64, space: u64, pages: i64, target_rss: i64) -> Event {
        Event::Level(Level {
            header: Header {
                at_ns,
                ..Header::default()
            },
            space,
            split: Split {
                anon: pages,
                ..Split::ZERO
            },
            target_rss,
        })
    }

    const BEGUN: Begun = Begun {
        start_ns: 1_000,
        page_bytes: 1,
    };

    fn track(whose: Whose, end_ns: u64, peak_bytes: i64) -> Track {
        let span = Span {
            whose,
            start_ns: 0,
            end_ns,
            peak_bytes,
            peak_at_ns: None,
        };
        Track::new(span, &[1_000], 100)
    }

    /// How long the track was at the class of this level.
    fn held(track: &Track, bytes: i64) -> u64 {
        track.folds()[0].told()[usize::from(track.scale().class(bytes))]
    }

    #[test]
    fn memory_that_is_being_torn_down_is_seen_by_nobody() {
        // The second space cannot be read from 400 on, and is gone at 500.
        let events = [
            level(1_000, 1, 100, 100),
            level(1_200, 2, 100, 200),
            level(1_450, 2, 50, 150),
            level(1_500, 2, 0, 100),
        ];
        let mut tracks = [
            track(Whose::Target, 1_000, 200),
            track(Whose::Space(2), 400, 100),
        ];
        let most = pass(
            events.into_iter(),
            BEGUN,
            &[(400, 2), (1_000, 1)],
            None,
            &mut tracks,
        );
        assert_eq!(most, 1);
        assert!(tracks.iter_mut().all(|track| !track.end_pass()));
        let [target, space] = &tracks;
        assert_eq!((held(target, 200), held(target, 100)), (200, 800));
        assert_eq!((held(space, 100), held(space, 0)), (200, 800));
    }

    #[test]
    fn a_part_of_what_was_traced_is_the_sum_of_its_spaces() {
        let events = [
            level(1_000, 1, 100, 100),
            level(1_200, 2, 30, 130),
            level(1_300, 3, 20, 150),
            level(1_600, 2, 10, 130),
        ];
        let mut tracks = [track(Whose::Target, 1_000, 50)];
        let only = HashSet::from([2, 3]);
        pass(events.into_iter(), BEGUN, &[], Some(&only), &mut tracks);
        tracks[0].end_pass();
        assert_eq!((held(&tracks[0], 50), held(&tracks[0], 30)), (300, 500));
        assert_eq!(held(&tracks[0], 0), 200);
    }

    #[test]
    fn late_records_find_their_place() {
        let events = [
            level(1_000, 1, 10, 10),
            level(1_700, 1, 10, 10),
            level(1_300, 1, 100, 100),
        ];
        let mut tracks = [track(Whose::Target, 1_000, 100)];
        pass(events.into_iter(), BEGUN, &[], None, &mut tracks);
        tracks[0].end_pass();
        assert_eq!((held(&tracks[0], 100), held(&tracks[0], 10)), (400, 600));
    }
}
