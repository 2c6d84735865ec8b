//! A process that lives for a moment only: between two pauses a child touches its pages, and ends.
//!
//! The child reads its own `statm` when all of them are there; the parent stands still meanwhile.

use std::{path::PathBuf, sync::atomic::Ordering, thread, time::Duration};

use tests::{
    args::Args,
    proc::Reader,
    sys::{
        memory::{Kind, Map, page_bytes},
        process,
        sync::Board,
    },
    truth::{self, ProcessTruth, TreeTruth},
};

fn main() {
    let mut args = Args::of_program();
    let mib: usize = args.value_or("--mib", 32);
    let mut pause = |name, default| Duration::from_millis(args.value_or(name, default));
    let (before, after) = (pause("--before-ms", 200), pause("--after-ms", 400));
    let truth_file: Option<PathBuf> = args.value("--truth");
    args.finish();
    process::refuse_huge_pages();

    let board = Board::new(1);
    let mut reader = Reader::default();
    thread::sleep(before);
    let peak_rss_bytes = reader.own_rss();
    let child = process::fork(|| {
        let map = Map::new(Kind::Private, (mib << 20) / page_bytes());
        map.write_all();
        let rss = Reader::default().own_rss();
        board.long(0).store(rss, Ordering::Release);
        0
    });
    assert_eq!(process::wait(child).code, 0, "the child failed");
    thread::sleep(after);
    let truth = TreeTruth {
        parent: ProcessTruth {
            pid: std::process::id(),
            peak_rss_bytes,
        },
        children: vec![ProcessTruth {
            pid: child,
            peak_rss_bytes: board.long(0).load(Ordering::Acquire),
        }],
        together_rss_bytes: None,
    };
    truth::write(&truth, truth_file.as_deref());
}
