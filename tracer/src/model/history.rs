//! The stream of levels as history: of the target and of each space, in bounded memory.
//!
//! Records are put in order before durations are taken between them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
};

use tracer_common::{ledger::Split, record::Level};

use super::{
    distribution::Distribution,
    held::Held,
    order::InOrder,
    timeline::{MAX_POINTS, Point, Timeline},
};

/// Points of a space's timeline and levels told apart in it, at most.
const EACH: usize = 512;
/// The same when there are very many spaces.
const EACH_AT_LEAST: usize = 8;
/// Points that all spaces hold together, before each may hold but half as many.
const POINTS_IN_ALL: usize = 65_536;
/// Levels told apart by all spaces together, likewise.
const LEVELS_IN_ALL: usize = 65_536;

/// What the stream said of one space.
#[derive(Clone, Debug)]
pub struct SpaceHistory {
    /// Its level over time.
    pub timeline: Timeline<Split>,
    /// How long it was at each level, from the first record to the last.
    pub held: Held,
    /// Its first record's time.
    pub first_ns: u64,
    /// Its last record.
    pub last: Point<Split>,
    /// Its part of the classes' sum: nothing once it was torn down.
    counted: Split,
}

/// Numbers of spaces are the kernel side's own, one after the other: spreading them is enough.
#[derive(Clone, Copy, Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32((*byte).into()));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct History {
    window: InOrder,
    target: Timeline,
    classes: Timeline<Split>,
    held: Distribution,
    /// The target's last level that left the window.
    last: Option<Point>,
    spaces: HashMap<u32, SpaceHistory, BuildHasherDefault<Spread>>,
    /// Sum of what the spaces count.
    sum: Split,
    /// When spaces were torn down; those that the stream has not come to yet.
    closings: BTreeSet<(u64, u32)>,
    points_each: usize,
    levels_each: usize,
    points: usize,
    levels: usize,
}

impl Default for History {
    fn default() -> Self {
        Self {
            window: InOrder::default(),
            target: Timeline::new(MAX_POINTS),
            classes: Timeline::new(MAX_POINTS),
            held: Distribution::default(),
            last: None,
            spaces: HashMap::default(),
            sum: Split::ZERO,
            closings: BTreeSet::new(),
            points_each: EACH,
            levels_each: EACH,
            points: 0,
            levels: 0,
        }
    }
}

impl History {
    /// Takes a record in.
    pub fn add(&mut self, level: Level) {
        self.target.add(Point {
            at_ns: level.header.at_ns,
            pages: level.target_rss,
        });
        if let Some(level) = self.window.add(level) {
            self.settle(&level);
        }
    }

    /// A space was torn down.
    pub fn close(&mut self, space: u32, at_ns: u64) {
        self.closings.insert((at_ns, space));
    }

    /// No more records will come.
    pub fn end(&mut self, at_ns: u64) {
        while let Some(level) = self.window.pop() {
            self.settle(&level);
        }
        self.close_until(at_ns);
        if let Some(last) = self.last {
            self.hold(last, at_ns);
        }
    }

    fn settle(&mut self, level: &Level) {
        let point = Point {
            at_ns: level.header.at_ns,
            pages: level.split,
        };
        self.close_until(point.at_ns);
        if let Some(last) = self.last {
            self.hold(last, point.at_ns);
        }
        self.last = Some(Point {
            at_ns: point.at_ns.max(self.last.map_or(0, |last| last.at_ns)),
            pages: level.target_rss,
        });
        if let Ok(space) = u32::try_from(level.space) {
            let before = self.space(space, point);
            self.account(before, level.split, point.at_ns);
        }
    }

    /// The target was at a level until then.
    fn hold(&mut self, from: Point, until_ns: u64) {
        if let Ok(pages @ 1..) = u64::try_from(from.pages) {
            self.held.add(pages, until_ns.saturating_sub(from.at_ns));
        }
    }

    fn close_until(&mut self, at_ns: u64) {
        while let Some((closed_ns, space)) = self.closings.first().copied()
            && closed_ns <= at_ns
        {
            self.closings.pop_first();
            // One that was told late counts from now: the past is written.
            let now_ns = self.last.map_or(0, |last| last.at_ns);
            if let Some(history) = self.spaces.get_mut(&space) {
                let before = std::mem::replace(&mut history.counted, Split::ZERO);
                self.account(before, Split::ZERO, closed_ns.max(now_ns));
            }
        }
    }

