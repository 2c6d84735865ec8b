//! memtrace as a command: whose exit code, whose stdout, who runs as whom, and what ends it.

use std::{fs, os::unix::fs::PermissionsExt};

use tests::{
    report::{Exit, Report},
    runner::{Memtrace, Outcome, Scratch, report, workload},
    sys::{process::signal, restrict::ignoring},
};

fn sh(script: &str) -> [&str; 3] {
    ["/bin/sh", "-c", script]
}

#[test]
fn exit_code_is_the_commands() {
    let (outcome, scratch) = Memtrace::with_json().run(&sh("exit 37"));
    outcome.assert_code(37);
    assert_eq!(
        report(&outcome, &scratch).exit,
        Some(Exit {
            code: Some(37),
            signal: None
        })
    );
}

#[test]
fn killed_command_gives_128_and_its_signal_and_still_a_report() {
    for (name, number) in [("TERM", libc::SIGTERM), ("KILL", libc::SIGKILL)] {
        let (outcome, scratch) = Memtrace::with_json().run(&sh(&format!("kill -{name} $$")));
        outcome.assert_code(128 + number);
        let report = report(&outcome, &scratch);
        assert_eq!(
            report.exit,
            Some(Exit {
                code: None,
                signal: Some(number)
            })
        );
        assert!(report.peak().rss_bytes > 0);
        report.assert_over();
    }
}

#[test]
fn command_that_does_not_exist() {
    for path in ["/no/such/program", "no-such-program"] {
        let (outcome, scratch) = Memtrace::with_json().run(&[path]);
        outcome.assert_refusal(127, &[path]);
        assert!(!scratch.path("report.json").exists());
    }
}

