//! The ledgers: levels and peaks of every space and of the target.
//!
//! What holds here, and why the peaks are exact:
//! - a level is only ever a validated scan of the kernel's own counters ([`Mm::scan`]), so nothing
//!   drifts and a missed event heals at the next one;
//! - under the space's lock a scan and its publication are one step, so a stale level never
//!   replaces a fresh one;
//! - the target's total is one atomic number to which every space adds its difference: its values
//!   are sums of published levels, in the order of the additions;
//! - a CPU that cannot have the lock in time (its holder's virtual CPU is not running) leaves its
//!   scan in `late_rss`, an atomic maximum.

use core::intrinsics::{AtomicOrdering::SeqCst, atomic_cxchg, atomic_xadd, atomic_xchg};

use aya_ebpf::{Global, helpers::bpf_loop};
use tracer_common::{
    ledger::{Peak, Space, Split, Target},
    limits::{PRESENCE_BUCKETS, QUANTUM_SHIFT},
    record::{Marked, SpaceClosed, SpaceOpened, kind},
};

use crate::{
    emit,
    hooks::process::FOLLOWS_CGROUP,
    maps::{CENSUS, EMPTY_SPACE, PRESENCE, SEEN, SPACES, TARGET},
    peek::{Mm, nothing},
};

#[unsafe(no_mangle)]
pub static PLAIN_SLACK: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub static QUANTUM: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub static QUANTUM_GROWS: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub static UNSEEN_SHIFT: Global<u64> = Global::new(0);

/// Tries to raise a number.
const RAISES: u32 = 4;

/// Tries to get a lock: some fifty microseconds. The section behind it takes a tenth of one;
/// whoever waits longer waits for a virtual CPU that does not run, and that can take for ever.
const SPINS: u32 = 1024;

const FREE: u64 = 0;
const HELD: u64 = 1;

#[inline(always)]
unsafe fn compare_exchange(word: *mut u64, old: u64, new: u64) -> bool {
    // SAFETY: by the caller, `word` is an aligned word of a live map value.
    unsafe { atomic_cxchg::<u64, { SeqCst }, { SeqCst }>(word, old, new) }.1
}

#[cfg(not(mutant = "target-unlocked"))]
#[inline(always)]
unsafe fn add(word: *mut i64, amount: i64) -> i64 {
    // SAFETY: as in `compare_exchange`.
    let before = unsafe { atomic_xadd::<u64, u64, { SeqCst }>(word.cast(), amount as u64) } as i64;
    before + amount
}

/// Adds what is not nothing: an event moves one class, and an atomic addition costs as much as all
/// that is around it.
#[inline(always)]
unsafe fn add_some(word: *mut i64, amount: i64) {
    if amount != 0 {
        // SAFETY: by the caller, as in `add`.
        unsafe { add(word, amount) };
    }
}

/// Adds to a counter of the target or of a space.
///
/// # Safety
///
/// `word` is an aligned word of a live map value.
#[inline(always)]
pub unsafe fn bump(word: *mut u64, amount: u64) -> u64 {
    // SAFETY: by the caller.
    unsafe { atomic_xadd::<u64, u64, { SeqCst }>(word, amount) }.wrapping_add(amount)
}

/// Raises `word` to `value` if it is lower. Another CPU wins a round at most once for each value
/// that it raises, so a few rounds settle it.
#[inline(always)]
unsafe fn raise(word: *mut i64, value: i64) {
    let mut tries = 0;
    while tries < RAISES {
        // SAFETY: as in `compare_exchange`.
        unsafe {
            let now = core::ptr::read_volatile(word);
            if now >= value || compare_exchange(word.cast(), now as u64, value as u64) {
                return;
            }
        }
        tries += 1;
    }
}

/// A known wrong way, see [`crate::mutants`].
#[cfg(mutant = "target-unlocked")]
#[inline(always)]
unsafe fn add(word: *mut i64, amount: i64) -> i64 {
    // SAFETY: as in `compare_exchange`.
    unsafe {
        let sum = core::ptr::read_volatile(word) + amount;
        core::ptr::write_volatile(word, sum);
        sum
    }
}

