//! Page faults are the kernel's own counts: those that a parent gets from `wait4`, and those that
//! a process reads of itself.

use tests::{
    report::Report,
    runner::{Memtrace, Scratch, trace, trace_with, workload},
    truth::{self, FaultsTruth, SpawnerTruth},
};

/// Sum over the rows of a PID; every row must know.
#[track_caller]
fn faults(report: &Report, pid: u32) -> (u64, u64) {
    let rows = report.rows(pid);
    assert!(!rows.is_empty(), "no row for PID {pid}");
    rows.iter().fold((0, 0), |sum, row| {
        let faults = row.faults.expect("faults of a row that ended");
        (sum.0 + faults.minor, sum.1 + faults.major)
    })
}

#[track_caller]
fn child_by_wait4(via: &str) {
    let scratch = Scratch::default();
    let (faulter, directory, own) = (
        workload("faulter"),
        scratch.arg(""),
        scratch.arg("own.json"),
    );
    let command = [
        &faulter, "--truth", &own, "--dir", &directory, "--minor", "500",
    ];
    let (report, truth): (Report, SpawnerTruth) =
        trace("spawner", &[&["--via", via, "--"], &command[..]].concat());
    assert_eq!(truth.code, 0);
    let by_itself: FaultsTruth = truth::read(&scratch.path("own.json"));
    assert!(
        truth.major_faults >= 20,
        "the workload's pages were not read from a disk: {truth:?}"
    );
    assert_eq!(
        faults(&report, truth.child),
        (truth.minor_faults, truth.major_faults),
        "wait4 of its parent; it read {by_itself:?} of itself at its end"
    );
}

#[test]
fn of_a_spawned_child_are_those_of_wait4() {
    child_by_wait4("spawn");
}

#[test]
fn of_a_forked_child_are_those_of_wait4() {
    child_by_wait4("fork");
}

/// The command's row begins with its exec, a little before its `main`, and ends with its exit, at
/// which the workload takes no more faults. Its rest is known through the report's own check of
/// `wait4`, whose figure contains the process that became the command.
#[test]
fn of_the_command() {
    let memtrace = Memtrace::with_json();
    let directory = memtrace.scratch.arg("");
    let (report, truth): (Report, FaultsTruth) = trace_with(
        memtrace,
        "faulter",
        &["--dir", &directory, "--minor", "500"],
    );
    let (minor, major) = faults(&report, truth.pid);
    assert!(
        minor <= truth.minor_faults,
        "more than the process had in all: {minor} {truth:?}"
    );
    assert!(
        minor >= truth.minor_faults - truth.minor_at_start,
        "less than its main: {minor}"
    );
    assert!(
        major <= truth.major_faults,
        "more than the process had in all: {major} {truth:?}"
    );
    assert!(
        major >= truth.major_faults - truth.major_at_start,
        "less than its main: {major}"
    );
    assert!(
        truth.major_faults >= truth.major_at_start + 20,
        "not read from a disk: {truth:?}"
    );

    for (against, count) in [
        ("ru_minflt", truth.minor_faults),
        ("ru_majflt", truth.major_faults),
    ] {
        let check = report
            .count_checks
            .iter()
            .find(|check| check.against.starts_with(against));
        let check = check.unwrap_or_else(|| panic!("no check against {against}"));
        assert_eq!(
            check.count, count,
            "{against} of wait4, by getrusage of the command itself"
        );
        assert_eq!(
            (check.counted, check.verdict.as_str()),
            (Some(count), "equal"),
            "{}",
            check.why
        );
    }
}
