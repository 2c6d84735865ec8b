//! How long page faults took: all of a workload's, no other's, and the one that waited among them;
//! on kernels that refuse the hooks, nothing, and the reason.

use std::fs;

use tests::{
    live::Ledgers,
    report::{Histogram, Report},
    runner::{Memtrace, Program, Scratch, memtrace, report, trace_with, workload},
    sys::process::{may_be_traced, signal},
    truth::{self, ThreadsTruth, WaiterTruth},
};

const ASKED: &[&str] = &["--fault-latency"];
const KEY: &str = "histograms.fault_ns";

/// Why the key is null.
fn reason(report: &Report) -> Option<&str> {
    let mut absent = report.certainty.absent.iter();
    let absent = absent.find(|absent| absent.key == KEY)?;
    Some(&absent.why)
}

/// The histogram, where this kernel allows it; else none, which the report must explain.
#[track_caller]
fn latencies(report: &Report) -> Option<Histogram> {
    let took = report.histograms.fault_ns.clone();
    if may_be_traced("handle_mm_fault") {
        let took = took.unwrap_or_else(|| panic!("none: {:?}", report.certainty));
        assert_eq!(reason(report), None);
        assert_eq!((&*took.unit, &*took.weight), ("ns", "faults"));
        let counted: u64 = took.buckets.iter().map(|(_, faults)| faults).sum();
        assert_eq!(took.count, counted, "of its buckets");
        Some(took)
    } else {
        assert!(took.is_none(), "{took:?}");
        let why = reason(report).expect("a reason");
        assert!(why.contains("fentry of handle_mm_fault"), "{why}");
        assert!(report.doubts("no-fault-latency"));
        None
    }
}

/// Faults whose time the report misses, as it says itself.
#[track_caller]
fn lost(report: &Report) -> u64 {
    let mut doubts = report.certainty.doubts.iter();
    let Some(doubt) = doubts.find(|doubt| doubt.id == "fault-latency-lost") else {
        return 0;
    };
    let (_, number) = doubt.text.split_once(": ").expect("a number");
    let (number, _) = number.split_once('.').expect("a sentence");
    number.replace(',', "").parse().expect("a number")
}

/// Faults of which more than `least_ns` is known to have passed, by the buckets.
fn slower(took: &Histogram, least_ns: u64) -> u64 {
    let slow = took.buckets.iter().filter(|(upper, _)| *upper >= least_ns);
    slow.map(|(_, faults)| faults).sum()
}

#[test]
fn every_fault_of_the_workload_is_counted_and_the_one_that_waits_is_the_longest() {
    const WAIT_NS: u64 = 50_000_000;
    let scratch = Scratch::default();
    let file = scratch.arg("truth.json");
    let mut program = Program::workload("waiter", &["--truth", &file, "--wait-ms", "50"]);
    program.hear_after("ready");
    let memtrace = Memtrace::with_json().options(ASKED);
    let (mut memtrace, files) = memtrace.attach(&[program.pid()]);
    Ledgers::once_following(&mut memtrace, &[program.pid()]);
    program.nudge();
    program.hear_after("over");
    signal(memtrace.pid(), libc::SIGINT);
    let outcome = memtrace.finish();
    outcome.assert_code(0);
    program.nudge();
    program.finish().assert_code(0);

    let truth: WaiterTruth = truth::read(&scratch.path("truth.json"));
    assert_eq!(truth.counted, truth.touched, "its own counters");
    let report = report(&outcome, &files);
    assert_eq!(report.certainty.peak_error_bound_bytes, Some(0));
    let Some(took) = latencies(&report) else {
        return;
    };
    assert!(!report.doubts("fault-latency-lost"), "{report:?}");
    assert_eq!(took.count, truth.touched);
    assert!(
        (WAIT_NS..=truth.waited_ns).contains(&took.max),
        "{took:?}, {truth:?}"
    );
    assert_eq!(slower(&took, WAIT_NS), 1, "{took:?}");
    assert!(0 < took.min && took.min <= took.p50 && took.p50 < WAIT_NS);
}

/// Four threads that hop between CPUs: none is lost that is not told. The report's row begins with the command's exec, the parent's
/// figure with its fork.
#[test]
fn faults_of_hopping_threads_are_those_that_the_kernel_counts() {
    let memtrace = Memtrace::with_json().options(ASKED);
    let args = ["--threads", "4", "--rounds", "100", "--seed", "7"];
    let (report, truth): (Report, ThreadsTruth) = trace_with(memtrace, "threads", &args);
    assert_eq!(report.peak().rss_bytes, truth.peak_rss_bytes);
    assert_eq!(report.certainty.peak_error_bound_bytes, Some(0));
    let Some(took) = latencies(&report) else {
        return;
    };
    let told = took.count + lost(&report);
    let row = report.last_row(truth.pid);
    let faults = row.faults.expect("of a row that ended");
    let by_wait4 = ["ru_minflt", "ru_majflt"].map(|name| {
        let mut checks = report.count_checks.iter();
        let check = checks.find(|check| check.against.starts_with(name));
        check.expect("a check").count
    });
    let (since_exec, since_fork) = (faults.minor + faults.major, by_wait4.iter().sum::<u64>());
    assert!(since_exec >= truth.touched, "{faults:?}, {truth:?}");
    assert!(
        (since_exec..=since_fork).contains(&told),
        "{told} is not within {since_exec} and {since_fork}"
    );
    // Programs that are preempted have a second one.
    assert!(took.count > told * 99 / 100, "{} of {told}", took.count);
}

#[test]
fn nobody_asked() {
    let directory = Scratch::default();
    let (outcome, files) = Memtrace::with_json().run(&[
        &workload("faulter"),
        "--truth",
        &directory.arg("truth.json"),
        "--dir",
        &directory.arg(""),
    ]);
    outcome.assert_code(0);
    let report = report(&outcome, &files);
    assert!(report.histograms.fault_ns.is_none());
    let why = reason(&report).expect("a reason");
    assert!(why.contains("--fault-latency"), "{why}");
    report.assert_exact();
}

#[test]
fn the_capture_tells_the_same() {
    let scratch = Scratch::default();
    let capture = scratch.arg("run.mtr");
    let memtrace_of_run = Memtrace::with_json().options(&["--fault-latency", "-o", &capture]);
    let (outcome, files) = memtrace_of_run.run(&["/bin/true"]);
    outcome.assert_code(0);
    latencies(&report(&outcome, &files));
    let again = scratch.path("again.json");
    let replay = std::process::Command::new(memtrace())
        .args(["report", &capture, "--json"])
        .arg(&again)
        .output();
    let replay = replay.expect("memtrace report");
    assert_eq!(replay.status.code(), Some(0), "{replay:?}");
    let first = fs::read(files.path("report.json")).expect("the report");
    assert_eq!(first, fs::read(again).expect("the report again"));
    assert_eq!(replay.stdout, outcome.stderr.as_bytes());
}

#[test]
fn check_tells_what_serves() {
    let check = std::process::Command::new(memtrace()).arg("check").output();
    let text = String::from_utf8(check.expect("memtrace check").stdout).expect("a text");
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = if may_be_traced("handle_mm_fault") {
        "fault latency fentry and fexit of handle_mm_fault, if asked for: --fault-latency"
    } else {
        "fault latency not measured: the kernel refuses programs at its fault handler (fentry of"
    };
    assert!(words.contains(expected), "{text}");
}
