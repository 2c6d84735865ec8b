//! Processes that share their parent's space: for a moment (`vfork`, then exit or exec), or for
//! good (`CLONE_VM` without `CLONE_THREAD`). Pages that they touch are their parent's.

use std::{cell::Cell, path::PathBuf};

use tests::{
    args::{self, Args},
    proc::Reader,
    sys::{
        memory::{self, Kind, Map},
        process::{self, Program, Sharing},
        sync::{Board, Meeting},
    },
    truth::{self, SpaceTruth},
};

/// Pages that the child touches in the shared space.
const PAGES: usize = 300;
/// Pages that the parent touches after the child is gone, more than an exec's arguments take: the
/// kernel charges those to the space in which the exec begins, which is the parent's here.
const CROWN: usize = 64;
/// Pages of the child's stack.
const STACK: usize = 32;

fn main() {
    let mut args = Args::of_program();
    let command = args.command();
    let truth_file: Option<PathBuf> = args.value("--truth");
    let way = args.word("exit, exec or share");
    args.finish();

    let ballast = memory::ballast(1024);
    let stack = Map::new(Kind::Private, STACK);
    let map = Map::new(Kind::Private, PAGES);
    let crown = Map::new(Kind::Private, CROWN);
    let mut reader = Reader::default();
    reader.own_rss();
    let peak = Cell::new(0);
    let (pid, waited) = match way.as_str() {
        // The child touches, and the parent, asleep until then, finds the pages in its own space.
        "exit" => {
            let work = || {
                map.write_all();
                7
            };
            process::share_space(Sharing::Vfork, &stack, &work, |pid| pid)
        }
        "exec" => {
            let program = Program::new(&command);
            let work = || {
                map.write_all();
                program.exec()
            };
            process::share_space(Sharing::Vfork, &stack, &work, |pid| pid)
        }
        // Both stand still, and the parent reads while the child lives.
        "share" => {
            let board = Board::new(2);
            let meeting = Meeting::new(board.word(0), board.word(1));
            let work = || {
                meeting.stand(1);
                map.write_all();
                meeting.stand(2);
                7
            };
            process::share_space(Sharing::Both, &stack, &work, |pid| {
                meeting.gather(1, 1);
                meeting.release();
                meeting.gather(1, 2);
                peak.set(reader.own_rss());
                // Seen once and lowered before the child goes on.
                map.drop_pages(0, PAGES);
                meeting.release();
                pid
            })
        }
        other => args::usage(&format!("{other}: exit, exec or share")),
    };
    assert_eq!(
        waited.code,
        if way == "exec" { 0 } else { 7 },
        "the child failed"
    );
    if way != "share" {
        crown.write_all();
        peak.set(reader.own_rss());
    }
    drop((map, crown));
    drop(ballast);
    let truth = SpaceTruth {
        pid: std::process::id(),
        others: vec![pid],
        peak_rss_bytes: peak.get(),
    };
    truth::write(&truth, truth_file.as_deref());
}
