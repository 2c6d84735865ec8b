//! Functions as phases, without a word from the program.

use tests::{
    report::{Phase, Report},
    runner::{Memtrace, Outcome, report, workload},
    sys::memory::page_bytes,
};

/// Runs `caller` with functions made phases.
fn call(options: &[&str]) -> (Outcome, Option<Report>) {
    let memtrace = Memtrace::with_json().options(options);
    let (outcome, scratch) = memtrace.run(&[workload("caller")]);
    let report = (outcome.code() == 0).then(|| report(&outcome, &scratch));
    (outcome, report)
}

#[track_caller]
fn traced(options: &[&str]) -> Report {
    let (outcome, report) = call(options);
    outcome.assert_code(0);
    let report = report.expect("it succeeded");
    report.assert_exact();
    report
}

fn growths(phases: &[&Phase]) -> Vec<u64> {
    let pages = phases
        .iter()
        .map(|phase| phase.growth() / page_bytes() as u64);
    pages.collect()
}

#[test]
fn each_call_is_a_phase() {
    let report = traced(&[
        "--phase-fn",
        "take_up",
        "--phase-fn",
        "inner::outermost=outer",
    ]);
    let calls = report.phases_named("take_up");
    // The first two are practice.
    assert_eq!(growths(&calls)[2..7], [300, 600, 1, 2, 3]);
    assert!(
        calls
            .iter()
            .all(|call| call.scope == "function" && call.ended_by == "mark")
    );
    let outer = report.phases_named("outer");
    assert_eq!(growths(&outer)[1..], [600]);
    let depths: Vec<u64> = calls.iter().map(|call| call.depth).collect();
    assert_eq!(depths[..7], [1, 1, 1, 1, 0, 0, 0]);
}

#[test]
fn recursion_nests() {
    let report = traced(&["--phase-fn", "descend"]);
    let calls = report.phases_named("descend");
    assert_eq!(growths(&calls)[9..], [5, 4, 3, 2, 1]);
    let depths: Vec<u64> = calls.iter().map(|call| call.depth).collect();
    assert_eq!(depths[9..], [0, 1, 2, 3, 4]);
}

#[test]
fn a_panic_passes_through_and_ends_the_phase() {
    let report = traced(&["--phase-fn", "give_up", "--phase-fn", "take_up"]);
    let calls = report.phases_named("give_up");
    assert_eq!(growths(&calls), [10, 20]);
    assert!(
        calls.iter().all(|call| call.ended_by == "jump"),
        "{calls:?}"
    );
    assert!(report.doubts("calls-not-returned"));
    let inner = report.phases_named("take_up");
    assert!(inner.iter().all(|call| call.ended_by == "mark"));
}

#[test]
fn functions_of_a_library() {
    let report = traced(&["--phase-fn", "libc.so.6:mmap=mapping"]);
    let calls = report.phases_named("mapping");
    assert!(calls.len() > 20, "{} calls", calls.len());
    let maps_once = (!report.doubts("no-virtual-memory")).then_some(1);
    let mapped = |call: &Phase| call.vm.map(|calls| calls.mmap.count);
    assert!(calls.iter().all(|call| mapped(call) == maps_once));
}

#[test]
fn what_cannot_be_a_phase_is_refused_before_the_command_starts() {
    let refused = |function: &str, words: &[&str]| {
        let (outcome, _) = call(&["--phase-fn", function]);
        outcome.assert_refusal(125, words);
    };
    refused("take_upp", &["no function take_upp", "take_up"]);
    refused("/no/such/library.so:f", &["/no/such/library.so"]);
    refused("/etc/passwd:f", &["no program or library"]);
    refused("libc.so.6:memcpy", &["memcpy", "run time"]);
    let (outcome, _) = call(&["--phase-fn", "=name"]);
    outcome.assert_code(2);
}