    /// The classes' sum after a space changed, or went.
    fn account(&mut self, before: Split, now: Split, at_ns: u64) {
        let moved = |class: fn(&Split) -> i64| {
            let moved = class(&now).wrapping_sub(class(&before));
            class(&self.sum).wrapping_add(moved)
        };
        self.sum = Split {
            file: moved(|split| split.file),
            anon: moved(|split| split.anon),
            shmem: moved(|split| split.shmem),
            swap: moved(|split| split.swap),
        };
        self.classes.add(Point {
            at_ns,
            pages: self.sum,
        });
    }

    /// Takes a record of a space in; gives what it counted before.
    fn space(&mut self, space: u32, point: Point<Split>) -> Split {
        let (points_each, levels_each) = (self.points_each, self.levels_each);
        let history = self.spaces.entry(space).or_insert_with(|| SpaceHistory {
            timeline: Timeline::new(points_each),
            held: Held::default(),
            first_ns: point.at_ns,
            last: point,
            counted: Split::ZERO,
        });
        let counted = std::mem::replace(&mut history.counted, point.pages);
        let before = (history.timeline.held(), history.held.levels());
        history.timeline.add(point);
        if point.at_ns >= history.last.at_ns {
            let ns = point.at_ns - history.last.at_ns;
            history.held.add(history.last.pages.rss(), ns, levels_each);
            history.last = point;
        }
        self.points = self.points + history.timeline.held() - before.0;
        self.levels = self.levels + history.held.levels() - before.1;
        if self.points > POINTS_IN_ALL && self.points_each > EACH_AT_LEAST {
            self.points_each /= 2;
            for history in self.spaces.values_mut() {
                history.timeline.limit(self.points_each);
            }
            self.count();
        }
        if self.levels > LEVELS_IN_ALL && self.levels_each > EACH_AT_LEAST {
            self.levels_each /= 2;
            for history in self.spaces.values_mut() {
                history.held.limit(self.levels_each);
            }
            self.count();
        }
        counted
    }

    fn count(&mut self) {
        let spaces = || self.spaces.values();
        self.points = spaces().map(|space| space.timeline.held()).sum();
        self.levels = spaces().map(|space| space.held.levels()).sum();
    }

    /// Forgets the spaces up to this number that are not among those kept: their processes were
    /// folded, perhaps before the last of their records came.
    pub fn forget(&mut self, up_to: u32, kept: &HashSet<u32>) {
        self.spaces
            .retain(|space, _| *space > up_to || kept.contains(space));
        self.count();
    }

    /// The target's level over time, pages.
    pub fn target(&self) -> &Timeline {
        &self.target
    }

    /// The classes over time, pages: the sum of what was last told of each space.
    pub fn classes(&self) -> &Timeline<Split> {
        &self.classes
    }

    /// How long the target was at each level, pages and nanoseconds; complete after the end.
    pub fn held(&self) -> &Distribution {
        &self.held
    }

    /// What the stream said of a space; complete after the end.
    pub fn of(&self, space: u32) -> Option<&SpaceHistory> {
        self.spaces.get(&space)
    }

    /// What was last told of each space that has something: number and resident pages, the
    /// largest first.
    pub fn latest_levels(&self) -> Vec<(u32, i64)> {
        let mut latest: HashMap<u32, i64> = self
            .spaces
            .iter()
            .map(|(space, history)| (*space, history.last.pages.rss()))
            .collect();
        for level in self.window.waiting() {
            if let Ok(space) = u32::try_from(level.space) {
                latest.insert(space, level.split.rss());
            }
        }
        let mut levels: Vec<_> = latest.into_iter().filter(|(_, pages)| *pages > 0).collect();
        levels.sort_by_key(|(space, pages)| (std::cmp::Reverse(*pages), *space));
        levels
    }

    /// Levels that a space may tell apart.
    pub fn levels_each(&self) -> usize {
        self.levels_each
    }
}
