//! The sum of what a space's threads count apart from it. For the kernels that let them, see
//! `hooks/cache.rs`; on others nothing here is loaded.

use aya_ebpf::bindings::BPF_NOEXIST;
use tracer_common::ledger::{Cached, Space, Split, ThreadCache};

use super::{
    lock::{add, add_some, bump},
    target,
};
use crate::{
    maps::THREAD_CACHES,
    peek::{COUNTS_BY_THREAD, Thread},
};

/// What was last seen of a thread's cache; of one that was never seen, nothing.
///
/// `None` if there is no room: then the space's level lacks what the thread holds, and the report
/// says that a ledger is lost.
#[inline(always)]
fn entry(thread: Thread) -> Option<*mut ThreadCache> {
    if let Some(known) = THREAD_CACHES.get_ptr_mut(thread.address()) {
        return Some(known);
    }
    let empty = ThreadCache {
        level: crate::peek::nothing(),
        is_moving: 0,
        moving: 0,
    };
    let _ = THREAD_CACHES.insert(thread.address(), empty, 0);
    let made = THREAD_CACHES.get_ptr_mut(thread.address());
    if made.is_none()
        && let Some(target) = target()
    {
        // SAFETY: a live map value.
        unsafe { bump(&raw mut (*target).ledgers_lost, 1) };
    }
    made
}

/// Adds to the sum.
///
/// # Safety
///
/// A live map value.
#[inline(always)]
unsafe fn raise(cached: *mut Cached, by: &Split) {
    // SAFETY: by the caller.
    unsafe {
        add_some(&raw mut (*cached).level.file, by.file);
        add_some(&raw mut (*cached).level.anon, by.anon);
        add_some(&raw mut (*cached).level.shmem, by.shmem);
        add_some(&raw mut (*cached).level.swap, by.swap);
    }
}

/// Takes in the cache of the running thread, which is of this space. True if it differs from what
/// was known. A function of its own: its stack is then not part of its callers'.
#[inline(never)]
pub fn note_cache(thread: Thread, space: *mut Space) -> bool {
    let now = thread.cache();
    let Some(entry) = entry(thread) else {
        return false;
    };
    // SAFETY: live map values; the entry is the running thread's own.
    unsafe {
        let known = (*entry).level;
        let moved = now.minus(&known);
        if moved.file | moved.anon | moved.shmem | moved.swap == 0 {
            return false;
        }
        (*entry).level = now;
        raise(&raw mut (*space).cached, &moved);
    }
    true
}

/// Takes in the cache of any thread of this space, as a part of what the space began with, unless it
/// is known: then the thread itself keeps it up to date. For the census.
#[inline(always)]
pub fn seed_cache(thread: Thread, space: *mut Space) {
    if COUNTS_BY_THREAD.load() == 0 {
        return;
    }
    let level = thread.cache();
    let seen = ThreadCache {
        level,
        is_moving: 0,
        moving: 0,
    };
    if THREAD_CACHES
        .insert(thread.address(), seen, u64::from(BPF_NOEXIST))
        .is_ok()
    {
        // SAFETY: a live map value; only the census writes `start` after a space is opened.
        unsafe {
            raise(&raw mut (*space).cached, &level);
            let start = (*space).start;
            (*space).start = start.plus(&level);
        }
    }
}

/// The running thread is about to hand its cache over.
#[inline(always)]
pub fn begin_sync(thread: Thread, space: *mut Space) {
    let now = thread.cache();
    if now.file | now.anon | now.shmem | now.swap == 0 {
        return;
    }
    let Some(entry) = entry(thread) else { return };
    // SAFETY: live map values; the entry is the running thread's own.
    unsafe {
        let cached = &raw mut (*space).cached;
        let known = (*entry).level;
        let pages = now.rss();
        bump(&raw mut (*cached).begun, 1);
        add(&raw mut (*cached).moving, pages);
        raise(cached, &known.negative());
        (*entry).level = crate::peek::nothing();
        (*entry).is_moving = 1;
        (*entry).moving = pages;
    }
}

/// It has. False if that changed nothing.
#[inline(always)]
pub fn end_sync(thread: Thread, space: *mut Space) -> bool {
    let Some(entry) = THREAD_CACHES.get_ptr_mut(thread.address()) else {
        return false;
    };
    // SAFETY: as in `begin_sync`.
    unsafe {
        if (*entry).is_moving == 0 {
            // It began before its space was of the target.
            return note_cache(thread, space);
        }
        let cached = &raw mut (*space).cached;
        (*entry).is_moving = 0;
        add(&raw mut (*cached).moving, -(*entry).moving);
        bump(&raw mut (*cached).ended, 1);
    }
    true
}

/// The running thread is handing its cache over: what its events tell is not the level yet, which
/// the end of it publishes.
#[inline(always)]
pub fn is_syncing(space: *const Space) -> bool {
    if COUNTS_BY_THREAD.load() == 0 {
        return false;
    }
    // SAFETY: live map values.
    unsafe {
        if (*space).cached.begun == (*space).cached.ended {
            return false;
        }
        let own = THREAD_CACHES.get_ptr(Thread::current().address());
        own.is_some_and(|own| (*own).is_moving != 0)
    }
}

/// A thread is gone, and its address may be another's.
#[inline(always)]
pub fn forget_cache(thread: Thread) {
    if COUNTS_BY_THREAD.load() != 0 {
        let _ = THREAD_CACHES.remove(thread.address());
    }
}
