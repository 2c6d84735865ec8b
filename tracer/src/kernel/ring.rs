//! Reading the rings: records come out decoded, counted and by time.

use std::{collections::VecDeque, os::fd::AsFd};

use aya::maps::{MapData, RingBuf};
use tracer_common::record::{Header, kind};

use crate::{decode, event::Event};

/// How many records were read, and what could not be.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadCounts {
    /// By record kind.
    pub read: [u64; kind::COUNT],
    /// Records that are no record we know: a defect.
    pub undecoded: u64,
}

impl ReadCounts {
    /// The next record of a ring and its time.
    fn next(&mut self, ring: &mut RingBuf<MapData>) -> Option<(u64, Event)> {
        loop {
            let item = ring.next()?;
            let header: Option<Header> = decode::value(&item);
            let (Some(header), Some(event)) = (header, decode::decode(&item)) else {
                self.undecoded += 1;
                continue;
            };
            if let Some(read) = self.read.get_mut(header.kind as usize) {
                *read += 1;
            }
            return Some((header.at_ns, event));
        }
    }
}

/// The two rings.
pub struct Rings {
    levels: RingBuf<MapData>,
    lives: RingBuf<MapData>,
    /// What came out so far.
    pub counts: ReadCounts,
}

impl Rings {
    pub(super) fn new(levels: RingBuf<MapData>, lives: RingBuf<MapData>) -> Self {
        Self {
            levels,
            lives,
            counts: ReadCounts::default(),
        }
    }

    /// Becomes readable when a rare record is there. Levels wake nobody.
    pub fn lives(&self) -> &impl AsFd {
        &self.lives
    }

    /// Hands over all that is there, the two rings merged by time: what is older than a rare
    /// record that has been read is in the other ring already.
    pub fn drain(&mut self, mut take: impl FnMut(Event)) {
        let Self {
            levels,
            lives,
            counts,
        } = self;
        let mut rare = VecDeque::new();
        while let Some(next) = counts.next(lives) {
            rare.push_back(next);
        }
        while let Some((at_ns, level)) = counts.next(levels) {
            while let Some((_, event)) = rare.pop_front_if(|(rare_ns, _)| *rare_ns <= at_ns) {
                take(event);
            }
            take(level);
        }
        rare.into_iter().for_each(|(_, event)| take(event));
    }
}
