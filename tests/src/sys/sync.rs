//! Standing still together: words in shared memory on which threads and processes wait.

use std::{
    ptr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::memory::{Kind, Map, page_bytes};

/// A page that this process and its children see alike: numbers, from 0 at the start.
#[derive(Debug)]
pub struct Board {
    map: Map,
}

impl Board {
    /// Makes a board of `longs` numbers and touches its pages.
    pub fn new(longs: usize) -> Self {
        let map = Map::new(Kind::Shared, (longs * 8).div_ceil(page_bytes()).max(1));
        (0..map.pages()).for_each(|page| {
            map.byte(page).store(0, Ordering::Relaxed);
        });
        Self { map }
    }

    /// A number.
    pub fn long(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.map.pages() * page_bytes() / 8);
        // SAFETY: mapped for as long as `self` lives, aligned, only ever used as atomics.
        unsafe { AtomicU64::from_ptr((self.map.address() as *mut u64).add(index)) }
    }

    /// Lower half of a number, to wait on. A number is used either whole or by its half.
    pub fn word(&self, index: usize) -> &AtomicU32 {
        // SAFETY: as in `long`; x86-64 and arm64 put the lower half first.
        unsafe { AtomicU32::from_ptr(self.long(index).as_ptr().cast()) }
    }
}

/// Waits until the word, which only grows, is at least `least`.
pub fn wait_for(word: &AtomicU32, least: u32) {
    // Refused: the word is another. A wait that a tracer disturbs fails too, and the C library's way
    // of telling an error must be in memory before anybody counts pages (on arm64 it is a function
    // by itself).
    wait_while(word, word.load(Ordering::Acquire).wrapping_sub(1));
    loop {
        let now = word.load(Ordering::Acquire);
        if now >= least {
            return;
        }
        wait_while(word, now);
    }
}

/// Waits for a wake-up if the word is `value`, or until the wait is disturbed.
fn wait_while(word: &AtomicU32, value: u32) {
    // SAFETY: the word lives longer than the call; callers look at it again.
    unsafe {
        let forever = ptr::null::<libc::timespec>();
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            value,
            forever,
        );
    }
}

/// Adds 1 to the word and wakes all who wait on it.
pub fn advance(word: &AtomicU32) {
    word.fetch_add(1, Ordering::AcqRel);
    // SAFETY: the kernel uses the address as a key only.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

/// Where a leader lets others stand still, looks around, and sends them on.
///
/// Everybody goes through once for practice: what it takes to wait is in memory after that, so
/// that standing still the second time adds no page.
#[derive(Clone, Copy, Debug)]
pub struct Meeting<'a> {
    arrived: &'a AtomicU32,
    released: &'a AtomicU32,
}

impl<'a> Meeting<'a> {
    /// A meeting on two words that are 0.
    pub fn new(arrived: &'a AtomicU32, released: &'a AtomicU32) -> Self {
        Self { arrived, released }
    }

    /// A follower arrives for the `nth` time (from 1) and waits for the leader.
    pub fn stand(&self, nth: u32) {
        advance(self.arrived);
        wait_for(self.released, nth);
    }

    /// The leader waits until `followers` have arrived for the `nth` time.
    pub fn gather(&self, followers: u32, nth: u32) {
        wait_for(self.arrived, followers * nth);
    }

    /// The leader sends everybody on.
    pub fn release(&self) {
        advance(self.released);
    }
}