/// A known wrong way, see [`crate::mutants`].
#[cfg(mutant = "target-unlocked")]
#[inline(always)]
unsafe fn lock(_word: *mut u64) -> bool {
    true
}

/// Takes a lock, or gives up after [`SPINS`] tries.
#[cfg(not(mutant = "target-unlocked"))]
#[inline(always)]
unsafe fn lock(word: *mut u64) -> bool {
    // SAFETY: as in `compare_exchange`.
    if unsafe { compare_exchange(word, FREE, HELD) } {
        return true;
    }
    let mut wait = Wait { word, held: 0 };
    // SAFETY: the function has the form that the helper asks for, and gets what it expects.
    unsafe { bpf_loop(SPINS, try_lock as *mut _, (&raw mut wait).cast(), 0) };
    wait.held != 0
}

/// Lets a lock go.
#[inline(always)]
unsafe fn unlock(word: *mut u64) {
    // SAFETY: as in `compare_exchange`. An exchange, since a plain store would not order what was
    // written before it on every machine.
    unsafe { atomic_xchg::<u64, { SeqCst }>(word, FREE) };
}

/// A CPU that waits for a lock.
#[cfg(not(mutant = "target-unlocked"))]
#[repr(C)]
struct Wait {
    word: *mut u64,
    held: u64,
}

/// One try. By the kernel's loop helper, so that the verifier looks at it once and not at each
/// turn: a run starts in a tenth of the time.
#[cfg(not(mutant = "target-unlocked"))]
#[inline(never)]
extern "C" fn try_lock(_turn: u64, wait: *mut Wait) -> u64 {
    // SAFETY: `lock` hands over its own place, and a word as in `compare_exchange`.
    unsafe {
        if compare_exchange((*wait).word, FREE, HELD) {
            (*wait).held = 1;
            return 1;
        }
    }
    0
}

/// Copies a ledger by words: what the compiler makes of an assignment, a call of `memmove`, goes
/// byte by byte on BPF.
///
/// # Safety
///
/// Both are valid, and `to` is not read by others yet.
#[inline(always)]
unsafe fn copy_words(from: *const Space, to: *mut Space) {
    let mut word = 0;
    while word < size_of::<Space>() / size_of::<u64>() {
        // SAFETY: by the caller; a ledger is made of whole aligned words.
        unsafe {
            let value = core::ptr::read_volatile(from.cast::<u64>().add(word));
            core::ptr::write_volatile(to.cast::<u64>().add(word), value);
        }
        word += 1;
    }
}

/// The target's ledger. An array of one always has its element.
#[inline(always)]
pub fn target() -> Option<*mut Target> {
    TARGET.get_ptr_mut(0)
}

#[inline(always)]
fn bucket(mm: Mm) -> Option<*mut u32> {
    // Fibonacci hashing: `mm_struct`s come from a slab, their addresses differ in middle bits.
    let hash = mm.low_half().wrapping_mul(0x9E37_79B9) >> (32 - PRESENCE_BUCKETS.ilog2());
    let table = PRESENCE.get_ptr_mut(0)?;
    // SAFETY: the index is masked to the table's length.
    Some(unsafe {
        table
            .cast::<u32>()
            .add(hash as usize & (PRESENCE_BUCKETS - 1))
    })
}

/// The ledger of a space of the target.
#[inline(always)]
pub fn find(mm: Mm) -> Option<*mut Space> {
    let bucket = bucket(mm)?;
    // SAFETY: `bucket` points into a live map value.
    if unsafe { core::ptr::read_volatile(bucket) } == 0 {
        return None;
    }
    SPACES.get_ptr_mut(mm.address())
}

/// The least movement of a level that the stream tells, given the peak so far, pages.
#[inline(always)]
fn quantum(peak: i64) -> i64 {
    let fixed = QUANTUM.load() as i64;
    if QUANTUM_GROWS.load() != 0 && peak >> QUANTUM_SHIFT > fixed {
        peak >> QUANTUM_SHIFT
    } else {
        fixed
    }
}

