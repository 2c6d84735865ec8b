//! Captures: the report comes again byte for byte, whatever ended the run; a capture that cannot
//! be written costs the run nothing but itself.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tests::{
    report::Report,
    runner::{Memtrace, Outcome, Program, Scratch, memtrace, report, workload},
    sys::{memory::page_bytes, process::signal},
};

/// `memtrace report`, which needs no privilege and no kernel.
fn replay(capture: &Path, options: &[&str]) -> Outcome {
    let mut command = Command::new(memtrace());
    command.arg("report").arg(capture).args(options);
    Program::start(&mut command).finish()
}

/// A run with a capture and a JSON report.
fn capturing(options: &[&str], argv: &[&str]) -> (Outcome, Scratch) {
    let memtrace = Memtrace::with_json();
    let capture = memtrace.scratch.arg("run.mtr");
    memtrace
        .options(&["-o", &capture])
        .options(options)
        .run(argv)
}

#[track_caller]
fn assert_doubt(report: &Report, id: &str) {
    let doubts = &report.certainty.doubts;
    assert!(doubts.iter().any(|doubt| doubt.id == id), "{doubts:?}");
}

/// Text and JSON of the run come again from its capture.
#[track_caller]
fn assert_same(outcome: &Outcome, scratch: &Scratch) {
    let again = scratch.arg("again.json");
    let replayed = replay(&scratch.path("run.mtr"), &["--json", &again]);
    replayed.assert_code(0);
    assert_eq!(replayed.stderr, "");
    assert_eq!(
        String::from_utf8_lossy(&replayed.stdout),
        outcome.stderr,
        "the text"
    );
    let read = |name| fs::read_to_string(scratch.path(name)).expect("a JSON report");
    assert_eq!(read("again.json"), read("report.json"));
    let json = replay(&scratch.path("run.mtr"), &["--json", "-"]);
    assert_eq!(String::from_utf8_lossy(&json.stdout), read("report.json"));
}

#[test]
fn tree_of_short_processes() {
    let script = "for i in 1 2 3; do /bin/true; done; exit 5";
    let (outcome, scratch) = capturing(&[], &["/bin/sh", "-c", script]);
    outcome.assert_code(5);
    assert_same(&outcome, &scratch);
}

#[test]
fn storm_with_every_change() {
    let storm = workload("storm");
    let (outcome, scratch) = capturing(
        &["--quantum", "0"],
        &[&storm, "--rounds", "3", "--threads", "2", "--tree"],
    );
    outcome.assert_code(0);
    // The storm speaks on stdout, so stderr is the report alone.
    assert_same(&outcome, &scratch);
    let events = report(&outcome, &scratch).certainty.events;
    let size = fs::metadata(scratch.path("run.mtr"))
        .expect("a capture")
        .len();
    assert!(events > 50_000, "{events} events are no storm");
    assert!(size <= 4 * events, "{size} bytes for {events} events");
}

#[test]
fn running_process() {
    let mut target = Program::workload("pages", &["--anon", "500", "--wait"]);
    target.hear_after("plateau");
    let memtrace = Memtrace::with_json();
    let capture = memtrace.scratch.arg("run.mtr");
    let (program, scratch) = memtrace
        .options(&["-o", &capture, "--duration", "300ms"])
        .attach(&[target.pid()]);
    let outcome = program.finish();
    outcome.assert_code(0);
    assert_same(&outcome, &scratch);
    target.nudge();
    target.finish();
}

