//! A pool of workers forked from a parent that holds a lot, sharing it copy-on-write, all standing
//! still together.
//!
//! Before the standstill no space gives a page back, and right after it the parent gives back
//! everything it held before it lets the workers go: the sum of `statm` over all of them at the
//! standstill is the tree's highest level.

use std::path::PathBuf;

use tests::{
    args::Args,
    proc::Reader,
    sys::{
        memory::{self, Kind, Map, page_bytes},
        process,
        sync::{Board, Meeting},
    },
    truth::{self, ProcessTruth, TreeTruth},
};

fn main() {
    let mut args = Args::of_program();
    let workers: u32 = args.value_or("--workers", 8);
    let mib: usize = args.value_or("--mib", 200);
    // Of 100 pages, a worker writes to so many; it reads the others.
    let written: usize = args.value_or("--write-percent", 25);
    let wait = args.flag("--wait");
    let truth_file: Option<PathBuf> = args.value("--truth");
    args.finish();
    process::refuse_huge_pages();

    let heap = memory::ballast((mib << 20) / page_bytes());
    let room = Map::new(Kind::Private, 64);
    let board = Board::new(2);
    let meeting = Meeting::new(board.word(0), board.word(1));
    let mut reader = Reader::default();
    // The stack too: how deep its mapped part reaches at the standstill is chance, and reading the
    // truth after it must not add a page.
    memory::fault_all_in();
    memory::keep_resident();
    let children: Vec<u32> = (0..workers)
        .map(|number| {
            process::fork(|| {
                memory::keep_resident();
                meeting.stand(1);
                for page in 0..heap.pages() {
                    if page % 100 < written {
                        heap.write(page);
                    } else {
                        heap.read(page);
                    }
                }
                // Each of another size, so that no two rows look alike.
                (0..=number as usize).for_each(|page| room.write(page));
                meeting.stand(2);
                0
            })
        })
        .collect();
    meeting.gather(workers, 1);
    meeting.release();

    meeting.gather(workers, 2);
    if wait {
        process::say(b"plateau\n");
        process::await_line(true);
    }
    let truths = children
        .iter()
        .map(|pid| ProcessTruth {
            pid: *pid,
            peak_rss_bytes: reader.rss(*pid),
        })
        .collect();
    let parent = ProcessTruth {
        pid: std::process::id(),
        peak_rss_bytes: reader.own_rss(),
    };
    drop(heap);
    meeting.release();
    for pid in children {
        assert_eq!(process::wait(pid).code, 0, "a worker failed");
    }
    let mut truth = TreeTruth {
        parent,
        children: truths,
        together_rss_bytes: None,
    };
    let all = truth.children.iter().chain([&truth.parent]);
    truth.together_rss_bytes = Some(all.map(|process| process.peak_rss_bytes).sum());
    truth::write(&truth, truth_file.as_deref());
}
