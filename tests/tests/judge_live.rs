//! The live judge: for each kind of error one workload that produces it, whose truth is its own
//! arithmetic, and the verdict that names it.

use std::{fs, process::Command, thread, time::Duration};

use serde::de::DeserializeOwned;
use tests::{
    judgement::{Judgement, Tool},
    proc::slack_bytes,
    runner::{Memtrace, Program, workload},
    truth::{self, PagesTruth, SpawnerTruth, SpikeTruth, TreeTruth},
};

const MIB: u64 = 1 << 20;

/// A memtrace that judges, and leaves a judgement and a truth.
fn judging(options: &[&str]) -> Memtrace {
    let mut memtrace = Memtrace::default();
    let json = memtrace.scratch.arg("judgement.json");
    memtrace
        .command
        .args(["judge", "--json", &json])
        .args(options);
    memtrace
}

/// Judges a workload by these tools.
#[track_caller]
fn judge<T: DeserializeOwned>(tools: &str, name: &str, args: &[&str]) -> (Judgement, T) {
    let memtrace = judging(&["--tools", tools]);
    let truth_file = memtrace.scratch.arg("truth.json");
    let program = workload(name);
    let mut argv = vec![program.as_str(), "--truth", &truth_file];
    argv.extend(args);
    let (outcome, scratch) = memtrace.run(&argv);
    outcome.assert_code(0);
    let judgement = Judgement::read(&scratch.path("judgement.json"));
    (judgement, truth::read(&scratch.path("truth.json")))
}

#[track_caller]
fn assert_kind(tool: &Tool, kind: &str) {
    assert_eq!(tool.kind, kind, "{tool:?}");
    assert!(!tool.why.is_empty(), "{tool:?}");
}

#[test]
fn missed_spike() {
    // One looks at the start and not again, however slow the machine; the other many times while
    // the peak is held.
    let (judgement, truth) = judge::<SpikeTruth>(
        "psutil@60s,statm@5ms",
        "spike",
        &["--before-ms", "300", "--hold-ms", "400"],
    );
    let psutil = judgement.tool("psutil@60s");
    assert_kind(psutil, "missed_spike");
    assert!(psutil.error_bytes < -(truth.spike_bytes.cast_signed()) + slack_bytes().cast_signed());
    assert_eq!(
        psutil.bytes.cast_signed() - judgement.peak_bytes.cast_signed(),
        psutil.error_bytes
    );
    // Right, but for what the kernel holds back.
    let statm = judgement.tool("statm@5ms");
    assert!(
        statm.error_bytes.unsigned_abs() <= slack_bytes(),
        "{statm:?}"
    );
    assert_ne!(statm.kind, "missed_spike");
    assert!(statm.samples > psutil.samples && psutil.samples == Some(1));
}

#[test]
fn missed_process() {
    let (judgement, truth) = judge::<TreeTruth>("psutil@60s", "burst", &[]);
    let psutil = judgement.tool("psutil@60s");
    assert_kind(psutil, "missed_process");
    let child = truth.children[0].peak_rss_bytes;
    assert!(judgement.peak_bytes >= truth.parent.peak_rss_bytes + child);
    assert!(psutil.error_bytes <= -child.cast_signed(), "{psutil:?}");
    assert!(psutil.why.contains("in all its life"), "{psutil:?}");
}

#[test]
fn double_counted_sharing_and_the_largest_process_alone() {
    const WORKERS: u64 = 4;
    const HELD: u64 = 60 * MIB;
    let memtrace = judging(&["--tools", "smaps@20ms,psutil@20ms,statm@20ms,rusage"]);
    let truth_file = memtrace.scratch.arg("truth.json");
    let program = workload("forkpool");
    let mut argv = vec![program.as_str(), "--workers", "4", "--mib", "60", "--wait"];
    argv.extend(["--truth", &truth_file]);
    let (mut program, scratch) = memtrace.start(&argv);
    program.hear_after("plateau");
    // All stand still: however long this is, the looks see the same.
    thread::sleep(Duration::from_millis(400));
    program.nudge();
    program.finish().assert_code(0);
    let judgement = Judgement::read(&scratch.path("judgement.json"));
    let truth: TreeTruth = truth::read(&scratch.path("truth.json"));
    let together = truth.together_rss_bytes.expect("of a pool");

    let slack = (WORKERS + 1) * slack_bytes();
    for sum in ["psutil@20ms", "smaps@20ms, RSS"] {
        let told = judgement.tool(sum).bytes;
        assert!(
            told.abs_diff(together) <= slack,
            "{sum}: {told}, together {together}"
        );
    }
    // Three quarters of what the parent holds are shared by all; the sum of RSS counts them for
    // each. A look that finds them ending one after the other counts a fifth, a fourth, ... of it.
    let shared = HELD / 4 * 3;
    let counted: u64 = (1..=WORKERS + 1).map(|sharers| shared / sharers).sum();
    let pss = judgement.tool("smaps@20ms, PSS");
    assert_kind(pss, "double_counted_sharing");
    assert!(
        pss.bytes + (WORKERS + 1) * shared - counted <= together + slack,
        "{pss:?}"
    );
    for alone in ["statm@20ms", "rusage"] {
        let alone = judgement.tool(alone);
        assert_kind(alone, "missed_process");
        assert!(alone.bytes < HELD + 20 * MIB, "{alone:?}");
    }
}

