//! The true totals of a space's counters: plain counts and what each CPU has not handed in.

use core::{mem::MaybeUninit, ptr::read_volatile};

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_kernel};
use tracer_common::ledger::{Cached, Split};

use super::{Mm, cast::cast, copy, field, layout::*, order::after};
use crate::maps::PER_CPU_OFFSETS;

/// Counters of a space: file, anonymous, swap, shared (`enum` in mm_types_task.h).
const MEMBERS: u64 = 4;

/// Tries of a scan after the first before it is given up: some hundreds of microseconds. A counter is
/// locked for some tens of nanoseconds, and its total moves once in a batch of pages; only a virtual
/// CPU that stops there lasts longer, mostly for a time slice.
const SCAN_RETRIES: u32 = 4096;

impl Mm {
    /// The counters of a CPU lie side by side (`percpu_counter_init_many`), as the scan needs.
    #[inline(always)]
    pub fn slots_adjoin(self) -> bool {
        if COUNTS_BY_THREAD.load() != 0 {
            // It has none.
            return true;
        }
        let mut member = 1;
        while member < MEMBERS {
            let at = (SLOTS.load() + member * COUNTER_BYTES.load()) as usize;
            // SAFETY: as in `plain_rss`.
            let (first, slots): (u64, u64) =
                unsafe { (field(self.0, &SLOTS), read_volatile(self.0.add(at).cast())) };
            if slots != first + member * size_of::<i32>() as u64 {
                return false;
            }
            member += 1;
        }
        true
    }

    /// The plain counts.
    #[cfg(mutant = "o1-sum")]
    #[inline(always)]
    pub fn counts(self) -> Split {
        // SAFETY: as in `plain_rss`.
        unsafe {
            Split {
                file: field(self.0, &FILE_COUNT),
                anon: field(self.0, &ANON_COUNT),
                swap: field(self.0, &SWAP_COUNT),
                shmem: field(self.0, &SHMEM_COUNT),
            }
        }
    }

    /// The running CPU's slots, by member.
    #[cfg(mutant = "o1-sum")]
    #[inline(always)]
    pub fn own_slot_values(self) -> [i32; MEMBERS as usize] {
        read_slots(self.own_slots()).1
    }

    /// Address of the running CPU's slots.
    #[inline(always)]
    pub fn own_slots(self) -> u64 {
        let offset = PER_CPU_OFFSETS
            .get(crate::emit::cpu())
            .map_or(0, |offset| *offset);
        // SAFETY: as in `plain_rss`.
        let slots: u64 = unsafe { field(self.0, &SLOTS) };
        slots.wrapping_add(offset)
    }

    /// Reads the true totals: plain counts and every CPU's slot, accepted only if no counter was locked
    /// and no plain count moved meanwhile, so that no slot was seen on both sides of a move.
    #[inline(always)]
    pub fn scan(self, cached: *const Cached, to: &mut Split) -> bool {
        #[cfg(mutant = "o1-sum")]
        return crate::mutants::sum_of_last_seen(self, to);
        if scan_once(self, cached, to) == 0 {
            return true;
        }
        let mut retry = Retry {
            mm: self,
            cached,
            to,
            disturbed: 1,
        };
        // SAFETY: the function has the form that the helper asks for, and gets what it expects.
        unsafe {
            bpf_loop(
                SCAN_RETRIES,
                retry_scan as *mut _,
                (&raw mut retry).cast(),
                0,
            )
        };
        retry.disturbed == 0
    }

    /// The most that RSS can be now, even if a CPU stands still inside a counter: then its slot may
    /// be in the total already, so that a negative one would count twice.
    #[inline(always)]
    pub fn at_most(self, cached: *const Cached) -> i64 {
        at_most(self, cached)
    }
}

/// Nothing, in a way that the compiler cannot see through: of a constant it would make a call of
/// `memset`, which on BPF is a loop over bytes.
#[inline(always)]
pub fn nothing() -> Split {
    let zero: i64;
    // SAFETY: sets a register.
    unsafe { core::arch::asm!("{zero} = 0", zero = out(reg) zero, options(pure, nomem, nostack)) };
    Split {
        file: zero,
        anon: zero,
        shmem: zero,
        swap: zero,
    }
}

/// A space whose scan was not accepted at once.
#[repr(C)]
struct Retry {
    mm: Mm,
    cached: *const Cached,
    to: *mut Split,
    disturbed: u64,
}

/// One more try, by the kernel's loop helper: the verifier looks at it once and not at each turn.
#[inline(never)]
extern "C" fn retry_scan(_turn: u64, retry: *mut Retry) -> u64 {
    // SAFETY: `Mm::scan` hands over its own places.
    unsafe {
        (*retry).disturbed = scan_once((*retry).mm, (*retry).cached, (*retry).to);
        u64::from((*retry).disturbed == 0)
    }
}

/// What a CPU's slots hold of the resident counters.
#[inline(always)]
pub fn rss_of_slots(address: u64) -> i64 {
    let [file, anon, _, shmem] = read_slots(address).1;
    i64::from(file) + i64::from(anon) + i64::from(shmem)
}

/// A CPU's slots of the four counters, and not 0 if they could not be read.
#[inline(always)]
fn read_slots(address: u64) -> (u64, [i32; MEMBERS as usize]) {
    if TWO_WORDS.load() != 0 {
        let words = cast(address as *const u8, &TWO_WORDS).cast::<u64>();
        // SAFETY: the kernel's exception table catches a bad address; volatile, because other CPUs
        // write here.
        let (first, second) = unsafe { (read_volatile(words), read_volatile(words.add(1))) };
        let parts = [first, first >> 32, second, second >> 32];
        return (0, parts.map(|part| part as i32));
    }
    let mut values = MaybeUninit::<[i32; MEMBERS as usize]>::uninit();
    // SAFETY: the helper may be given any address, and fills its destination even when it fails.
    unsafe {
        let failed = bpf_probe_read_kernel(
            values.as_mut_ptr().cast(),
            size_of_val(&values) as u32,
            address as *const _,
        );
        (failed as u64, values.assume_init())
    }
}

