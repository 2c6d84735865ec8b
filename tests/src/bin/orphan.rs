//! A command that ends while its child lives on: the child stands still until its stdin ends.

use std::path::PathBuf;

use tests::{
    args::Args,
    proc::Reader,
    sys::{
        memory, process,
        sync::{Board, Meeting, advance},
    },
    truth::{self, ProcessTruth, TreeTruth},
};

fn main() {
    let mut args = Args::of_program();
    let pages: usize = args.value_or("--pages", 2_000);
    let truth_file: Option<PathBuf> = args.value("--truth");
    args.finish();
    process::refuse_huge_pages();

    let parents = memory::ballast(1024);
    let board = Board::new(2);
    let meeting = Meeting::new(board.word(0), board.word(1));
    let mut reader = Reader::default();
    reader.own_rss();
    let child = process::fork_to_outlive(|| {
        let ballast = memory::ballast(pages);
        process::await_line(false);
        meeting.stand(1);
        advance(board.word(0));
        process::await_line(true);
        drop(ballast);
        0
    });
    meeting.gather(1, 1);
    meeting.release();
    meeting.gather(1, 2);
    let child = ProcessTruth {
        pid: child,
        peak_rss_bytes: reader.rss(child),
    };
    let parent = ProcessTruth {
        pid: std::process::id(),
        peak_rss_bytes: reader.own_rss(),
    };
    drop(parents);
    let truth = TreeTruth {
        parent,
        children: vec![child],
        together_rss_bytes: None,
    };
    truth::write(&truth, truth_file.as_deref());
}
