//! A block on its way to the file and back: its events, and the head that says how long it is and
//! whether it is whole.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
};

use anyhow::Context as _;
use zstd::bulk::{Compressor, Decompressor};

use super::{
    levels::{Decoder, Encoder, MAX_LEVELS},
    others::{self, Parts},
    varint::{Input, put},
};
use crate::event::Event;

/// Bytes of a block before compression, at most. Only a command line of megabytes comes near.
const MAX_PLAIN_BYTES: usize = 16 << 20;
/// Bytes of events other than levels after which a block is closed.
const FULL_BYTES: usize = 256 << 10;
/// Bytes that each of those takes at least.
const LEAST_OTHER_BYTES: usize = 3;
/// Level of zstd: the columns have done most of the work.
const COMPRESSION: i32 = 1;

/// Start of a block. All numbers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    /// Bytes that follow.
    stored: u32,
    /// Bytes that they give.
    plain: u32,
    /// Levels in it.
    levels: u32,
    /// Other events in it.
    others: u32,
}

impl Head {
    /// With the checksum behind it.
    const BYTES: usize = 20;

    fn to_bytes(self, stored: &[u8]) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let fields = [self.stored, self.plain, self.levels, self.others];
        for (place, field) in bytes.chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let sum = checksum(&bytes, stored);
        bytes[16..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the numbers; `None` if no block has such. The checksum needs what follows.
    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let field = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let [stored, plain, levels, others] = [0, 4, 8, 12].map(field);
        let fits = stored as usize <= zstd::zstd_safe::compress_bound(MAX_PLAIN_BYTES)
            && plain as usize <= MAX_PLAIN_BYTES
            && levels as usize <= MAX_LEVELS
            && others as usize <= plain as usize / LEAST_OTHER_BYTES;
        fits.then_some(Self {
            stored,
            plain,
            levels,
            others,
        })
    }
}

/// CRC-32 of the head's numbers and of what follows it.
fn checksum(head: &[u8; Head::BYTES], stored: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..16]);
    hasher.update(stored);
    hasher.finalize()
}

/// A block that is being filled.
pub(super) struct Filling {
    levels: Encoder,
    others: Vec<u8>,
    other_count: u32,
    /// Levels before the last event that was none.
    levels_before: usize,
    plain: Vec<u8>,
    stored: Vec<u8>,
    compressor: Compressor<'static>,
}

impl Filling {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// If zstd finds no memory.
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            levels: Encoder::new(),
            others: Vec::new(),
            other_count: 0,
            levels_before: 0,
            plain: Vec::new(),
            stored: Vec::new(),
            compressor: Compressor::new(COMPRESSION).context("zstd cannot be set up")?,
        })
    }

    /// Adds an event.
    ///
    /// # Errors
    ///
    /// If it cannot be put into bytes.
    pub(super) fn push(&mut self, event: &Event) -> anyhow::Result<()> {
        let parts = others::parts(event).context("an event cannot be encoded")?;
        let (tag, bytes) = match &parts {
            Parts::Level(level) => {
                self.levels.push(level);
                return Ok(());
            }
            Parts::Bytes(tag, bytes) => (*tag, *bytes),
            Parts::Json(tag, bytes) => (*tag, &**bytes),
        };
        let levels = self.levels.len();
        put(&mut self.others, (levels - self.levels_before) as u64);
        self.levels_before = levels;
        self.others.push(tag);
        put(&mut self.others, bytes.len() as u64);
        self.others.extend(bytes);
        self.other_count += 1;
        Ok(())
    }

    /// Nothing more should go into it.
    pub(super) fn is_full(&self) -> bool {
        self.levels.len() >= MAX_LEVELS || self.others.len() >= FULL_BYTES
    }

    /// Writes what is there as a block, if anything, and begins the next one.
    ///
    /// # Errors
    ///
    /// If it is too large or cannot be written.
    pub(super) fn write(&mut self, to: &mut impl Write) -> anyhow::Result<()> {
        let levels = self.levels.len() as u32;
        if levels == 0 && self.other_count == 0 {
            return Ok(());
        }
        self.plain.clear();
        self.levels.finish(&mut self.plain);
        self.plain.append(&mut self.others);
        anyhow::ensure!(
            self.plain.len() <= MAX_PLAIN_BYTES,
            "an event of {} bytes is too large for a capture",
            self.plain.len()
        );
        self.stored.clear();
        self.stored
            .reserve(zstd::zstd_safe::compress_bound(self.plain.len()));
        self.compressor
            .compress_to_buffer(&self.plain, &mut self.stored)
            .context("a block cannot be compressed")?;
        let head = Head {
            stored: self.stored.len() as u32,
            plain: self.plain.len() as u32,
            levels,
            others: std::mem::take(&mut self.other_count),
        };
        self.levels_before = 0;
        to.write_all(&head.to_bytes(&self.stored))?;
        to.write_all(&self.stored)?;
        Ok(())
    }
}

/// Why no further block could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The file ends here, after a whole block.
    End,
    /// The file ends inside a block.
    Cut,
    /// What is there is no block.
    Damaged,
    /// The block is as it was written, but what is in it makes no sense here.
    Strange,
    /// The file cannot be read.
    Unreadable(io::ErrorKind),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.kind())
    }
}