#[test]
fn memtrace_that_is_killed() {
    let memtrace = Memtrace::default();
    let capture = memtrace.scratch.arg("run.mtr");
    let pages = workload("pages");
    let directory = memtrace.scratch.arg("");
    let (mut program, scratch) = memtrace
        .options(&["-o", &capture])
        .start(&[&pages, "--anon", "3000", "--wait", "--dir", &directory]);
    program.hear_after("plateau");
    // What has happened is in the file a second later at most; here once it tells of the pages.
    let grown = |json: &serde_json::Value| {
        let points = json["timeline"]["points"].as_array().cloned();
        let bytes = points
            .unwrap_or_default()
            .into_iter()
            .map(|point| point[1].as_i64());
        bytes.max().flatten() >= Some(3000 * page_bytes() as i64)
    };
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let outcome = replay(&scratch.path("run.mtr"), &["--json", "-"]);
        if outcome.status.success()
            && grown(&serde_json::from_slice(&outcome.stdout).expect("a report"))
        {
            break;
        }
        assert!(Instant::now() < end, "not in the file: {outcome:?}");
        thread::sleep(Duration::from_millis(50));
    }
    signal(program.pid(), libc::SIGKILL);
    program.wait();
    program.nudge();
    program.finish().assert_code(128 + libc::SIGKILL);

    let outcome = replay(&scratch.path("run.mtr"), &["--json", "-"]);
    outcome.assert_code(0);
    let report: Report = serde_json::from_slice(&outcome.stdout).expect("a report");
    assert_doubt(&report, "cut-short");
    assert_doubt(&report, "capture-cut");
    assert!(!report.certainty.exact);
    assert_eq!(report.processes.len(), 1);
    let text = replay(&scratch.path("run.mtr"), &[]);
    text.assert_code(0);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("breaks off"), "{text}");
    assert!(text.starts_with("peak memory   at least "), "{text}");
}

#[test]
fn disk_that_is_full() {
    let (outcome, scratch) = {
        let memtrace = Memtrace::with_json().options(&["-o", "/dev/full"]);
        memtrace.run(&["/bin/sh", "-c", "echo done; exit 3"])
    };
    outcome.assert_code(125);
    assert_eq!(outcome.stdout, b"done\n");
    assert!(outcome.stderr.contains("/dev/full"), "{}", outcome.stderr);
    let report = report(&outcome, &scratch);
    assert_doubt(&report, "capture-failed");
    // The figures are what they would have been.
    assert!(report.certainty.exact);
    assert!(report.peak().rss_bytes > 0);
}

#[test]
fn places_that_cannot_be() {
    for (place, word) in [
        ("/no/such/folder/run.mtr", "mkdir"),
        ("/", "folder"),
        ("-", "stdout"),
    ] {
        let memtrace = Memtrace::default();
        let mark = memtrace.scratch.arg("ran");
        let (outcome, _) = memtrace.options(&["-o", place]).run(&["/bin/touch", &mark]);
        outcome.assert_refusal(125, &[word]);
        assert!(!Path::new(&mark).exists(), "the command ran");
    }
}

#[test]
fn run_that_never_begins_leaves_what_was_there() {
    let memtrace = Memtrace::default();
    let capture = memtrace.scratch.arg("run.mtr");
    let (outcome, scratch) = memtrace
        .options(&["-o", &capture])
        .run(&["/no/such/program"]);
    outcome.assert_code(127);
    assert!(!scratch.path("run.mtr").exists());

    let memtrace = Memtrace::default();
    let capture = memtrace.scratch.path("run.mtr");
    fs::write(&capture, "older").expect("writing a file");
    let options = ["-o".as_ref(), capture.as_os_str()];
    let (outcome, _scratch) = memtrace.options(&options).run(&["/no/such/program"]);
    outcome.assert_code(127);
    assert_eq!(fs::read(&capture).expect("it is there"), b"older");
}

#[test]
fn what_is_no_capture() {
    let scratch = Scratch::default();
    replay(&scratch.path("none.mtr"), &[]).assert_refusal(125, &["none.mtr"]);
    for bytes in [&b""[..], b"{\"schema\": 1}"] {
        fs::write(scratch.path("other.mtr"), bytes).expect("writing a file");
        let outcome = replay(&scratch.path("other.mtr"), &[]);
        outcome.assert_refusal(125, &["other.mtr", "not a capture"]);
    }
}
