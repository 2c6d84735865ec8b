//! One spike of known height and length: nothing, a plateau, nothing.
//!
//! The plateau's pages exist before, in a file in memory, so that taking them up and giving them
//! back is quick against holding them.

use std::{path::PathBuf, thread, time::Duration};

use tests::{
    args::Args,
    sys::{
        file,
        memory::{Kind, Map, page_bytes},
        process,
    },
    truth::{self, SpikeTruth},
};

fn main() {
    let mut args = Args::of_program();
    let mib: usize = args.value_or("--mib", 32);
    let mut pause = |name, default| Duration::from_millis(args.value_or(name, default));
    let (before, hold, after) = (
        pause("--before-ms", 100),
        pause("--hold-ms", 30),
        pause("--after-ms", 100),
    );
    let truth_file: Option<PathBuf> = args.value("--truth");
    args.finish();
    process::refuse_huge_pages();

    let pages = (mib << 20) / page_bytes();
    let file = file::memfd(pages);
    thread::sleep(before);
    let began_ns = process::now_ns();
    let map = Map::new(Kind::SharedFile(&file), pages);
    map.read_all();
    let full_ns = process::now_ns();
    thread::sleep(hold);
    let held_ns = process::now_ns() - full_ns;
    drop(map);
    let whole_ns = process::now_ns() - began_ns;
    thread::sleep(after);
    let truth = SpikeTruth {
        pid: std::process::id(),
        spike_bytes: (pages * page_bytes()) as u64,
        held_ns,
        whole_ns,
    };
    truth::write(&truth, truth_file.as_deref());
}
