//! What a CPU keeps to itself while the target has one space. Amounts are in pages unless named.

use crate::{ledger::Peak, wire_safe};

/// One more cut of the segments, in [`crate::ledger::Target::epoch`]; all else that counts it up
/// does so by 1. In one number, since whoever reads it must know both of the same moment.
pub const CUT: u64 = 1 << 36;

/// The last cut up to an epoch: a multiple of [`CUT`], which wraps as the epoch does.
#[inline(always)]
pub const fn last_cut(epoch: u64) -> u64 {
    epoch & !(CUT - 1)
}

/// The highest level that a CPU has seen since a cut.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The cut: see [`last_cut`].
    pub cut: u64,
    /// The level; nothing was seen if it is 0.
    pub peak: Peak,
    /// Bytes of page tables then.
    pub pagetable_bytes: u64,
    /// Pages of hugetlb then.
    pub hugetlb: u64,
    /// Processes alive then.
    pub processes: u64,
}

/// What a CPU knows of the target's only space.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// 1 while the CPU looks, and only then it writes here.
    pub looking: u64,
    /// Address of the `mm_struct`.
    pub mm: u64,
    /// [`crate::ledger::Target::epoch`] since which the rest holds.
    pub epoch: u64,
    /// Sum of the plain counts at the last look.
    pub plain: i64,
    /// The CPU's own slots of the counters then, summed up.
    pub own: i64,
    /// Where those are.
    pub slots: u64,
    /// How far they may move before it must look again, pages; -1 if at every change.
    pub share: i64,
    /// Level when the stream last told of the space.
    pub streamed: i64,
    /// How far the level may be from that before it must be told: by half of it where looks are
    /// left out.
    pub quantum: i64,
    /// A level above it is to be recorded.
    pub highest: i64,
    /// What it has recorded.
    pub record: Record,
}

/// What the CPUs share of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alone {
    /// Address of the `mm_struct` that CPUs may have records of; 0 if none has.
    pub mm: u64,
    /// Goes up by [`CUT`] when the records up to a cut have been taken from all CPUs. Only while it is
    /// the last cut may a CPU begin a new one.
    pub gathered: u64,
    /// The cut up to which records are being taken.
    pub cut: u64,
    /// CPUs from which they are to be taken yet.
    pub left: u64,
}

wire_safe! {
    Record { cut: u64, peak: Peak, pagetable_bytes: u64, hugetlb: u64, processes: u64 }
    Seen {
        looking: u64, mm: u64, epoch: u64, plain: i64, own: i64, slots: u64, share: i64,
        streamed: i64, quantum: i64, highest: i64, record: Record,
    }
    Alone { mm: u64, gathered: u64, cut: u64, left: u64 }
}
