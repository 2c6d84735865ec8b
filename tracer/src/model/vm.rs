//! How large the calls were that changed a virtual size, from the stream. Counts and sums come
//! from the ledgers.

use tracer_common::record::{VmChanged, call};

use super::distribution::Distribution;

/// Pages that the calls asked for or gave back.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    /// Of `mmap`.
    pub mmap: Distribution,
    /// Of `munmap`.
    pub munmap: Distribution,
    /// Of `brk`, either way.
    pub brk: Distribution,
}

impl Sizes {
    /// Takes a call in.
    pub fn add(&mut self, record: &VmChanged) {
        let sizes = match record.call {
            call::MMAP => &mut self.mmap,
            call::MUNMAP => &mut self.munmap,
            call::BRK | call::BRK_SHRUNK => &mut self.brk,
            _ => return,
        };
        sizes.add(record.pages, 1);
    }
}
