//! Many short processes, one after the other or all alive at once, each of another size.
//!
//! Every child reads its own `statm` at its plateau, where it stands still until the parent has
//! read the sum of all that are alive. Nobody gives a page back before that.

use std::{path::PathBuf, sync::atomic::Ordering};

use tests::{
    args::Args,
    proc::Reader,
    sys::{
        memory::{self, Kind, Map},
        process,
        sync::{Board, Meeting},
    },
    truth::{self, ProcessTruth, TreeTruth},
};

/// Pages of the smallest child's plateau: more than ending takes.
const LEAST: usize = 128;

fn main() {
    let mut args = Args::of_program();
    let parallel = args.flag("--parallel");
    let truth_file: Option<PathBuf> = args.value("--truth");
    let count: usize = args
        .word("the number of processes")
        .parse()
        .expect("a number");
    args.finish();
    process::refuse_huge_pages();

    let pid = std::process::id();
    let mut reader = Reader::default();
    reader.rss(pid);
    let mut children = Vec::with_capacity(count);
    let peaks = Board::new(count);
    let boards: Vec<Board> = (0..if parallel { 1 } else { count })
        .map(|_| Board::new(2))
        .collect();
    let ballast = memory::ballast(2048);
    let (mut together, mut own) = (0, 0);
    let size = if parallel { count } else { 1 };
    for (group, board) in boards.iter().enumerate() {
        let meeting = Meeting::new(board.word(0), board.word(1));
        let members = group * size..(group + 1) * size;
        children.extend(members.clone().map(|number| {
            process::fork(|| {
                child(LEAST + number, &meeting, |rss| {
                    peaks.long(number).store(rss, Ordering::Release);
                })
            })
        }));
        meeting.gather(size as u32, 1);
        meeting.release();
        meeting.gather(size as u32, 2);
        let alive = children[members.clone()]
            .iter()
            .map(|pid| reader.rss(*pid))
            .sum::<u64>();
        own = reader.own_rss();
        together = together.max(alive + own);
        if parallel {
            ballast.drop_pages(0, ballast.pages());
        }
        meeting.release();
        for pid in &children[members] {
            assert_eq!(process::wait(*pid).code, 0, "a child failed");
        }
    }
    let parent = ProcessTruth {
        pid,
        peak_rss_bytes: own,
    };
    drop(ballast);
    let rows = children
        .iter()
        .enumerate()
        .map(|(number, pid)| ProcessTruth {
            pid: *pid,
            peak_rss_bytes: peaks.long(number).load(Ordering::Acquire),
        });
    let truth = TreeTruth {
        parent,
        children: rows.collect(),
        together_rss_bytes: Some(together),
    };
    truth::write(&truth, truth_file.as_deref());
}

fn child(pages: usize, meeting: &Meeting<'_>, found: impl Fn(u64)) -> i32 {
    let mut reader = Reader::default();
    Map::new(Kind::Private, 1).write_all();
    found(reader.own_rss());
    meeting.stand(1);
    let map = Map::new(Kind::Private, pages);
    map.write_all();
    found(reader.own_rss());
    meeting.stand(2);
    drop(map);
    0
}