#[test]
fn cache_counted() {
    const WRITTEN: u64 = 64 * MIB;
    let memtrace = judging(&["--tools", "cgroup@20ms"]);
    let folder = memtrace.scratch.arg("");
    let (outcome, scratch) = memtrace.run(&[workload("cacher"), folder]);
    outcome.assert_code(0);
    let judgement = Judgement::read(&scratch.path("judgement.json"));
    let usage = judgement.tool("cgroup@20ms, usage");
    assert_kind(usage, "cache_counted");
    assert!(usage.bytes >= WRITTEN && judgement.peak_bytes < WRITTEN / 2);
    assert_kind(judgement.tool("cgroup@20ms, peak"), "cache_counted");
    // Written once and not read again: docker stats takes it away.
    let docker = judgement.tool("cgroup@20ms, docker");
    assert!(docker.bytes < WRITTEN / 4, "{docker:?}");
    let mut find = Command::new("find");
    find.args(["/sys/fs/cgroup", "-name", "memtrace-judge-*"]);
    let left = find.output().expect("find").stdout;
    assert_eq!(
        String::from_utf8_lossy(&left),
        "",
        "a cgroup was left behind"
    );
}

#[test]
fn inherited() {
    let (judgement, truth) =
        judge::<SpawnerTruth>("rusage", "spawner", &["--mib", "100", "--", "/bin/true"]);
    let name = format!("rusage, PID {} (true)", truth.child);
    let child = judgement.tool(&name);
    assert_kind(child, "inherited");
    assert_eq!(child.bytes, truth.max_rss_bytes);
    assert!(
        child.bytes > 100 * MIB && child.error_bytes > 90 * MIB.cast_signed(),
        "{child:?}"
    );
    assert!(judgement.tool("rusage").error_bytes.unsigned_abs() <= 10 * MIB);
}

#[test]
fn the_kernels_own_mark_is_off_by_no_more_than_it_holds_back() {
    let (judgement, _) = judge::<SpikeTruth>("vmhwm@20ms,rusage", "spike", &[]);
    for mark in ["vmhwm@20ms", "rusage"] {
        let mark = judgement.tool(mark);
        assert!(mark.error_bytes.unsigned_abs() <= slack_bytes(), "{mark:?}");
        let is_right = mark.error_bytes.unsigned_abs() <= 1024;
        assert_kind(
            mark,
            if is_right {
                "none"
            } else {
                "kernel_inexactness"
            },
        );
    }
}

#[test]
fn what_a_tool_costs_comes_from_pairs_of_runs() {
    let memtrace = judging(&["--tools", "statm@1ms,rusage", "--cost", "3"]);
    let runs = memtrace.scratch.arg("runs");
    let script = format!("echo run >> {runs}; sleep 0.1; exit 3");
    let (outcome, scratch) = memtrace.run(&["sh", "-c", &script]);
    // The exit code is the command's.
    outcome.assert_code(3);
    let runs = fs::read_to_string(runs).expect("runs");
    assert_eq!(runs.lines().count(), 1 + 2 * 3);
    let judgement = Judgement::read(&scratch.path("judgement.json"));
    let statm = judgement.tool("statm@1ms");
    let pairs = statm.cost_runs.as_ref().expect("pairs");
    let cost = statm.cost.expect("measured");
    assert_eq!(pairs.pairs, 3);
    assert!(
        pairs.least <= cost && cost <= pairs.most && pairs.least > 0.0,
        "{statm:?}"
    );
    let rusage = judgement.tool("rusage");
    assert!(
        rusage.cost.is_none() && rusage.cost_why.is_some(),
        "{rusage:?}"
    );
}

