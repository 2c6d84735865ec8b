//! Levels in columns: each field as its difference from what the levels before it in the block
//! lead to expect. Most differences are 0, and a column of zeros takes no room.
//!
//! What is expected: the CPU of the level before; the space that was last seen on that CPU; the
//! space's pages as they were; the target's pages moved by as much as the space's.

use std::collections::HashMap;

use tracer_common::{
    ledger::Split,
    record::{Header, Level, kind},
};

use super::{
    column,
    varint::{Input, put, unzigzag, zigzag},
};

/// Levels of a block at most.
pub(super) const MAX_LEVELS: usize = 16_384;

/// CPUs told apart when a space is expected. More only make the expectation worse.
const CPUS: usize = 64;

/// The columns.
const TIME: usize = 0;
const CPU: usize = 1;
const SPACE: usize = 2;
const FILE: usize = 3;
const ANON: usize = 4;
const SHMEM: usize = 5;
const SWAP: usize = 6;
const TARGET: usize = 7;
const COLUMNS: usize = 8;

/// What is known of a space from the levels before.
#[derive(Clone, Copy)]
struct Known {
    id: u64,
    split: Split,
}

/// What the levels so far lead to expect; the same on both sides.
struct Expected {
    /// Spaces, in the order in which the block names them first.
    spaces: Vec<Known>,
    /// Index of the space last seen on a CPU.
    on_cpu: [u32; CPUS],
    cpu: u32,
    at_ns: u64,
    target_rss: i64,
}

impl Expected {
    fn new() -> Self {
        Self {
            spaces: Vec::new(),
            on_cpu: [0; CPUS],
            cpu: 0,
            at_ns: 0,
            target_rss: 0,
        }
    }

    fn clear(&mut self) {
        self.spaces.clear();
        *self = Self {
            spaces: std::mem::take(&mut self.spaces),
            ..Self::new()
        };
    }

    fn on_cpu(&mut self, cpu: u32) -> &mut u32 {
        &mut self.on_cpu[cpu as usize % CPUS]
    }
}

/// [`Split::rss`] for whatever numbers a file may hold.
fn rss(split: &Split) -> i64 {
    split
        .file
        .wrapping_add(split.anon)
        .wrapping_add(split.shmem)
}

/// Puts the levels of a block into columns.
pub(super) struct Encoder {
    columns: [Vec<u64>; COLUMNS],
    /// Spaces named for the first time: their ids, each as its difference from the one before.
    ids: Vec<u64>,
    last_id: u64,
    first_ns: u64,
    expected: Expected,
    indexes: HashMap<u64, u32>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            columns: Default::default(),
            ids: Vec::new(),
            last_id: 0,
            first_ns: 0,
            expected: Expected::new(),
            indexes: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.columns[TIME].len()
    }

    pub(super) fn push(&mut self, level: &Level) {
        let Header {
            kind: _,
            cpu,
            at_ns,
        } = level.header;
        if self.len() == 0 {
            self.first_ns = at_ns;
            self.expected.at_ns = at_ns;
        }
        let (index, told) = self.index(cpu, level.space);
        let expected = &mut self.expected;
        let known = &mut expected.spaces[index as usize];
        let (old, new) = (known.split, level.split);
        known.split = new;
        let target_rss = expected
            .target_rss
            .wrapping_add(rss(&new).wrapping_sub(rss(&old)));
        let cpu_moved = cpu.wrapping_sub(expected.cpu).cast_signed();
        let moved = |new: i64, old: i64| zigzag(new.wrapping_sub(old));
        let row = [
            at_ns.wrapping_sub(expected.at_ns),
            zigzag(cpu_moved.into()),
            told,
            moved(new.file, old.file),
            moved(new.anon, old.anon),
            moved(new.shmem, old.shmem),
            moved(new.swap, old.swap),
            moved(level.target_rss, target_rss),
        ];
        expected.cpu = cpu;
        expected.at_ns = at_ns;
        expected.target_rss = level.target_rss;
        *expected.on_cpu(cpu) = index;
        for (column, value) in self.columns.iter_mut().zip(row) {
            column.push(value);
        }
    }

    /// A space's index, and what is told of it: 0 = the one expected, else the index + 1.
    fn index(&mut self, cpu: u32, id: u64) -> (u32, u64) {
        let guess = *self.expected.on_cpu(cpu);
        let spaces = &mut self.expected.spaces;
        if spaces
            .get(guess as usize)
            .is_some_and(|known| known.id == id)
        {
            return (guess, 0);
        }
        let index = *self.indexes.entry(id).or_insert_with(|| {
            let moved = id.wrapping_sub(self.last_id).cast_signed();
            self.ids.push(zigzag(moved));
            self.last_id = id;
            let split = Split::ZERO;
            spaces.push(Known { id, split });
            spaces.len() as u32 - 1
        });
        (index, u64::from(index) + 1)
    }

    /// Appends the columns and is ready for the next block. Nothing is appended for no levels.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.len() == 0 {
            return;
        }
        // CPUs overtake each other, so times go back now and then. The least difference is taken
        // off all others, which leaves more room for them than a sign would.
        let times = &mut self.columns[TIME];
        let signed = times.iter().map(|moved| moved.cast_signed());
        let least = signed.min().unwrap_or(0);
        for moved in times {
            *moved = moved.wrapping_sub(least.cast_unsigned());
        }
        put(out, self.first_ns);
        put(out, zigzag(least));
        put(out, self.ids.len() as u64);
        for id in self.ids.drain(..) {
            put(out, id);
        }
        for column in &mut self.columns {
            column::put(out, column);
            column.clear();
        }
        self.last_id = 0;
        self.expected.clear();
        self.indexes.clear();
    }
}