/// One try of [`Mm::scan`]: 0 if it is accepted. One function of the object, not a copy at each of
/// its callers, and without branches, each of which would double the verifier's paths.
///
/// Whoever moves a slot into a count holds the lock meanwhile (`percpu_counter_add_batch`). So if a
/// count has the move and the slot not yet, the lock that is read between the two is held; and if
/// only the slot has it, either the lock that is read after it is held, or the count that is read
/// last has it too.
#[inline(never)]
fn scan_once(mm: Mm, cached: *const Cached, to: *mut Split) -> u64 {
    if COUNTS_BY_THREAD.load() != 0 {
        return scan_threads(mm, cached, to);
    }
    // SAFETY: `to` is the caller's; else as in `plain_rss`; probe reads may be given any address.
    unsafe {
        let file: i64 = field(mm.0, &FILE_COUNT);
        let anon: i64 = field(mm.0, &ANON_COUNT);
        let shmem: i64 = field(mm.0, &SHMEM_COUNT);
        let mut disturbed = locks(Mm(after((file ^ anon ^ shmem) as u64, mm.0)));
        let mut sum = Split {
            file,
            anon,
            shmem,
            swap: field(mm.0, &SWAP_COUNT),
        };
        let slots: u64 = field(mm.0, &SLOTS);
        let slots = after(disturbed, slots as *const u8) as u64;
        let mut cpu = 0;
        while u64::from(cpu) < CPUS.load() {
            let Some(offset) = PER_CPU_OFFSETS.get(cpu) else {
                return 1;
            };
            let (failed, [file, anon, swap, shmem]) = read_slots(slots.wrapping_add(*offset));
            disturbed |= failed;
            sum.file += i64::from(file);
            sum.anon += i64::from(anon);
            sum.swap += i64::from(swap);
            sum.shmem += i64::from(shmem);
            cpu += 1;
        }
        *to = sum;
        let locked = locks(Mm(after((sum.file ^ sum.anon ^ sum.shmem) as u64, mm.0)));
        let mm = after(locked, mm.0);
        let moved = (file ^ field::<i64>(mm, &FILE_COUNT))
            | (anon ^ field::<i64>(mm, &ANON_COUNT))
            | (shmem ^ field::<i64>(mm, &SHMEM_COUNT));
        disturbed | moved as u64 | locked
    }
}

/// The same where threads count apart from their space: the space's own counts and what is known of
/// its threads'. Accepted only if no thread was handing over meanwhile, and nothing moved.
#[inline(always)]
fn scan_threads(mm: Mm, cached: *const Cached, to: *mut Split) -> u64 {
    // SAFETY: as in `scan_once`; `cached` is of a live map value.
    unsafe {
        let ended = read_volatile(&raw const (*cached).ended);
        let (counts, caches) = (own_counts(mm), read_volatile(&raw const (*cached).level));
        *to = counts.plus(&caches);
        let after = own_counts(mm).rss() + read_volatile(&raw const (*cached).level).rss();
        let moved = (*to).rss() ^ after;
        moved as u64 | (ended ^ read_volatile(&raw const (*cached).begun))
    }
}

/// A space's own counts where its threads count too (`mm->rss_stat.count`).
#[inline(always)]
pub(super) fn own_counts(mm: Mm) -> Split {
    let first = mm.0.wrapping_add(FILE_COUNT.load() as usize);
    let [file, anon, swap, shmem] = copy::<[i64; MEMBERS as usize]>(first);
    Split {
        file,
        anon,
        shmem,
        swap,
    }
}

/// [`Mm::at_most`], as one function of the object.
#[inline(never)]
fn at_most(mm: Mm, cached: *const Cached) -> i64 {
    if COUNTS_BY_THREAD.load() != 0 {
        // SAFETY: `cached` is of a live map value.
        return unsafe { mm.plain_rss() + (*cached).level.rss() + (*cached).moving };
    }
    let mut sum = nothing();
    let mut lowest = nothing();
    // SAFETY: as in `scan_once`.
    unsafe {
        let before = mm.plain_rss();
        let slots: u64 = field(mm.0, &SLOTS);
        let mut cpu = 0;
        while u64::from(cpu) < CPUS.load() {
            let Some(offset) = PER_CPU_OFFSETS.get(cpu) else {
                return i64::MAX;
            };
            let (_, [file, anon, _, shmem]) = read_slots(slots.wrapping_add(*offset));
            sum.file += i64::from(file) + i64::from(anon) + i64::from(shmem);
            lowest.file = lowest.file.min(i64::from(file));
            lowest.anon = lowest.anon.min(i64::from(anon));
            lowest.shmem = lowest.shmem.min(i64::from(shmem));
            cpu += 1;
        }
        before.max(mm.plain_rss()) + sum.file - lowest.rss()
    }
}

/// Lock words of the counters that make up RSS: 0 if none is held.
#[inline(always)]
fn locks(mm: Mm) -> u64 {
    // SAFETY: as in `plain_rss`.
    unsafe {
        let [file, anon, shmem]: [u32; 3] = [
            field(mm.0, &FILE_LOCK),
            field(mm.0, &ANON_LOCK),
            field(mm.0, &SHMEM_LOCK),
        ];
        u64::from(file | anon | shmem)
    }
}
