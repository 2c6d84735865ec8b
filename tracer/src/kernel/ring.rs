//! Reading the rings: records come out decoded and counted.

use std::os::fd::AsFd;

use aya::maps::{MapData, RingBuf};
use tracer_common::record::kind;

use crate::{decode::decode, event::Event};

/// How many records were read, and what could not be.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadCounts {
    /// By record kind.
    pub read: [u64; kind::COUNT],
    /// Records that are no record we know: a defect.
    pub undecoded: u64,
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

    /// Hands over all that is there: the rare records first, since levels refer to them.
    pub fn drain(&mut self, mut take: impl FnMut(Event)) {
        let Self {
            levels,
            lives,
            counts,
        } = self;
        for ring in [lives, levels] {
            while let Some(item) = ring.next() {
                let Some(event) = decode(&item) else {
                    counts.undecoded += 1;
                    continue;
                };
                let kind = u32::from_ne_bytes([item[0], item[1], item[2], item[3]]);
                if let Some(read) = counts.read.get_mut(kind as usize) {
                    *read += 1;
                }
                take(event);
            }
        }
    }
}
