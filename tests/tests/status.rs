//! The status line: there for whoever looks on, gone before the report, and never in the way of
//! what the target itself writes to the terminal.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tests::{
    live::Ledgers,
    proc::Reader,
    runner::{Memtrace, Program, memtrace},
    sys::terminal::Terminal,
};

/// Erases the rest of a line: the status line writes it, the report never does.
const ERASE: &str = "\x1b[K";

/// A process that stands still, without a terminal.
fn standing() -> Program {
    let mut program = Program::workload("pages", &["--anon", "3000", "--wait"]);
    program.hear_after("plateau");
    program
}

/// An attached memtrace that ends with its target, or by itself if a test fails.
fn attached(pid: u32, options: &[&str]) -> Memtrace {
    let pid = pid.to_string();
    let always = ["--pid", &pid, "--duration", "30s", "--color", "never"];
    Memtrace::default().options(&always).options(options)
}

#[track_caller]
fn finish(mut child: Child, terminal: Terminal) -> String {
    let text = terminal.finish();
    let status = child.wait().expect("waiting for a child");
    assert!(status.success(), "{status}: {text}");
    text
}

#[test]
fn tells_how_far_an_attached_run_is_and_leaves_the_report_alone() {
    let mut target = standing();
    let rss_mib = Reader::default().rss(target.pid()) as f64 / f64::from(1 << 20);
    let mut memtrace_on_it = attached(target.pid(), &[]);
    let capture = memtrace_on_it.scratch.arg("run.mtr");
    memtrace_on_it.command.args(["-o", &capture]);

    let mut terminal = Terminal::default();
    let child = terminal.start(&mut memtrace_on_it.command);
    terminal.await_text("1 process\x1b[K");
    target.nudge();
    target.finish().assert_code(0);
    let text = finish(child, terminal);

    let first = text.split(ERASE).next().expect("a first line");
    let words: Vec<&str> = first
        .trim_start_matches("\rmemtrace: ")
        .split(", ")
        .collect();
    let [_elapsed, now, peak, "1 process"] = words[..] else {
        panic!("not a status line: {first:?}")
    };
    for told in [now.strip_prefix("now "), peak.strip_prefix("peak ")] {
        let mib: Option<f64> = told.and_then(|size| size.strip_suffix("MiB")?.parse().ok());
        let off = mib.map(|mib| (mib - rss_mib).abs());
        assert!(off < Some(0.006), "{rss_mib} MiB, and it says {first:?}");
    }

    let mut replay = Command::new(memtrace());
    replay.args(["report", &capture]);
    let report = String::from_utf8(Program::start(&mut replay).finish().stdout).expect("text");
    let after = text.rsplit_once(ERASE).expect("it was erased").1;
    assert_eq!(after.replace("\r\n", "\n"), report);
    let erased = text.rsplit(ERASE).nth(1).expect("before the last erasing");
    assert_eq!(erased, "\r", "the last thing drawn was not erased");
}

#[test]
fn quiet_means_quiet() {
    let mut target = standing();
    let mut memtrace = attached(target.pid(), &["-q"]);
    let terminal = Terminal::default();
    let child = terminal.start(&mut memtrace.command);
    draws_by_now(&target);
    target.nudge();
    target.finish().assert_code(0);
    assert_eq!(finish(child, terminal), "");
}

/// Waits until another memtrace that may draw has drawn twice.
fn draws_by_now(target: &Program) {
    let mut other = attached(target.pid(), &["--no-follow"]);
    let mut terminal = Terminal::default();
    let mut child = terminal.start(&mut other.command);
    terminal.await_text("memtrace: 1.");
    child.kill().expect("it runs");
    child.wait().expect("waiting for a child");
}

#[test]
fn nothing_where_stderr_is_no_terminal() {
    let mut target = standing();
    let (program, _scratch) = attached(target.pid(), &[]).start_as_is();
    draws_by_now(&target);
    target.nudge();
    target.finish().assert_code(0);
    let outcome = program.finish();
    outcome.assert_code(0);
    assert!(
        outcome.stderr.starts_with("peak memory"),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stderr.contains(ERASE), "{}", outcome.stderr);
}

/// Starts a shell script under memtrace, all in one terminal.
fn in_one_terminal(script: &str) -> (Child, Terminal) {
    let mut memtrace = Memtrace::default();
    let command = ["--color", "never", "--", "/bin/sh", "-c", script];
    memtrace.command.args(command);
    let terminal = Terminal::default();
    (terminal.start(&mut memtrace.command), terminal)
}

#[test]
fn command_has_its_terminal_for_itself() {
    let (child, terminal) = in_one_terminal("printf half; sleep 1; echo ' a line'");
    let text = finish(child, terminal);
    assert!(text.starts_with("half a line\r\npeak memory"), "{text:?}");
    assert!(!text.contains(ERASE), "{text:?}");
}

#[test]
fn command_that_writes_elsewhere_has_the_line() {
    let (child, mut terminal) = in_one_terminal("exec head -n 1 > /dev/null 2>&1");
    terminal.await_text("1 process\x1b[K");
    terminal.nudge();
    finish(child, terminal);
}

#[test]
fn process_in_the_same_terminal_has_it_for_itself() {
    let terminal = Terminal::default();
    let mut reader = Command::new("/bin/cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(terminal.line())
        .spawn()
        .expect("cat");
    let mut memtrace = attached(reader.id(), &[]);
    let child = terminal.start(&mut memtrace.command);
    while !Ledgers::of(child.id()).is_some_and(|ledgers| ledgers.follows(reader.id())) {
        thread::sleep(Duration::from_millis(2));
    }
    let mut other = standing();
    draws_by_now(&other);
    other.nudge();
    other.finish().assert_code(0);
    drop(reader.stdin.take());
    reader.wait().expect("waiting for a child");
    let text = finish(child, terminal);
    assert!(text.starts_with("peak memory"), "{text:?}");
    assert!(!text.contains(ERASE), "{text:?}");
}