#[test]
fn command_that_cannot_be_executed() {
    let scratch = Scratch::default();
    let path = scratch.path("plain");
    fs::write(&path, "text").expect("writing a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("setting its mode");
    let (outcome, _) = Memtrace::default().run(&[path.as_os_str()]);
    outcome.assert_refusal(126, &[&scratch.arg("plain")]);
    let (outcome, _) = Memtrace::default().run(&["/etc"]);
    outcome.assert_refusal(126, &["/etc"]);
}

#[test]
fn wrong_usage() {
    let wrong: [&[&str]; 8] = [
        &[],
        &["--"],
        &["--no-such-option", "--", "true"],
        &["--max-peak", "much", "--", "true"],
        &["--ring", "12KiB", "--", "true"],
        &["--pid", "1", "--", "true"],
        &["--cgroup", ""],
        &["report", "--format", "csv", "--json", "-", "run.mtr"],
    ];
    for args in wrong {
        let outcome = Memtrace::default().options(args).start_as_is().0.finish();
        outcome.assert_code(2);
        assert!(outcome.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn budget_that_is_exceeded() {
    let with = |budget: &str, argv: &[&str]| {
        Memtrace::default()
            .options(&["--max-peak", budget])
            .run(argv)
            .0
    };
    let small = workload("vforker");
    let over = with("1MiB", &[&small, "exit"]);
    over.assert_code(100);
    assert!(over.stderr.contains("more than 1MiB\n"), "{}", over.stderr);
    let within = with("1GiB", &[&small, "exit"]);
    within.assert_code(0);
    assert!(
        within.stderr.contains("less than 1GiB\n"),
        "{}",
        within.stderr
    );
    // A command that fails has its own say.
    with("4KiB", &sh("exit 3")).assert_code(3);
}

#[test]
fn stdout_is_the_commands_and_the_report_goes_to_stderr() {
    let (outcome, _) = Memtrace::default().run(&sh(r"printf 'a\000b\n'; echo complaint >&2"));
    outcome.assert_code(0);
    assert_eq!(outcome.stdout, b"a\0b\n");
    assert!(
        outcome.stderr.starts_with("complaint\n"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.to_lowercase().contains("peak"),
        "{}",
        outcome.stderr
    );
    let widest = outcome
        .stderr
        .lines()
        .map(|line| line.chars().count())
        .max();
    assert!(widest <= Some(80), "{}", outcome.stderr);
}

#[test]
fn quiet_leaves_stderr_to_the_command() {
    let (outcome, _) = Memtrace::default()
        .options(&["-q"])
        .run(&sh("echo complaint >&2"));
    outcome.assert_code(0);
    assert_eq!(
        (outcome.stdout.as_slice(), outcome.stderr.as_str()),
        (&b""[..], "complaint\n")
    );
}

#[test]
fn json_to_stdout() {
    let (outcome, _) = Memtrace::default()
        .options(&["-q", "--json", "-"])
        .run(&["/bin/true"]);
    outcome.assert_code(0);
    let report: Report = serde_json::from_slice(&outcome.stdout).expect("a report");
    assert_eq!(
        (report.schema.as_str(), report.processes.len()),
        ("memtrace.report/1", 1)
    );
    assert_eq!(report.processes[0].argv, ["/bin/true"]);
    report.assert_exact();
    report.assert_over();
}

/// The report still reaches the terminal, and memtrace says that the file was not written.
#[test]
fn disk_that_is_full() {
    let (outcome, _) = Memtrace::default()
        .options(&["--json", "/dev/full"])
        .run(&["/bin/true"]);
    outcome.assert_code(125);
    assert!(
        outcome.stderr.to_lowercase().contains("peak"),
        "{}",
        outcome.stderr
    );
    let errors = outcome
        .stderr
        .lines()
        .filter(|line| line.contains("/dev/full"))
        .count();
    assert_eq!(errors, 1, "{}", outcome.stderr);
}

#[test]
fn interrupt_reaches_the_command_and_the_report_comes() {
    for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let mut memtrace = Memtrace::with_json();
        ignoring(&mut memtrace.command, number, false);
        let (mut program, scratch) = memtrace.start(&sh("echo ready; exec sleep 100"));
        program.hear_after("ready");
        signal(program.pid(), number);
        let outcome = program.finish();
        outcome.assert_code(128 + number);
        let report = report(&outcome, &scratch);
        assert_eq!(
            report.exit,
            Some(Exit {
                code: None,
                signal: Some(number)
            })
        );
        assert!(report.peak().rss_bytes > 0);
    }
}

#[test]
fn a_hangup_that_is_ignored_ends_nothing() {
    let mut memtrace = Memtrace::with_json();
    ignoring(&mut memtrace.command, libc::SIGHUP, true);
    let (mut program, scratch) = memtrace.start(&sh("echo ready; read line; exit 4"));
    program.hear_after("ready");
    signal(program.pid(), libc::SIGHUP);
    program.nudge();
    let outcome = program.finish();
    outcome.assert_code(4);
    report(&outcome, &scratch).assert_over();
}

#[test]
fn command_that_handles_the_interrupt_ends_as_it_likes() {
    let script = "trap 'echo got it; exit 5' INT; echo ready; while :; do sleep 0.05; done";
    let (mut program, scratch) = Memtrace::with_json().start(&sh(script));
    program.hear_after("ready");
    signal(program.pid(), libc::SIGINT);
    program.hear_after("got it");
    let outcome = program.finish();
    outcome.assert_code(5);
    assert_eq!(
        report(&outcome, &scratch).exit,
        Some(Exit {
            code: Some(5),
            signal: None
        })
    );
}

const NOBODY: &str = "65534";

#[track_caller]
fn says(outcome: &Outcome, expected: &str) {
    outcome.assert_code(0);
    assert_eq!(String::from_utf8_lossy(&outcome.stdout), expected);
}

#[test]
fn under_sudo_the_command_runs_as_who_called_it() {
    let mut memtrace = Memtrace::default();
    memtrace
        .command
        .env("SUDO_UID", NOBODY)
        .env("SUDO_GID", NOBODY)
        .env("SUDO_USER", "nobody");
    memtrace.command.env("KEPT", "environment");
    let script = "id -u; id -g; id -G; echo $KEPT";
    let (outcome, _) = memtrace.run(&sh(script));
    says(
        &outcome,
        &format!("{NOBODY}\n{NOBODY}\n{NOBODY}\nenvironment\n"),
    );
}

#[test]
fn user_option_decides_as_whom_the_command_runs() {
    let script = "id -u; id -g; id -G";
    let (outcome, _) = Memtrace::default()
        .options(&["--user", "nobody"])
        .run(&sh(script));
    says(&outcome, &format!("{NOBODY}\n{NOBODY}\n{NOBODY}\n"));
    let mut memtrace = Memtrace::default().options(&["--user", "root"]);
    memtrace
        .command
        .env("SUDO_UID", NOBODY)
        .env("SUDO_GID", NOBODY);
    says(&memtrace.run(&sh("id -u")).0, "0\n");
}
