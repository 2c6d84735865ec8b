//! Two processes one after the other with the same PID, of different sizes. Needs the right to
//! choose a PID (`CAP_CHECKPOINT_RESTORE`).

use std::{path::PathBuf, sync::atomic::Ordering};

use tests::{
    args::Args,
    proc::Reader,
    sys::{
        memory::{self, Kind, Map},
        process,
        sync::Board,
    },
    truth::{self, ProcessTruth, TreeTruth},
};

/// Pages of the two plateaus; the first is the larger, so that what is left of it would show.
const PAGES: [usize; 2] = [900, 300];

fn main() {
    let mut args = Args::of_program();
    let truth_file: Option<PathBuf> = args.value("--truth");
    args.finish();
    process::refuse_huge_pages();

    let ballast = memory::ballast(1024);
    let mut reader = Reader::default();
    reader.own_rss();
    let board = Board::new(2);
    let work = |number: usize| {
        let mut reader = Reader::default();
        Map::new(Kind::Private, 1).write_all();
        // All that reading and writing it down takes is in memory before it counts.
        board
            .long(number)
            .store(reader.own_rss(), Ordering::Release);
        memory::fault_all_in();
        let map = Map::new(Kind::Private, PAGES[number]);
        map.write_all();
        board
            .long(number)
            .store(reader.own_rss(), Ordering::Release);
        drop(map);
        0
    };
    let pid = process::fork(|| work(0));
    assert_eq!(process::wait(pid).code, 0, "the first child failed");
    process::fork_as(pid, || work(1));
    assert_eq!(process::wait(pid).code, 0, "the second child failed");

    let children = (0..2)
        .map(|number| ProcessTruth {
            pid,
            peak_rss_bytes: board.long(number).load(Ordering::Acquire),
        })
        .collect();
    let parent = ProcessTruth {
        pid: std::process::id(),
        peak_rss_bytes: reader.own_rss(),
    };
    drop(ballast);
    truth::write(
        &TreeTruth {
            parent,
            children,
            together_rss_bytes: None,
        },
        truth_file.as_deref(),
    );
}
