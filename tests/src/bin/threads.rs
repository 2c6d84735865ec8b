//! Threads that hop between two CPUs, grow to a plateau, then drop and retouch parts of it, and
//! stand still with everything touched.
//!
//! Nothing but the pages dropped ever goes down before the standstill, and all of those are back
//! by then: the level at the standstill, which `statm` gives exactly, is the peak.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU32},
    thread,
};

use tests::{
    args::{self, Args},
    proc::Reader,
    sys::{
        memory::{self, Kind, Map},
        process,
        sync::Meeting,
    },
    truth::{self, ThreadsTruth},
};

/// Most pages dropped at a time: enough to cross the batch of the kernel's counters (32).
const MOST: usize = 48;
/// Pages that a thread touches between two hops while it grows.
const STRIDE: usize = 64;

static ARRIVED: AtomicU32 = AtomicU32::new(0);
static RELEASED: AtomicU32 = AtomicU32::new(0);

fn main() {
    let mut args = Args::of_program();
    let threads: u32 = args.value_or("--threads", 8);
    let pages: usize = args.value_or("--pages", 512);
    let rounds: usize = args.value_or("--rounds", 3_000);
    let seed: u64 = args.value_or("--seed", 1);
    let truth_file: Option<PathBuf> = args.value("--truth");
    args.finish();
    if pages < MOST {
        args::usage("--pages: too few to drop from");
    }
    let cpus = process::cpus();
    let [first, second, ..] = cpus[..] else {
        args::usage("two CPUs are needed to hop between")
    };
    process::refuse_huge_pages();

    let ballast = memory::ballast(1024);
    let mut reader = Reader::default();
    reader.own_rss();
    let meeting = Meeting::new(&ARRIVED, &RELEASED);
    let maps: Arc<[Map]> = (0..threads)
        .map(|_| Map::new(Kind::Private, pages))
        .collect();
    let workers: Vec<_> = (0..threads as usize)
        .map(|number| {
            let maps = Arc::clone(&maps);
            let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number as u64 + 1));
            thread::spawn(move || work(&maps[number], rounds, [first, second], dice))
        })
        .collect();
    meeting.gather(threads, 1);
    meeting.release();

    meeting.gather(threads, 2);
    let peak_rss_bytes = reader.own_rss();
    drop(ballast);
    meeting.release();
    let touched = workers
        .into_iter()
        .map(|worker| worker.join().expect("a worker"))
        .sum();
    let truth = ThreadsTruth {
        pid: std::process::id(),
        peak_rss_bytes,
        touched,
    };
    truth::write(&truth, truth_file.as_deref());
}

/// Returns how many pages it touched that were not there.
fn work(map: &Map, rounds: usize, cpus: [usize; 2], mut dice: Dice) -> u64 {
    let meeting = Meeting::new(&ARRIVED, &RELEASED);
    map.write(0);
    map.drop_pages(0, 1);
    process::move_to(cpus[0]);
    meeting.stand(1);

    for page in 0..map.pages() {
        if page % STRIDE == 0 {
            process::move_to(cpus[dice.below(2)]);
        }
        map.write(page);
    }
    let mut touched = map.pages();
    for _ in 0..rounds {
        let count = 1 + dice.below(MOST);
        let first = dice.below(map.pages() - count + 1);
        map.drop_pages(first, count);
        // Freed on one CPU, touched on another: the counters' slots drift apart.
        process::move_to(cpus[dice.below(2)]);
        (first..first + count).for_each(|page| map.write(page));
        touched += count;
    }
    meeting.stand(2);
    touched as u64
}

/// Numbers that look random (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }
}
