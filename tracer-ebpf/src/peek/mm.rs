//! Address spaces.

use super::{cast::cast, field, layout::*, peek};
use aya_ebpf::{Global, helpers::generated::bpf_probe_read_user};

/// An address space: `struct mm_struct *`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Mm(pub(super) *const u8);

impl Mm {
    /// Takes a program's argument or a field of one.
    #[inline(always)]
    pub fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    /// The one that a structure of the kernel points to.
    ///
    /// # Safety
    ///
    /// `structure` is a pointer that the verifier knows as the structure that has the field.
    #[inline(always)]
    pub(super) unsafe fn behind(structure: *const u8, pointer: &Global<u64>) -> Self {
        if SPACE_TYPE.load() != 0 {
            return Self(cast(peek(structure, pointer), &SPACE_TYPE));
        }
        // SAFETY: by the caller.
        Self(unsafe { field(structure, pointer) })
    }

    /// Its address: the key of its ledger.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 as u64
    }

    /// The lower half of its address as a plain number. The verifier forbids arithmetic on
    /// pointers and takes a 32-bit move for what it is: a way to lose one.
    #[inline(always)]
    pub fn low_half(self) -> u32 {
        let number: u32;
        // SAFETY: a move between registers.
        unsafe {
            core::arch::asm!(
                "{number} = {pointer}",
                number = out(wreg) number,
                pointer = in(wreg) self.0 as usize as u32,
                options(pure, nomem, nostack),
            );
        }
        number
    }

    #[inline(always)]
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Resident pages by the counters' plain counts: what older readers of the kernel report.
    /// Off by less than a batch for each CPU and member (`percpu_counter_add_batch`).
    #[inline(always)]
    pub fn plain_rss(self) -> i64 {
        if COUNTS_BY_THREAD.load() != 0 {
            return super::scan::own_counts(self).rss();
        }
        // SAFETY: `self.0` is a pointer that the verifier knows as `mm_struct`.
        unsafe {
            field::<i64>(self.0, &FILE_COUNT)
                + field::<i64>(self.0, &ANON_COUNT)
                + field::<i64>(self.0, &SHMEM_COUNT)
        }
    }

    /// `hiwater_rss`, pages: the kernel's own, approximate high-water mark.
    #[inline(always)]
    pub fn hiwater_rss(self) -> u64 {
        // SAFETY: as in `plain_rss`.
        unsafe { field(self.0, &MM_HIWATER_RSS) }
    }

    /// `total_vm`, pages.
    #[inline(always)]
    pub fn total_vm(self) -> u64 {
        // SAFETY: as in `plain_rss`.
        unsafe { field(self.0, &MM_TOTAL_VM) }
    }

    /// `brk`, the end of the heap.
    #[inline(always)]
    pub fn brk(self) -> u64 {
        // SAFETY: as in `plain_rss`.
        unsafe { field(self.0, &MM_BRK) }
    }

    /// Bytes of page tables.
    #[inline(always)]
    pub fn pagetable_bytes(self) -> u64 {
        // SAFETY: as in `plain_rss`.
        unsafe { field(self.0, &MM_PGTABLES_BYTES) }
    }

    /// Pages of hugetlb; 0 on kernels built without it.
    #[inline(always)]
    pub fn hugetlb(self) -> u64 {
        if MM_HUGETLB_USAGE.load() == tracer_common::layout::ABSENT {
            return 0;
        }
        // SAFETY: as in `plain_rss`.
        unsafe { field(self.0, &MM_HUGETLB_USAGE) }
    }

    /// Copies the command line of the running process, arguments separated by zeros, to `to`.
    /// Gives the bytes written and the whole length; 0 written if it is not resident.
    #[inline(always)]
    pub fn command_line<const N: usize>(self, to: *mut [u8; N]) -> (u32, u64) {
        // SAFETY: as in `plain_rss`.
        let (start, end): (u64, u64) =
            unsafe { (field(self.0, &MM_ARG_START), field(self.0, &MM_ARG_END)) };
        let whole = end.wrapping_sub(start);
        let length = if whole > N as u64 { N as u64 } else { whole };
        // SAFETY: `length` is at most N; the helper clears the destination when it fails.
        let failed = unsafe { bpf_probe_read_user(to.cast(), length as u32, start as *const _) };
        (if failed == 0 { length as u32 } else { 0 }, whole)
    }
}

/// Address space that an exec is about to enter: `bprm->mm`, of a program's argument.
#[inline(always)]
pub fn bprm_mm(bprm: *const u8) -> Mm {
    // SAFETY: by the caller.
    unsafe { Mm::behind(bprm, &BPRM_MM) }
}

/// Address space that a mapping is of: `vma->vm_mm`, of a program's argument.
#[inline(always)]
pub fn vma_mm(vma: *const u8) -> Mm {
    // SAFETY: by the caller.
    unsafe { Mm::behind(vma, &VMA_MM) }
}