/// A space's counters changed: the hot path, once for each change of any process's memory.
#[inline(always)]
pub fn changed(mm: Mm, space: *mut Space, target: *mut Target) {
    // SAFETY: both are live map values; racy reads only decide whether to look closer, and a
    // peak only grows.
    unsafe {
        let quantum = quantum((*space).peak.rss);
        // Of a cgroup, the anonymous peak is wanted too: nothing may be left out.
        let alone = FOLLOWS_CGROUP.load() == 0
            && (*target).spaces == 1
            && CENSUS.get(0).is_some_and(|running| *running == 0);
        if alone && quantum > 0 {
            let segment = (*space).segment;
            let plain = mm.plain_rss();
            let slack = PLAIN_SLACK.load() as i64;
            let streamed = (*space).streamed;
            if plain + slack <= segment {
                // No new peak is possible. What is left is whether the stream must be told.
                if plain - streamed < quantum - slack && streamed - plain < quantum - slack {
                    return;
                }
                if is_within(mm, space, plain, quantum) {
                    return;
                }
            } else if (*space).level_rss < segment {
                // At its peak it most likely grows on: then this would have to be done twice.
                let mut split = nothing();
                let scanned = mm.scan(&mut split);
                let rss = split.rss();
                if scanned && rss <= segment && rss - streamed < quantum && streamed - rss < quantum
                {
                    return;
                }
            }
        }
    }
    publish(mm, space, target);
}

/// The level is within the quantum of what the stream last told, with no new peak in sight.
///
/// The other CPUs' slots are in their caches, and looking at them costs them as much as us. So a
/// CPU looks only when its own slots have moved by a share of the quantum, or a plain count has
/// moved, since its last look: with `N` CPUs each within `quantum / 4N` of what it saw, they have
/// together moved by half of the quantum at most since any CPU's last look, and a look accepts the
/// other half.
///
/// # Safety
///
/// A live map value.
#[inline(always)]
unsafe fn is_within(mm: Mm, space: *mut Space, plain: i64, quantum: i64) -> bool {
    let Some(seen) = SEEN.get_ptr_mut(0) else {
        return false;
    };
    let half = quantum >> 1;
    let share = half >> UNSEEN_SHIFT.load();
    let own = mm.own_rss();
    // SAFETY: by the caller; what the CPUs share here are hints, checked by the next look.
    unsafe {
        let moved = own - (*seen).own;
        if (*seen).told == (*space).told
            && (*seen).space == u64::from((*space).id)
            && (*space).looked_plain == plain
            && moved <= share
            && -moved <= share
        {
            return true;
        }
        let mut split = nothing();
        if !mm.scan(&mut split) {
            return false;
        }
        let moved = split.rss() - (*space).streamed;
        if moved >= half || -moved >= half {
            return false;
        }
        (*seen).space = u64::from((*space).id);
        (*seen).told = (*space).told;
        (*seen).own = own;
        (*space).looked_plain = plain;
        true
    }
}

/// Brings the ledgers of a space and of the target up to date.
#[inline(never)]
pub fn publish(mm: Mm, space: *mut Space, target: *mut Target) {
    let mut split = nothing();
    // SAFETY: both are live map values; fields other than atomics are written under the lock.
    unsafe {
        let word = &raw mut (*space).lock;
        let locked = lock(word);
        if !is_of(space, mm) {
            // It left the target while this CPU waited, and its place may be another's.
        } else if !mm.scan(&mut split) {
            unscanned(space, target, mm.at_most());
        } else if locked {
            settle(mm, space, target, &split);
        } else {
            late(space, target, split.rss());
        }
        if locked {
            unlock(word);
        }
    }
}

/// The ledger is this space's and open.
///
/// # Safety
///
/// A live map value.
#[inline(always)]
unsafe fn is_of(space: *const Space, mm: Mm) -> bool {
    // SAFETY: by the caller.
    unsafe { (*space).mm == mm.address() && (*space).closed_ns == 0 }
}

