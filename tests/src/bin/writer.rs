//! Pages that appear in a process because another one writes there: `process_vm_writev` and
//! `ptrace`. The process itself sleeps all the while.

use std::path::PathBuf;

use tests::{
    args::Args,
    proc::Reader,
    sys::{
        memory::{self, Kind, Map, page_bytes},
        process::{self, Traced},
        sync::{Board, Meeting},
    },
    truth::{self, ProcessTruth, TreeTruth},
};

fn main() {
    let mut args = Args::of_program();
    let written: usize = args.value_or("--written", 700);
    let poked: usize = args.value_or("--poked", 50);
    let truth_file: Option<PathBuf> = args.value("--truth");
    args.finish();
    process::refuse_huge_pages();

    let ballast = memory::ballast(1024);
    let map = Map::new(Kind::Private, written + poked);
    let board = Board::new(2);
    let meeting = Meeting::new(board.word(0), board.word(1));
    let text = vec![7; written * page_bytes()];
    let mut reader = Reader::default();
    let child = process::fork(|| {
        process::allow_tracers();
        map.drop_pages(0, 1);
        meeting.stand(1);
        meeting.stand(2);
        // Small again before it ends, so that ending comes nowhere near the peak.
        map.drop_pages(0, map.pages());
        0
    });
    meeting.gather(1, 1);
    meeting.release();
    meeting.gather(1, 2);
    let before = reader.rss(child);
    // The mapping lies at the same address on both sides of the fork.
    process::write_into(child, map.address(), &text);
    let traced = Traced::attach(child);
    (written..written + poked).for_each(|page| {
        traced.poke(map.address() + page * page_bytes(), 7);
    });
    let after = reader.rss(child);
    assert_eq!(
        after,
        before + ((written + poked) * page_bytes()) as u64,
        "pages went elsewhere"
    );
    let parent = ProcessTruth {
        pid: std::process::id(),
        peak_rss_bytes: reader.own_rss(),
    };
    drop(ballast);
    drop(traced);
    meeting.release();
    assert_eq!(process::wait(child).code, 0, "the child failed");
    let child = ProcessTruth {
        pid: child,
        peak_rss_bytes: after,
    };
    let truth = TreeTruth {
        parent,
        children: vec![child],
        together_rss_bytes: None,
    };
    truth::write(&truth, truth_file.as_deref());
}