/// Gives the levels of a block back.
pub(super) struct Decoder {
    columns: [Vec<u64>; COLUMNS],
    len: usize,
    given: usize,
    /// The least difference of times.
    least: u64,
    expected: Expected,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            columns: Default::default(),
            len: 0,
            given: 0,
            least: 0,
            expected: Expected::new(),
        }
    }

    /// Levels given since the last [`Decoder::load`].
    pub(super) fn given(&self) -> usize {
        self.given
    }

    /// Reads the columns of `len` levels, at most [`MAX_LEVELS`]; `None` if they are damaged.
    /// Then there are no levels to give.
    pub(super) fn load(&mut self, len: usize, input: &mut Input<'_>) -> Option<()> {
        (self.len, self.given) = (0, 0);
        if len == 0 {
            return Some(());
        }
        if len > MAX_LEVELS {
            return None;
        }
        self.expected.clear();
        self.expected.at_ns = input.number()?;
        self.least = unzigzag(input.number()?).cast_unsigned();
        self.read_ids(len, input)?;
        for column in &mut self.columns {
            column::read(column, len, input)?;
        }
        self.resolve_spaces()?;
        self.len = len;
        Some(())
    }

    fn read_ids(&mut self, len: usize, input: &mut Input<'_>) -> Option<()> {
        let ids = usize::try_from(input.number()?).ok()?;
        if ids > len {
            return None;
        }
        let mut id: u64 = 0;
        for _ in 0..ids {
            id = id.wrapping_add_signed(unzigzag(input.number()?));
            let split = Split::ZERO;
            self.expected.spaces.push(Known { id, split });
        }
        Some(())
    }

    /// Turns what is told of the spaces into indexes, all of which exist.
    fn resolve_spaces(&mut self) -> Option<()> {
        let [_, cpus, told, ..] = &mut self.columns;
        let mut cpu: u32 = 0;
        for (moved, told) in cpus.iter().zip(told) {
            cpu = cpu.wrapping_add_signed(unzigzag(*moved) as i32);
            let expected = self.expected.on_cpu(cpu);
            if *told > 0 {
                *expected = u32::try_from(*told - 1).ok()?;
            }
            *told = (*expected).into();
            if *told >= self.expected.spaces.len() as u64 {
                return None;
            }
        }
        Some(())
    }

    /// The next level; `None` after the last one.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Level> {
        let at = self.given;
        if at == self.len {
            return None;
        }
        self.given += 1;
        let value = |column: usize| self.columns[column][at];
        let moved = |column: usize| unzigzag(value(column));
        let expected = &mut self.expected;
        let known = &mut expected.spaces[value(SPACE) as usize];
        let old = known.split;
        let split = Split {
            file: old.file.wrapping_add(moved(FILE)),
            anon: old.anon.wrapping_add(moved(ANON)),
            shmem: old.shmem.wrapping_add(moved(SHMEM)),
            swap: old.swap.wrapping_add(moved(SWAP)),
        };
        known.split = split;
        expected.cpu = expected.cpu.wrapping_add_signed(moved(CPU) as i32);
        expected.at_ns = expected
            .at_ns
            .wrapping_add(value(TIME))
            .wrapping_add(self.least);
        expected.target_rss = expected
            .target_rss
            .wrapping_add(rss(&split).wrapping_sub(rss(&old)))
            .wrapping_add(moved(TARGET));
        Some(Level {
            header: Header {
                kind: kind::LEVEL,
                cpu: expected.cpu,
                at_ns: expected.at_ns,
            },
            space: known.id,
            split,
            target_rss: expected.target_rss,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a level in columns, before compression.
    fn bytes_of(levels: impl Iterator<Item = Level>) -> f64 {
        let mut encoder = Encoder::new();
        let (mut bytes, mut count) = (Vec::new(), 0);
        for level in levels.take(MAX_LEVELS) {
            encoder.push(&level);
            count += 1;
        }
        encoder.finish(&mut bytes);
        bytes.len() as f64 / f64::from(count)
    }

    fn level(cpu: u32, at_ns: u64, space: u64, anon: i64, target_rss: i64) -> Level {
        Level {
            header: Header {
                kind: kind::LEVEL,
                cpu,
                at_ns,
            },
            space,
            split: Split {
                anon,
                file: 400,
                ..Split::ZERO
            },
            target_rss,
        }
    }

    #[test]
    fn a_storm_of_faults_takes_three_bytes_a_level() {
        let storm = (0..).map(|n| level(0, n as u64 * 900 + n as u64 % 77, 1, n, n + 400));
        assert!(bytes_of(storm) < 3.01);
    }

    #[test]
    fn a_tree_on_two_cpus_takes_four() {
        // Two processes by turns on each CPU, their events mixed.
        let mut anon = [0; 4];
        let tree = (0..).map(|n: u64| {
            let cpu = n * 7 / 3 % 2;
            let index = (cpu + 2 * (n / 300 % 2)) as usize;
            anon[index] += 1;
            let target_rss = 4 * 400 + anon.iter().sum::<i64>();
            let at_ns = n * 600 + n % 77;
            level(cpu as u32, at_ns, index as u64, anon[index], target_rss)
        });
        assert!(bytes_of(tree) < 4.05);
    }
}
