//! The replay judge: its probabilities are those of a timeline that the workload knows, and those
//! of real pollers.

use std::{fs, path::Path, process::Command};

use tests::{
    judgement::Judgement,
    runner::{Memtrace, Program, Scratch, memtrace, workload},
    truth::{self, SpikeTruth},
};

/// `memtrace judge`, which needs no privilege and no kernel.
fn judge(capture: &Path, options: &[&str]) -> Judgement {
    let mut command = Command::new(memtrace());
    command
        .arg("judge")
        .arg(capture)
        .args(["--format", "json"])
        .args(options);
    let outcome = Program::start(&mut command).finish();
    outcome.assert_code(0);
    assert_eq!(outcome.stderr, "");
    serde_json::from_slice(&outcome.stdout).expect("a judgement")
}

/// A run with one spike, captured: the judgement and what the workload knows.
fn spike(args: &[&str]) -> (Judgement, SpikeTruth, Scratch) {
    let memtrace = Memtrace::default();
    let capture = memtrace.scratch.arg("run.mtr");
    let truth_file = memtrace.scratch.arg("truth.json");
    let program = workload("spike");
    let mut argv = vec![program.as_str(), "--truth", &truth_file];
    argv.extend(args);
    let (outcome, scratch) = memtrace.options(&["-q", "-o", &capture]).run(&argv);
    outcome.assert_code(0);
    let judgement = judge(&scratch.path("run.mtr"), &[]);
    let truth = truth::read(&scratch.path("truth.json"));
    (judgement, truth, scratch)
}

#[test]
fn misses_are_those_of_the_known_timeline() {
    for hold_ms in ["5", "60", "150"] {
        let (judgement, truth, _scratch) = spike(&[
            "--before-ms",
            "300",
            "--hold-ms",
            hold_ms,
            "--after-ms",
            "300",
        ]);
        assert_eq!(judgement.schema, "memtrace.judge/1");
        assert!(judgement.peak_bytes > truth.spike_bytes);
        for ms in [10.0, 100.0, 500.0] {
            let told = judgement.every_ms(ms);
            let missed = |length_ns: u64| (1.0 - length_ns as f64 / (ms * 1e6)).max(0.0);
            // Who looks while all of it is there sees it; who does not look at all does not.
            let (least, most) = (missed(truth.whole_ns), missed(truth.held_ns));
            for error in ["1", "5", "10", "25"] {
                let p = told.p_miss[error];
                assert!(
                    least <= p && p <= most,
                    "{hold_ms} ms held, every {ms} ms, {error} %: {p} not in {least}..{most}"
                );
                assert!(told.p_miss_least[error] <= p && p <= told.p_miss_most[error]);
            }
        }
    }
}

/// A Python that has psutil.
fn python() -> &'static str {
    let has_psutil = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", "import psutil"]);
        command.output().is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_psutil);
    found.expect("no Python here has psutil; install it: apt-get install python3-psutil")
}

#[test]
fn misses_are_those_of_30_runs_of_real_pollers() {
    const RUNS: u32 = 30;
    const EVERY_MS: [f64; 3] = [50.0, 100.0, 200.0];

    let (judgement, _, _scratch) = spike(&[]);
    let least = judgement.peak_bytes * 95 / 100;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pollers.py");
    let mut command = Command::new(python());
    command
        .args([script, &RUNS.to_string(), &least.to_string()])
        .arg(EVERY_MS.map(|ms| ms.to_string()).join(","))
        .arg(workload("spike"));
    let outcome = Program::start(&mut command).finish();
    outcome.assert_code(0);
    let text = String::from_utf8(outcome.stdout).expect("numbers");
    let missed: Vec<f64> = text
        .split_whitespace()
        .map(|n| n.parse().expect("a count"))
        .collect();
    assert_eq!(missed.len(), EVERY_MS.len());
    for (ms, missed) in EVERY_MS.into_iter().zip(missed) {
        let p = judgement.every_ms(ms).p_miss["5"];
        let runs = f64::from(RUNS);
        // Four standard deviations: one such test in some ten thousand fails by chance. One run
        // more, since no spike of these runs is quite as long as the one judged.
        let allowed = 4.0 * (runs * p * (1.0 - p)).sqrt() + 1.0;
        assert!(
            (missed - runs * p).abs() <= allowed,
            "every {ms} ms: {missed} of {RUNS} missed, {p} of all should"
        );
    }
}

#[test]
fn a_file_that_is_broken_is_refused_in_one_line() {
    let (_, _, scratch) = spike(&["--before-ms", "1", "--hold-ms", "1", "--after-ms", "1"]);
    let broken = scratch.arg("broken.dat");
    fs::write(&broken, "CMDLINE x\nMEM 1.0 2.0\nMEM one 3.0\n").expect("a file");
    let mut command = Command::new(memtrace());
    command
        .arg("judge")
        .arg(scratch.path("run.mtr"))
        .args(["--import", &broken]);
    let outcome = Program::start(&mut command).finish();
    outcome.assert_refusal(2, &["broken.dat", "mprof", "line 3", "`one`"]);
    fs::remove_file(&broken).expect("an own file");
    let outcome = Program::start(&mut command).finish();
    outcome.assert_refusal(125, &["broken.dat cannot be read"]);
}
