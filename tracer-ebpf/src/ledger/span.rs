//! When the ledger of a space begins and ends.

use core::intrinsics::{AtomicOrdering::SeqCst, atomic_xadd};

use tracer_common::{
    ledger::Space,
    record::{SpaceClosed, SpaceOpened, kind},
};

use super::{
    bucket,
    cached::note_cache,
    change::{publish, scan, unscanned},
    find, gather,
    lock::{HELD, bump, lock, unlock},
    settle::{settle, total},
    target,
};
use crate::{
    emit,
    maps::{EMPTY_SPACE, SPACES},
    peek::{COUNTS_BY_THREAD, Mm, Thread, nothing},
};

/// Copies a ledger by words: what the compiler makes of an assignment, a call of `memmove`, goes
/// byte by byte on BPF.
///
/// # Safety
///
/// Both are valid, and `to` is not read by others yet.
#[inline(always)]
pub(super) unsafe fn copy_words(from: *const Space, to: *mut Space) {
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
            // Whoever finds the epoch as it was has seen one space.
            bump(&raw mut (*target).epoch, 1);
            if spaces == 2 {
                // While the first was alone its ledger might be behind.
                gather::collect(target);
                if let Some(own) = beside
                    && let Some(first) = find(own)
                {
                    publish(own, first, target);
                }
            }
        }
        if COUNTS_BY_THREAD.load() != 0 && Thread::current().mm_address() == mm.address() {
            // Its first faults came before it was known: an exec's, while it was set up.
            note_cache(Thread::current(), space);
        }
        let mut split = nothing();
        if scan(mm, space, &mut split) {
            settle(mm, space, target, &split);
        } else {
            unscanned(space, target, mm.at_most(&raw const (*space).cached));
        }
        (*space).start = (*space).level;
        (*space).vm.peak = mm.total_vm();
        (*space).vm.before = (*space).vm.peak;
        (*space).vm.before_brk = mm.brk();
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
        gather::take_in(space, target, true);
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
