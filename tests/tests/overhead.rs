//! What tracing costs, by the kernel's own clock: `--self-stats`.

use std::thread::available_parallelism;

use tests::{
    report::Report,
    runner::{Memtrace, trace_with},
    sys::restrict::{CAP_BPF, CAP_PERFMON, with_capabilities_only},
    truth::PagesTruth,
};

const FAULTS: u64 = 10_000;

fn trace(memtrace: Memtrace) -> Report {
    let pages = FAULTS.to_string();
    let (report, _): (_, PagesTruth) = trace_with(memtrace, "pages", &["--anon", &pages]);
    report
}

#[test]
fn programs_run_once_for_each_page_at_least_and_no_longer_than_there_were_cpus() {
    let report = trace(Memtrace::with_json().options(&["--self-stats"]));
    let runs = report.overhead.hook_runs.expect("runs");
    assert!(runs >= FAULTS, "{runs} runs");
    let cpus = available_parallelism().expect("a number of CPUs").get() as u64;
    let ns = report.overhead.bpf_ns.expect("their time");
    assert!(0 < ns && ns < cpus * report.duration_ns, "{ns} ns");
}

#[test]
fn nothing_is_said_of_runs_that_nobody_asked_about() {
    let overhead = trace(Memtrace::with_json()).overhead;
    assert_eq!((overhead.hook_runs, overhead.bpf_ns), (None, None));
}

#[test]
fn who_may_trace_may_not_take_the_time_of_programs() {
    let mut memtrace = Memtrace::default().options(&["--self-stats"]);
    with_capabilities_only(&mut memtrace.command, &[CAP_BPF, CAP_PERFMON]);
    let (outcome, _scratch) = memtrace.run(&["true"]);
    outcome.assert_refusal(125, &["--self-stats needs CAP_SYS_ADMIN"]);
}
