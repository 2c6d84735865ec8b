//! A run without any capability: it says that it is not exact, and what it does state holds.

use tests::{
    proc::slack_bytes,
    report::Report,
    runner::{Memtrace, Outcome, report, workload},
    sys::restrict::with_capabilities_only,
    truth::{self, PagesTruth, SpikeTruth, TreeTruth},
};

/// `linux/capability.h`: what a workload needs to stand still.
const CAP_IPC_LOCK: u32 = 14;

fn unprivileged(options: &[&str]) -> Memtrace {
    let mut memtrace = Memtrace::with_json()
        .options(&["--unprivileged"])
        .options(options);
    with_capabilities_only(&mut memtrace.command, &[CAP_IPC_LOCK]);
    memtrace
}

/// What must hold of every such report.
#[track_caller]
fn assert_says_so(outcome: &Outcome, report: &Report) {
    let first = outcome.stderr.lines().next().expect("a report");
    assert!(first.contains("not exact"), "{first}");
    assert!(!report.certainty.exact);
    assert!(
        report
            .certainty
            .sampled
            .as_ref()
            .is_some_and(|sampled| sampled.looks > 0)
    );
}

/// What is stated of a peak that is known.
#[track_caller]
fn assert_holds(report: &Report, truth_bytes: u64) {
    let sampled = report.certainty.sampled.as_ref().expect("looks");
    assert!(
        sampled
            .peak_least_bytes
            .is_some_and(|least| least <= truth_bytes),
        "{sampled:?}"
    );
    let peak = report.peak().rss_bytes;
    match (
        sampled.peak_most_bytes,
        report.certainty.peak_error_bound_bytes,
    ) {
        (Some(most), Some(bound)) => {
            assert!(most >= truth_bytes, "{sampled:?}");
            assert!(
                peak.abs_diff(truth_bytes) <= bound,
                "{peak} of {truth_bytes}: {bound}"
            );
            assert_eq!(sampled.peak_most_why, None);
        }
        // Something else was started on this machine.
        (None, None) => assert!(sampled.peak_most_why.is_some(), "{sampled:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_process_is_known_as_well_as_the_kernel_knows_it() {
    let memtrace = unprivileged(&[]);
    let truth_file = memtrace.scratch.arg("truth.json");
    let argv = [
        workload("pages"),
        "--truth".into(),
        truth_file,
        "--anon".into(),
        "5000".into(),
    ];
    let (outcome, scratch) = memtrace.run(&argv);
    outcome.assert_code(0);
    let report = report(&outcome, &scratch);
    let truth: PagesTruth = truth::read(&scratch.path("truth.json"));
    assert_says_so(&outcome, &report);
    assert_holds(&report, truth.peak.rss_bytes);
    assert!(report.peak().rss_bytes.abs_diff(truth.peak.rss_bytes) <= slack_bytes());
    assert_eq!(report.rows(truth.pid).len(), 1);
}

#[test]
fn a_spike_between_two_looks_is_in_the_kernels_own_mark() {
    let memtrace = unprivileged(&["--every", "60s"]);
    let truth_file = memtrace.scratch.arg("truth.json");
    let (outcome, scratch) = memtrace.run(&[workload("spike"), "--truth".into(), truth_file]);
    outcome.assert_code(0);
    let report = report(&outcome, &scratch);
    let truth: SpikeTruth = truth::read(&scratch.path("truth.json"));
    assert_says_so(&outcome, &report);
    assert_eq!(
        report
            .certainty
            .sampled
            .as_ref()
            .map(|sampled| sampled.looks),
        Some(1)
    );
    assert!(report.peak().rss_bytes + slack_bytes() >= truth.spike_bytes);
    // Nobody saw when that was.
    assert_eq!(report.peak().at_ns, None);
}

#[test]
fn of_several_processes_no_upper_bound_is_stated() {
    let memtrace = unprivileged(&[]);
    let truth_file = memtrace.scratch.arg("truth.json");
    let pool = workload("forkpool");
    let argv = [
        pool.as_str(),
        "--workers",
        "3",
        "--mib",
        "30",
        "--wait",
        "--truth",
        &truth_file,
    ];
    let (mut program, scratch) = memtrace.start(&argv);
    program.hear_after("plateau");
    // All stand still: however long this is, the looks see the same.
    std::thread::sleep(std::time::Duration::from_millis(300));
    program.nudge();
    let outcome = program.finish();
    outcome.assert_code(0);
    let report = report(&outcome, &scratch);
    let truth: TreeTruth = truth::read(&scratch.path("truth.json"));
    let together = truth.together_rss_bytes.expect("of a pool");
    assert_says_so(&outcome, &report);
    assert_holds(&report, together);
    let sampled = report.certainty.sampled.as_ref().expect("looks");
    assert_eq!(sampled.peak_most_bytes, None);
    // The least is what one process had, since processes are read one after the other.
    assert!(
        sampled
            .peak_least_bytes
            .is_some_and(|least| least < together / 2)
    );
    assert!(report.peak().rss_bytes.abs_diff(together) <= 4 * slack_bytes());
    assert_eq!(report.processes.len(), 4);
}

#[test]
fn the_exit_code_is_the_commands_and_the_budget_holds() {
    let (outcome, _scratch) = unprivileged(&["-q"]).run(&["sh", "-c", "exit 3"]);
    outcome.assert_code(3);
    assert_eq!(outcome.stderr, "");
    let (outcome, _scratch) = unprivileged(&["-q"]).run(&["sh", "-c", "kill -9 $$"]);
    outcome.assert_code(137);
    let (outcome, _scratch) = unprivileged(&["-q", "--max-peak", "1KiB"]).run(&["sleep", "0.3"]);
    outcome.assert_code(100);
    // How much more there was than it saw, nobody knows.
    let (outcome, _scratch) =
        unprivileged(&["-q", "--max-peak", "1GiB"]).run(&["sh", "-c", "sleep 0.1; true"]);
    outcome.assert_refusal(125, &["not exact, and may be over the budget of 1GiB"]);
    let (outcome, _scratch) = unprivileged(&[]).run(&["/no/such/program"]);
    outcome.assert_refusal(127, &["/no/such/program"]);
}

#[test]
fn it_is_offered_where_tracing_is_refused_and_refused_where_it_cannot_be() {
    let mut memtrace = Memtrace::default();
    with_capabilities_only(&mut memtrace.command, &[CAP_IPC_LOCK]);
    let (outcome, _scratch) = memtrace.run(&["true"]);
    outcome.assert_refusal(125, &["CAP_BPF", "--unprivileged", "not exact"]);
    for options in [
        ["--unprivileged", "--pid=1"],
        ["--unprivileged", "--capture=x.mtr"],
    ] {
        let (program, _scratch) = Memtrace::default().options(&options).start_as_is();
        program.finish().assert_code(2);
    }
}
