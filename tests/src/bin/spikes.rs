//! Short spikes, one after the other: each maps and touches the same number of pages and gives
//! them back at once.
//!
//! One that the scheduler held for too long does not count as short, and another follows. Before
//! all of them it makes one of a single page for practice, so that nothing else becomes resident: the
//! level between spikes is that of the standstill before them, and each reaches the same height.

use std::{path::PathBuf, thread, time::Duration};

use tests::{
    args::Args,
    pace::paced,
    proc::Reader,
    sys::{
        memory::{self, Kind, Map, page_bytes},
        process,
    },
    truth::{self, SpikesTruth},
};

/// A spike held for less than this is short.
const SHORT_NS: u64 = 500_000;
/// Spikes, at most: on a machine where more are held for long, there is nothing to show.
const MOST: usize = 1000;

fn main() {
    let mut args = Args::of_program();
    let count: usize = args.value_or("--count", 20);
    let pages: usize = args.value_or("--pages", 512);
    let truth_file: Option<PathBuf> = args.value("--truth");
    args.finish();
    process::refuse_huge_pages();

    let mut held_ns = [u64::MAX; MOST];
    let mut reader = Reader::default();
    spike(1);
    reader.own_rss();
    memory::fault_all_in();
    let base_rss_bytes = reader.own_rss();

    let (mut made, mut short) = (0, 0);
    while short < count {
        held_ns[made] = spike(pages);
        short += usize::from(held_ns[made] < paced(SHORT_NS));
        made += 1;
    }
    let truth = SpikesTruth {
        pid: std::process::id(),
        base_rss_bytes,
        peak_rss_bytes: base_rss_bytes + (pages * page_bytes()) as u64,
        held_ns: held_ns[..made].to_vec(),
    };
    truth::write(&truth, truth_file.as_deref());
}

/// Makes a spike and returns the time that holding it cannot have exceeded.
#[inline(never)]
fn spike(pages: usize) -> u64 {
    let map = Map::new(Kind::Private, pages);
    (0..pages - 1).for_each(|page| map.write(page));
    let before = process::now_ns();
    map.write(pages - 1);
    drop(map);
    let held_ns = process::now_ns() - before;
    // So that two spikes never look like one, however coarse the clock.
    thread::sleep(Duration::from_millis(2));
    held_ns
}