/// The lock was not to be had: the highest level is kept all the same.
///
/// # Safety
///
/// Live map values.
#[inline(always)]
unsafe fn late(space: *mut Space, target: *mut Target, rss: i64) {
    // SAFETY: by the caller; everything written here is atomic.
    unsafe {
        bump(&raw mut (*space).late, 1);
        if rss > (*space).segment {
            raise(&raw mut (*space).late_segment, rss);
        }
        if rss > (*space).peak.rss {
            raise(&raw mut (*space).late_rss, rss);
        }
        if (*target).spaces == 1 {
            if rss > (*target).peak.rss {
                raise(&raw mut (*target).late_rss, rss);
            }
            if rss > (*target).segment {
                raise(&raw mut (*target).late_segment, rss);
            }
        } else {
            bump(&raw mut (*target).guesses, 1);
            let total = (*target).level_rss + rss - (*space).level_rss;
            if total > (*target).peak.rss {
                raise(&raw mut (*target).guess_rss, total);
            }
        }
    }
}

/// No scan was accepted: what the space can have had at most is kept, so that user space can tell
/// whether a peak was missed.
///
/// # Safety
///
/// Live map values.
#[inline(always)]
unsafe fn unscanned(space: *mut Space, target: *mut Target, most: i64) {
    // SAFETY: by the caller; everything written here is atomic.
    unsafe {
        bump(&raw mut (*space).unscanned, 1);
        raise(&raw mut (*space).unscanned_most, most);
        let others = (*target).level_rss - (*space).level_rss;
        raise(
            &raw mut (*target).unscanned_most,
            if (*target).spaces == 1 {
                most
            } else {
                others + most
            },
        );
    }
}

/// Writes a scan into the ledgers.
///
/// # Safety
///
/// Live map values, the space's lock held.
#[inline(always)]
unsafe fn settle(mm: Mm, space: *mut Space, target: *mut Target, split: &Split) {
    let rss = split.rss();
    // SAFETY: by the caller.
    unsafe {
        let moved_rss = rss - (*space).level_rss;
        let record = rss > (*space).peak.rss;
        if rss > (*space).segment {
            (*space).segment = rss;
        }
        // One clock for both peaks, and none where there is neither.
        let at_ns = if record || (*target).level_rss + moved_rss > (*target).peak.rss {
            emit::now()
        } else {
            0
        };
        if record {
            (*space).peak = Peak {
                rss,
                at_ns,
                split: *split,
            };
            (*space).peak_pagetable_bytes = mm.pagetable_bytes();
            (*space).peak_hugetlb = mm.hugetlb();
        }
        let moved = Split {
            file: split.file - (*space).level.file,
            anon: split.anon - (*space).level.anon,
            shmem: split.shmem - (*space).level.shmem,
            swap: split.swap - (*space).level.swap,
        };
        (*space).level = *split;
        (*space).level_rss = rss;
        let target_rss = total(target, &moved, at_ns);
        let quantum = quantum((*target).peak.rss);
        // A look that found half of it gone comes here to tell.
        let quantum = if (*target).spaces == 1 {
            quantum >> 1
        } else {
            quantum
        };
        if moved_by(rss, (*space).streamed, quantum)
            || moved_by(target_rss, (*target).streamed, quantum)
        {
            (*space).streamed = rss;
            (*space).told += 1;
            (*target).streamed = target_rss;
            emit::level(emit::now(), (*space).id, *split, target_rss);
        }
    }
}

#[inline(always)]
fn moved_by(level: i64, streamed: i64, quantum: i64) -> bool {
    let moved = (level - streamed).abs();
    moved != 0 && moved >= quantum
}

