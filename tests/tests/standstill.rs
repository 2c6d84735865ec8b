//! A random workload stopped 200 times: at every stop the ledger's current value of every process
//! is what `statm` says.

use std::{collections::BTreeMap, thread, time::Duration};

use tests::{
    live::Ledgers,
    proc::{Reader, group_members, thread_states},
    runner::{Memtrace, report, workload},
    sys::process::signal_group,
};

const STOPS: u32 = 200;

/// Waits until nobody in the group runs: every thread is stopped, or dead with its memory gone.
fn await_stop(group: u32) {
    let still = |state: &char| matches!(state, 'T' | 'Z' | 'X');
    let moves = |pid: u32| !thread_states(pid).iter().all(still);
    while group_members(group).iter().any(|member| moves(member.pid)) {
        thread::sleep(Duration::from_micros(200));
    }
}

/// `statm` of everybody in the group who has memory.
fn levels_by_statm(group: u32) -> BTreeMap<u32, u64> {
    let mut reader = Reader::default();
    let levels = group_members(group)
        .into_iter()
        .map(|member| (member.pid, reader.rss(member.pid)));
    levels.filter(|(_, rss)| *rss > 0).collect()
}

#[test]
fn ledgers_equal_statm_at_200_stops() {
    // Every change is published, so that nothing has to be brought up to date for the comparison.
    let memtrace = Memtrace::with_json().options(&["--quantum", "0"]);
    let (mut program, scratch) = memtrace.start(&[
        workload("random"),
        "--until-input".into(),
        "--seed".into(),
        "7".into(),
    ]);
    let group: u32 = program.hear_after("ready ").parse().expect("a PID");
    let ledgers = Ledgers::once_following(&mut program, &[group]);
    let mut most = 0;
    for stop in 1..=STOPS {
        thread::sleep(Duration::from_millis(10));
        signal_group(group, libc::SIGSTOP);
        await_stop(group);
        let expected = levels_by_statm(group);
        assert_eq!(
            ledgers.levels(),
            expected,
            "stop {stop}; changes left behind so far: {}",
            ledgers.left_behind()
        );
        most = most.max(expected.len());
        signal_group(group, libc::SIGCONT);
    }
    assert!(
        most > 3,
        "the workload made no tree: at most {most} processes at a stop"
    );
    program.nudge();
    let outcome = program.finish();
    outcome.assert_code(0);
    let report = report(&outcome, &scratch);
    report.assert_over();
}
