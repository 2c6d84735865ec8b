//! The page-fault storm that tracing is priced by: map, touch every page, unmap, again and again.
//!
//! Prints one line, `ns_per_fault=F wall_ns=N faults=N`: wall time from the common start to the
//! end of the last worker, over the faults of all of them.

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
    let board = Board::new(ENDS + workers as usize);
    let meeting = Meeting::new(board.word(ARRIVED), board.word(RELEASED));
    let work = |number: u32| {
        meeting.stand(1);
        for _ in 0..rounds {
            Map::new(Kind::Private, pages).write_all();
        }
        board
            .long(ENDS + number as usize)
            .store(process::now_ns(), Ordering::Release);
    };
    let lead = || {
        meeting.gather(workers, 1);
        let start = process::now_ns();
        meeting.release();
        start
    };

    let start = if tree {
        let children: Vec<u32> = (0..workers)
            .map(|number| {
                process::fork(|| {
                    work(number);
                    0
                })
            })
            .collect();
        let start = lead();
        for child in children {
            assert_eq!(process::wait(child).code, 0, "a worker failed");
        }
        start
    } else {
        thread::scope(|scope| {
            (0..workers).for_each(|number| {
                let work = &work;
                scope.spawn(move || work(number));
            });
            lead()
        })
    };

    let ends = (0..workers as usize).map(|number| board.long(ENDS + number));
    let end = ends
        .map(|end| end.load(Ordering::Acquire))
        .max()
        .unwrap_or(start);
    let (wall_ns, faults) = (end - start, u64::from(workers) * (rounds * pages) as u64);
    let ns_per_fault = wall_ns as f64 / faults as f64;
    println!("ns_per_fault={ns_per_fault:.3} wall_ns={wall_ns} faults={faults}");
}
