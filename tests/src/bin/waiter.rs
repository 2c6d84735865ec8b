//! Takes a known number of page faults while it is watched, one of which waits, and stands still
//! before and after.
//!
//! Before, it faults in all that it has mapped and practises what it will do, so that nothing else
//! faults between the two readings of its counters.

use std::{path::PathBuf, time::Duration};

use tests::{
    args::Args,
    sys::{
        memory::{self, Kind, Map},
        process::{self, Usage},
        userfault::Answers,
    },
    truth::{self, WaiterTruth},
};

fn main() {
    let mut args = Args::of_program();
    let pages: usize = args.value_or("--pages", 2_000);
    let wait_ms: u64 = args.value_or("--wait-ms", 50);
    let truth_file: PathBuf = args.value("--truth").expect("--truth");
    args.finish();
    process::refuse_huge_pages();

    let answers = Answers::after(Duration::from_millis(wait_ms));
    touch(1);
    process::now_ns();
    process::await_line(false);
    memory::fault_all_in();
    // From here on, so that the call has not filled it in.
    let slow = Map::new(Kind::Private, 1);
    answers.watch(&slow);
    process::say(b"ready\n");
    process::await_line(true);

    let before = Usage::of_self();
    let map = touch(pages);
    let began_ns = process::now_ns();
    slow.write(0);
    let waited_ns = process::now_ns() - began_ns;
    let after = Usage::of_self();
    process::say(b"over\n");
    process::await_line(true);

    drop(map);
    answers.finish();
    let counted = |usage: Usage| usage.minor_faults + usage.major_faults;
    let truth = WaiterTruth {
        pid: std::process::id(),
        touched: pages as u64 + 1,
        counted: counted(after) - counted(before),
        waited_ns,
    };
    truth::write(&truth, Some(&truth_file));
}

fn touch(pages: usize) -> Map {
    let map = Map::new(Kind::Private, pages);
    map.write_all();
    map
}