/// Adds a space's difference to the target's total, and gives the total. `at_ns` is now, or 0 if
/// nobody has looked at the clock.
///
/// # Safety
///
/// A live map value.
#[inline(never)]
unsafe fn total(target: *mut Target, moved: &Split, at_ns: u64) -> i64 {
    // SAFETY: by the caller; classes and peak are written under the target's lock or atomically.
    unsafe {
        let word = &raw mut (*target).lock;
        let locked = lock(word);
        let level = add(&raw mut (*target).level_rss, moved.rss());
        add_some(&raw mut (*target).level.file, moved.file);
        add_some(&raw mut (*target).level.anon, moved.anon);
        add_some(&raw mut (*target).level.shmem, moved.shmem);
        add_some(&raw mut (*target).level.swap, moved.swap);
        if FOLLOWS_CGROUP.load() != 0 && locked && (*target).level.anon > (*target).anon_peak {
            (*target).anon_peak = (*target).level.anon;
            (*target).anon_peak_ns = if at_ns == 0 { emit::now() } else { at_ns };
        }
        if level > (*target).segment {
            if locked {
                (*target).segment = level;
            } else {
                raise(&raw mut (*target).late_segment, level);
            }
        }
        if level > (*target).peak.rss {
            if locked {
                (*target).peak = Peak {
                    rss: level,
                    at_ns: if at_ns == 0 { emit::now() } else { at_ns },
                    split: (*target).level,
                };
                (*target).peak_processes = (*target).processes;
                (*target).peak_spaces = (*target).spaces;
            } else {
                raise(&raw mut (*target).late_rss, level);
            }
        }
        if locked {
            unlock(word);
        }
        level
    }
}

/// Ends the segments of a space and of the target, and begins new ones at their levels. Both in
/// one step, under the space's lock and the target's within it: the order of the cuts is one for
/// all.
#[inline(never)]
pub fn cut(mm: Mm, space: *mut Space, target: *mut Target, into: *mut Marked) {
    let mut split = nothing();
    // SAFETY: live map values; `into` is the ring's reserved memory.
    unsafe {
        let word = &raw mut (*space).lock;
        let locked = lock(word);
        let scanned = is_of(space, mm) && mm.scan(&mut split);
        if locked && scanned {
            settle(mm, space, target, &split);
        }
        let level = (*space).level;
        let late = atomic_xchg::<u64, { SeqCst }>((&raw mut (*space).late_segment).cast(), 0);
        let highest = (*space).segment.max(late as i64);
        if cfg!(not(mutant = "segment-not-reset")) {
            (*space).segment = (*space).level_rss;
        }
        let in_order = cut_target(target, into);
        (&raw mut (*into).level).write(level);
        (&raw mut (*into).segment).write(highest);
        (&raw mut (*into).is_exact).write(u32::from(locked && scanned && in_order));
        if locked {
            unlock(word);
        }
    }
}

/// The target's part of a cut. False if its lock was not to be had.
///
/// # Safety
///
/// A live map value; `into` is the ring's reserved memory.
#[inline(never)]
pub unsafe fn cut_target(target: *mut Target, into: *mut Marked) -> bool {
    // SAFETY: by the caller.
    unsafe {
        let word = &raw mut (*target).lock;
        let locked = lock(word);
        let late = atomic_xchg::<u64, { SeqCst }>((&raw mut (*target).late_segment).cast(), 0);
        let highest = (*target).segment.max(late as i64);
        let level = (*target).level_rss;
        (*target).segment = level;
        (&raw mut (*into).order).write(bump(&raw mut (*target).marks, 1));
        (&raw mut (*into).target_rss).write(level);
        (&raw mut (*into).target_segment).write(highest);
        if locked {
            unlock(word);
        }
        locked
    }
}

