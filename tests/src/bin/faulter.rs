//! Takes a known number of page faults and tells its own counters at its very end.
//!
//! Before, it faults in all that it has mapped, and the last words are written twice: the first
//! time brings everything that this takes into memory, so that nothing faults between the second
//! reading of the counters and the exit, on a machine that pages out what is cold either.

use std::{
    fs::File,
    io::{Cursor, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use tests::{
    args::Args,
    sys::{
        file,
        memory::{self, Kind, Map, page_bytes},
        process::{self, Usage},
    },
    truth::FaultsTruth,
};

fn main() {
    let start = Usage::of_self();
    let mut args = Args::of_program();
    let minor: usize = args.value_or("--minor", 500);
    let major: usize = args.value_or("--major", 20);
    let directory: PathBuf = args.value_or("--dir", std::env::current_dir().expect("a directory"));
    let truth_file: PathBuf = args.value("--truth").expect("--truth");
    args.finish();
    process::refuse_huge_pages();

    let truth_file = File::create(truth_file).expect("creating the truth");
    Map::new(Kind::Private, minor).write_all();
    fault_in_from_disk(&directory, major);
    memory::fault_all_in();

    for _ in 0..2 {
        let end = Usage::of_self();
        let truth = FaultsTruth {
            pid: std::process::id(),
            minor_at_start: start.minor_faults,
            major_at_start: start.major_faults,
            minor_faults: end.minor_faults,
            major_faults: end.major_faults,
        };
        let mut text = [b' '; 256];
        serde_json::to_writer(Cursor::new(&mut text[..]), &truth).expect("room");
        truth_file
            .write_all_at(&text, 0)
            .expect("writing the truth");
    }
    process::exit_now(0);
}

/// Reads pages of a file that is on the disk only.
fn fault_in_from_disk(directory: &Path, pages: usize) {
    if pages == 0 {
        return;
    }
    let mut file = file::unnamed_file(directory);
    file.write_all(&vec![0x5a; pages * page_bytes()])
        .expect("writing an own file");
    file::forget_cached(&file);
    let map = Map::new(Kind::SharedFile(&file), pages);
    map.expect_no_order();
    map.read_all();
}