#[test]
fn what_makes_no_sense_is_refused_before_the_command_starts() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["--tools", "top"], &["top", "psutil"]),
        (&["--tools", "psutil@0s"], &["1ms"]),
        (&["--tools", "ps,ps@1s"], &["ps@1s", "twice"]),
        (&[], &["--tools"]),
        (&["--tools", "ps", "--cost", "0"], &["--cost"]),
        (&["--tools", "ps", "--import", "x"], &["--import"]),
    ];
    for (options, words) in cases {
        let memtrace = Memtrace::default();
        let touched = memtrace.scratch.arg("touched");
        let mut command = Command::new(tests::runner::memtrace());
        command
            .arg("judge")
            .args(options)
            .args(["--", "/usr/bin/touch", &touched]);
        let outcome = Program::start(&mut command).finish();
        outcome.assert_code(2);
        for word in words {
            assert!(
                outcome.stderr.contains(word),
                "{options:?}: {}",
                outcome.stderr
            );
        }
        assert!(
            fs::metadata(&touched).is_err(),
            "{options:?}: the command ran"
        );
    }
}

/// A tool around a workload of known pages: the judgement and the workload's truth.
fn wrapped(place: &str) -> (Judgement, PagesTruth) {
    let memtrace = Memtrace::default();
    let (json, file) = (
        memtrace.scratch.arg("judgement.json"),
        memtrace.scratch.arg("time.txt"),
    );
    let truth_file = memtrace.scratch.arg("truth.json");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tool.py");
    let wrap = format!("python3 {script} {file} {place}");
    let options = ["judge", "--json", &json, "--wrap", &wrap, "--import", &file];
    let program = workload("pages");
    // A blank in an argument shows whether the words arrive as they are.
    let odd = memtrace.scratch.arg("a folder; with 'odd' \"name\" $HOME");
    fs::create_dir(&odd).expect("a folder");
    let argv = [
        program.as_str(),
        "--truth",
        &truth_file,
        "--anon",
        "5000",
        "--dir",
        &odd,
    ];
    let (outcome, scratch) = memtrace.options(&options).run(&argv);
    outcome.assert_code(0);
    let judgement = Judgement::read(&scratch.path("judgement.json"));
    (judgement, truth::read(&scratch.path("truth.json")))
}

#[test]
fn only_the_command_counts_where_a_tool_runs_it() {
    for place in ["{}", "--text \"{}\""] {
        let (judgement, truth) = wrapped(place);
        // To the byte, though the tool holds 150 MiB and a shell beside it.
        assert_eq!(judgement.peak_bytes, truth.peak.rss_bytes, "{place}");
        let wrap = judgement.wrap.as_ref().expect("a tool");
        assert!(
            wrap.together_peak_bytes > 150 * MIB + truth.peak.rss_bytes,
            "{wrap:?}"
        );
        assert_eq!(wrap.times, 1);
        assert!(wrap.argv[0].ends_with("python3"));
        // The tool starts it out of its own memory, and the kernel's mark is the tool's.
        let time = judgement.tool("GNU time");
        assert!(time.bytes > 150 * MIB, "{time:?}");
        assert_kind(time, "inherited");
    }
}

#[test]
fn a_tool_that_does_not_do_its_part_is_told() {
    let cases = [
        // The file is there, but of an earlier run.
        ("true {}", 125, "did not write"),
        ("sh -c 'date > FILE; true' {}", 2, "FILE"),
        (
            "sh -c 'echo Maximum resident set size \\(kbytes\\): 5 > FILE' {}",
            125,
            "executed the command",
        ),
    ];
    for (wrap, code, said) in cases {
        let memtrace = Memtrace::default();
        let file = memtrace.scratch.arg("time.txt");
        fs::write(&file, "\tMaximum resident set size (kbytes): 7\n").expect("a file");
        let (wrap, said) = (wrap.replace("FILE", &file), said.replace("FILE", &file));
        let options = ["judge", "--wrap", &wrap, "--import", &file];
        let (outcome, _scratch) = memtrace.options(&options).run(&["/bin/true"]);
        outcome.assert_refusal(code, &[&said]);
    }
    for (wrap, said) in [("psrecord", "say where"), ("time {} {}", "more than one")] {
        let memtrace = Memtrace::default();
        let (outcome, _scratch) = memtrace
            .options(&["judge", "--wrap", wrap])
            .run(&["/bin/true"]);
        outcome.assert_code(2);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
}