/// A block that is being emptied.
pub(super) struct Emptying {
    levels: Decoder,
    /// Other events, each with the number of levels before it.
    others: VecDeque<(usize, Event)>,
    plain: Vec<u8>,
    stored: Vec<u8>,
    decompressor: Decompressor<'static>,
}

impl Emptying {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// If zstd finds no memory.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            levels: Decoder::new(),
            others: VecDeque::new(),
            plain: Vec::new(),
            stored: Vec::new(),
            decompressor: Decompressor::new()?,
        })
    }

    /// The next event is the beginning of a run.
    pub(super) fn begins_run(&self) -> bool {
        matches!(self.others.front(), Some((0, Event::Begun(_))))
    }

    /// The next event; `None` if the block is empty.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Event> {
        if let Some((before, _)) = self.others.front()
            && *before == self.levels.given()
        {
            return self.others.pop_front().map(|(_, event)| event);
        }
        self.levels.next().map(Event::Level)
    }

    /// Reads the next block, and tells how many bytes it took.
    ///
    /// # Errors
    ///
    /// With the reason if there is none. Then there are no events to give.
    pub(super) fn read(&mut self, from: &mut impl Read) -> Result<u64, Stop> {
        self.stored.clear();
        from.take(Head::BYTES as u64)
            .read_to_end(&mut self.stored)?;
        if self.stored.is_empty() {
            return Err(Stop::End);
        }
        let head = *self.stored.first_chunk().ok_or(Stop::Cut)?;
        let Head {
            stored,
            plain,
            levels,
            others,
        } = Head::from_bytes(&head).ok_or(Stop::Damaged)?;
        // Grows with what is really there, whatever the head says.
        self.stored.clear();
        let read = from.take(stored.into()).read_to_end(&mut self.stored)?;
        if read < stored as usize {
            return Err(Stop::Cut);
        }
        if checksum(&head, &self.stored).to_le_bytes() != head[16..] {
            return Err(Stop::Damaged);
        }
        self.decode(plain as usize, levels as usize, others as usize)
            .ok_or_else(|| {
                self.others.clear();
                self.levels = Decoder::new();
                Stop::Strange
            })?;
        Ok(Head::BYTES as u64 + u64::from(stored))
    }

    fn decode(&mut self, plain: usize, levels: usize, others: usize) -> Option<()> {
        self.plain.clear();
        self.plain.reserve(plain);
        let got = self
            .decompressor
            .decompress_to_buffer(&self.stored, &mut self.plain)
            .ok()?;
        if got != plain {
            return None;
        }
        let input = &mut Input::new(&self.plain);
        self.levels.load(levels, input)?;
        let mut before: usize = 0;
        for _ in 0..others {
            before = before.checked_add(usize::try_from(input.number()?).ok()?)?;
            let tag = input.byte()?;
            let len = input.number()?;
            let event = others::event(tag, input.bytes(len)?)?;
            self.others.push_back((before, event));
        }
        (before <= levels && input.is_empty()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::EndReason;

    /// A block of any bytes, whole by its checksum.
    fn sealed(plain: &[u8], levels: u32, others: u32) -> Vec<u8> {
        let stored = zstd::bulk::compress(plain, COMPRESSION).unwrap();
        let head = Head {
            stored: stored.len() as u32,
            plain: plain.len() as u32,
            levels,
            others,
        };
        [&head.to_bytes(&stored)[..], &stored].concat()
    }

    fn events(block: &[u8]) -> Result<usize, Stop> {
        let mut emptying = Emptying::new().unwrap();
        emptying.read(&mut &*block)?;
        Ok(std::iter::from_fn(|| emptying.next()).count())
    }

    proptest! {
        #[test]
        fn whole_blocks_of_any_bytes_are_borne(
            plain in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..200),
            levels in 0..20_u32,
            others in 0..4_u32,
        ) {
            if let Ok(count) = events(&sealed(&plain, levels, others)) {
                prop_assert_eq!(count as u32, levels + others);
            }
        }
    }

    #[test]
    fn sizes_that_no_block_has_are_refused_unread() {
        let plain = [0; 64];
        let block = sealed(&plain, 0, 0);
        for field in 0..4 {
            let mut block = block.clone();
            block[field * 4..][..4].fill(0xff);
            assert_eq!(events(&block), Err(Stop::Damaged));
        }
        // More comes out than the head says, and less.
        for claimed in [63, 65] {
            let stored = zstd::bulk::compress(&plain, COMPRESSION).unwrap();
            let head = Head {
                stored: stored.len() as u32,
                plain: claimed,
                levels: 0,
                others: 0,
            };
            let block = [&head.to_bytes(&stored)[..], &stored].concat();
            assert_eq!(events(&block), Err(Stop::Strange));
        }
    }

    #[test]
    fn tags_and_lengths_that_do_not_fit_are_refused() {
        let reason = serde_json::to_vec(&EndReason::Interrupted).unwrap();
        for plain in [
            vec![0, 9, 0],
            vec![0, 3, 200],
            vec![1, 3, 0],
            [&[0, 4, reason.len() as u8][..], &reason].concat(),
        ] {
            assert_eq!(events(&sealed(&plain, 0, 1)), Err(Stop::Strange));
        }
    }
}