/// Opens the ledger of a space that joins the target, and gives its number; 0 if there is no room.
/// `beside` is the running process's own space if it may have been alone so far.
#[inline(always)]
pub fn open(mm: Mm, process: u32, via: u32, beside: Option<Mm>) -> u32 {
    let Some(target) = target() else { return 0 };
    // SAFETY: map values live as long as their entry; the new one is published locked, so that
    // other CPUs that see an event of it wait until it is complete.
    unsafe {
        let (Some(empty), Some(bucket)) = (EMPTY_SPACE.get(0), bucket(mm)) else {
            return 0;
        };
        let stale = SPACES.get_ptr_mut(mm.address());
        if let Some(stale) = stale {
            // The address came back although its last user was never seen to go.
            total(target, &(*stale).level.negative(), 0);
            bump(&raw mut (*target).ledgers_lost, 1);
        }
        if SPACES.insert(mm.address(), empty, 0).is_err() {
            bump(&raw mut (*target).spaces_refused, 1);
            return 0;
        }
        let Some(space) = SPACES.get_ptr_mut(mm.address()) else {
            return 0;
        };
        let id = bump(&raw mut (*target).last_space, 1) as u32;
        let at_ns = emit::now();
        (*space).lock = HELD;
        (*space).mm = mm.address();
        (*space).id = id;
        (*space).process = process;
        (*space).via = via;
        (*space).opened_ns = at_ns;
        if stale.is_none() {
            atomic_xadd::<u32, u32, { SeqCst }>(bucket, 1);
            let spaces = bump(&raw mut (*target).spaces, 1);
            if let (2, Some(own)) = (spaces, beside) {
                // While it was alone it might leave early and be behind.
                if let Some(first) = find(own) {
                    publish(own, first, target);
                }
            }
        }
        let mut split = nothing();
        if mm.scan(&mut split) {
            settle(mm, space, target, &split);
        } else {
            unscanned(space, target, mm.at_most());
        }
        (*space).start = (*space).level;
        (*space).vm.peak = mm.total_vm();
        (*space).vm.before = (*space).vm.peak;
        unlock(&raw mut (*space).lock);
        emit::life::<SpaceOpened>(kind::SPACE_OPENED, |record| {
            record.write(SpaceOpened {
                header: emit::header(kind::SPACE_OPENED, at_ns),
                space: id,
                process,
                via,
                reserved: 0,
                split: (*space).start,
                hiwater: mm.hiwater_rss(),
            });
        });
        id
    }
}

/// Closes the ledger of a space that lives on elsewhere. Others may be about to publish it: they
/// find it closed once they have the lock.
#[inline(never)]
pub fn part(mm: Mm, space: *mut Space) {
    // SAFETY: a live map value.
    unsafe {
        let locked = lock(&raw mut (*space).lock);
        if !locked && let Some(target) = target() {
            bump(&raw mut (*target).guesses, 1);
        }
        close(mm, space);
        if locked {
            unlock(&raw mut (*space).lock);
        }
    }
}

/// Closes the ledger of a space that the kernel has torn down: its level leaves the total, its
/// figures go to user space.
#[inline(never)]
pub fn close(mm: Mm, space: *mut Space) {
    let Some(target) = target() else { return };
    // SAFETY: a live map value until the removal at the end; the kernel changes no counter of a
    // space after `exit_mmap`, so no other CPU publishes it.
    unsafe {
        let at_ns = emit::now();
        #[cfg(not(mutant = "exit-decrements-dropped"))]
        let left = total(target, &(*space).level.negative(), at_ns);
        #[cfg(mutant = "exit-decrements-dropped")]
        let left = (*target).level_rss;
        (*space).level = nothing();
        (*space).level_rss = 0;
        (*space).closed_ns = at_ns;
        emit::level(at_ns, (*space).id, nothing(), left);
        let told = emit::life::<SpaceClosed>(kind::SPACE_CLOSED, |record| {
            (&raw mut (*record).header).write(emit::header(kind::SPACE_CLOSED, at_ns));
            copy_words(space, &raw mut (*record).ledger);
        });
        if !told && !emit::keep_closed(space) {
            bump(&raw mut (*target).ledgers_lost, 1);
        }
        if let Some(bucket) = bucket(mm) {
            atomic_xadd::<u32, u32, { SeqCst }>(bucket, u32::MAX);
        }
        #[cfg(not(mutant = "ledger-not-reset"))]
        let _ = SPACES.remove(mm.address());
        bump(&raw mut (*target).spaces, u64::MAX);
    }
}
