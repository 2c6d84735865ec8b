//! memtrace killed in mid-run: its target runs on, nothing stays loaded, the next run works.
//!
//! Alone in its file: what is loaded is counted for the whole machine.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use tests::{
    live::Ledgers,
    runner::{Memtrace, trace_with, workload},
    sys::{
        bpf::{Kind, ids},
        process::signal,
    },
    truth::{self, PagesTruth},
};

/// How long the kernel may take to free what nobody holds any more: it does so later, by RCU.
const PATIENCE: Duration = Duration::from_secs(10);

fn loaded() -> BTreeSet<(Kind, u32)> {
    let kinds = [Kind::Program, Kind::Map, Kind::Link];
    kinds
        .into_iter()
        .flat_map(|kind| ids(kind).into_iter().map(move |id| (kind, id)))
        .collect()
}

#[test]
fn killed_in_mid_run() {
    let before = loaded();
    let memtrace = Memtrace::with_json();
    let directory = memtrace.scratch.arg("");
    let truth_file = memtrace.scratch.arg("truth.json");
    let pages = workload("pages");
    let argv = [
        &pages,
        "--anon",
        "3000",
        "--wait",
        "--truth",
        &truth_file,
        "--dir",
        &directory,
    ];
    let (mut program, scratch) = memtrace.start(&argv);
    program.hear_after("plateau");
    let levels = Ledgers::of(program.pid())
        .expect("it has loaded its maps")
        .levels();
    let during = loaded();
    for kind in [Kind::Program, Kind::Map, Kind::Link] {
        let new = during.difference(&before).filter(|(of, _)| *of == kind);
        assert!(
            new.count() > 0,
            "memtrace has loaded no {kind:?}: this test sees nothing"
        );
    }

    signal(program.pid(), libc::SIGKILL);
    program.wait();
    // The target goes on where it stood, and ends by itself with its truth written.
    program.nudge();
    program.finish().assert_code(128 + libc::SIGKILL);
    let truth: PagesTruth = truth::read(&scratch.path("truth.json"));
    assert_eq!(levels.keys().collect::<Vec<_>>(), [&truth.pid]);
    assert_eq!(truth.seen, Some(truth.peak));

    let end = Instant::now() + PATIENCE;
    while !loaded().is_subset(&before) && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
    }
    let left: Vec<_> = loaded().difference(&before).copied().collect();
    assert_eq!(left, [], "loaded by a memtrace that is dead");

    let memtrace = Memtrace::with_json();
    let directory = memtrace.scratch.arg("");
    let (report, truth): (_, PagesTruth) =
        trace_with(memtrace, "pages", &["--anon", "3000", "--dir", &directory]);
    assert_eq!(report.peak().level(), truth.peak, "the next run");
    report.assert_exact();
}
