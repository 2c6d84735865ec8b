//! The page-fault storm that tracing is priced by: map, touch every page, unmap, again and again.
//!
//! All workers do each pass at the same time. Prints one line, `faults=N passes_ns=N,N,...`: the
//! faults of all workers in a pass, and the wall time of each pass, from the common start to the
//! end of the last worker.

use std::{sync::atomic::Ordering, thread};

use tests::{
    args::Args,
    sys::{
        mark::{Mark, mark},
        memory::{Kind, Map, page_bytes},
        process,
        sync::{Board, Meeting},
    },
};

/// Words on the board; the workers' end times follow.
const ARRIVED: usize = 0;
const RELEASED: usize = 1;
const ENDS: usize = 2;

fn main() {
    let mut args = Args::of_program();
    let workers: u32 = args.value_or("--threads", 1);
    let mib: usize = args.value_or("--mib", 64);
    let rounds: usize = args.value_or("--rounds", 10);
    let tree = args.flag("--tree");
    let phase = args.flag("--phase");
    args.finish();
    process::refuse_huge_pages();

    if phase {
        mark(Mark::Begin, "storm", 0);
    }
    let pages = (mib << 20) / page_bytes();
    let board = Board::new(ENDS + workers as usize * rounds);
    let meeting = Meeting::new(board.word(ARRIVED), board.word(RELEASED));
    let ends = |round: usize| {
        let first = ENDS + round * workers as usize;
        (first..first + workers as usize).map(|at| board.long(at))
    };
    let work = |number: u32| {
        for round in 0..rounds {
            meeting.stand(round as u32 + 1);
            Map::new(Kind::Private, pages).write_all();
            let end = ends(round)
                .nth(number as usize)
                .expect("a place of its own");
            end.store(process::now_ns(), Ordering::Release);
        }
    };
    let lead = || -> Vec<u64> {
        let start = |round: usize| {
            meeting.gather(workers, round as u32 + 1);
            let start = process::now_ns();
            meeting.release();
            start
        };
        (0..rounds).map(start).collect()
    };

    let starts = if tree {
        let children: Vec<u32> = (0..workers)
            .map(|number| {
                process::fork(|| {
                    work(number);
                    0
                })
            })
            .collect();
        let starts = lead();
        for child in children {
            assert_eq!(process::wait(child).code, 0, "a worker failed");
        }
        starts
    } else {
        thread::scope(|scope| {
            (0..workers).for_each(|number| {
                let work = &work;
                scope.spawn(move || work(number));
            });
            lead()
        })
    };

    let passes = starts.iter().enumerate().map(|(round, start)| {
        let ends = ends(round).map(|end| end.load(Ordering::Acquire));
        let last = ends.max().expect("at least one worker");
        (last - start).to_string()
    });
    let faults = workers as usize * pages;
    let passes: Vec<_> = passes.collect();
    println!("faults={faults} passes_ns={}", passes.join(","));
}
