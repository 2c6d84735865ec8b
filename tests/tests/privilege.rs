//! With the least privilege: exactly the capabilities that `memtrace check` names, and what an
//! ordinary user may look at with them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use tests::{
    proc::kernel_version,
    report::Report,
    runner::{Memtrace, Program, memtrace, trace_with, workload},
    sys::restrict::{CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, as_user, with_capabilities_only},
    truth::{self, PagesTruth},
};

/// What `memtrace check` names.
const NEEDED: &[u32] = &[CAP_BPF, CAP_PERFMON];

/// Where everybody may look, on a disk: in a file system of memory no page is a file's.
const BASE: &str = "/var/tmp";

/// `nobody`.
const USER: u32 = 65534;

#[test]
fn the_capabilities_that_check_names_are_enough() {
    let mut check = Command::new(memtrace());
    check.arg("check");
    with_capabilities_only(&mut check, NEEDED);
    let outcome = Program::start(&mut check).finish();
    outcome.assert_code(0);
    let named = "CAP_BPF held, CAP_PERFMON held";
    let said = String::from_utf8_lossy(&outcome.stdout);
    assert!(said.contains(named), "{said}");

    let mut memtrace = Memtrace::with_json();
    with_capabilities_only(&mut memtrace.command, NEEDED);
    let (report, truth): (Report, PagesTruth) = trace_with(memtrace, "pages", &["--anon", "5000"]);
    report.assert_exact();
    assert_eq!(report.peak().rss_bytes, truth.peak.rss_bytes);
}

#[test]
fn one_that_stands_for_both_is_enough() {
    let mut memtrace = Memtrace::with_json();
    with_capabilities_only(&mut memtrace.command, &[CAP_SYS_ADMIN]);
    let (report, truth): (Report, PagesTruth) = trace_with(memtrace, "pages", &["--anon", "5000"]);
    assert_eq!(report.peak().rss_bytes, truth.peak.rss_bytes);
}

#[test]
fn each_of_them_is_missed_by_its_name() {
    const CASES: [(&[u32], &str); 3] = [
        (&[CAP_BPF], "CAP_PERFMON is missing"),
        (&[CAP_PERFMON], "CAP_BPF is missing"),
        (&[], "CAP_BPF and CAP_PERFMON are missing"),
    ];
    for (held, missing) in CASES {
        let mut memtrace = Memtrace::default();
        with_capabilities_only(&mut memtrace.command, held);
        let touched = memtrace.scratch.path("touched");
        let (outcome, _scratch) = memtrace.run(&["/usr/bin/touch".as_ref(), touched.as_os_str()]);
        outcome.assert_refusal(125, &[missing, "setcap cap_bpf,cap_perfmon=ep"]);
        assert!(!touched.exists(), "the command has run");
    }
}

/// A folder of the user's, with memtrace and a workload in it: where cargo builds, a user may not
/// look.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let path = Path::new(BASE).join(format!("memtrace-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a folder of its own");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("an own folder");
        chown(&path, Some(USER), Some(USER)).expect("root may");
        let home = Self(path);
        fs::copy(memtrace(), home.0.join("memtrace")).expect("a copy");
        fs::copy(workload("pages"), home.0.join("pages")).expect("a copy");
        home
    }

    fn arg(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// memtrace as that user, with what is needed.
    fn memtrace(&self) -> Command {
        let mut command = Command::new(self.0.join("memtrace"));
        for name in ["SUDO_UID", "SUDO_GID", "SUDO_USER"] {
            command.env_remove(name);
        }
        command.current_dir(&self.0);
        as_user(&mut command, USER, NEEDED);
        command
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_ordinary_user_traces_exactly() {
    let home = Home::new("user");
    let (json, truth) = (home.arg("report.json"), home.arg("truth.json"));
    let mut command = home.memtrace();
    command.args(["--json", &json, "--", &home.arg("pages"), "--anon", "5000"]);
    command.args(["--truth", &truth, "--dir", &home.arg("")]);
    Program::start(&mut command).finish().assert_code(0);
    let report = fs::read_to_string(&json).expect("a report");
    let report: Report = serde_json::from_str(&report).expect("a whole one");
    let truth: PagesTruth = truth::read(Path::new(&truth));
    report.assert_exact();
    assert_eq!(report.peak().rss_bytes, truth.peak.rss_bytes);
}

#[test]
fn processes_of_others_are_not_for_an_ordinary_user() {
    let home = Home::new("others");
    let own = std::process::id().to_string();
    let mut command = home.memtrace();
    command.args(["--duration", "1s", "--pid", &own]);
    let outcome = Program::start(&mut command).finish();
    outcome.assert_refusal(125, &[&own, "another user", "CAP_SYS_PTRACE"]);
}

#[test]
fn inside_a_pid_namespace_pids_are_those_inside() {
    let memtrace = Memtrace::with_json();
    let (inner, scratch) = (memtrace.command, memtrace.scratch);
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]);
    command.arg(inner.get_program()).args(inner.get_args());
    let truth = scratch.arg("truth.json");
    command.args([
        "--",
        &workload("pages"),
        "--anon",
        "5000",
        "--truth",
        &truth,
    ]);
    command.args(["--dir", &scratch.arg("")]);
    let outcome = Program::start(&mut command).finish();
    outcome.assert_code(0);
    let report = tests::runner::report(&outcome, &scratch);
    let truth: PagesTruth = truth::read(Path::new(&truth));
    report.assert_exact();
    assert!(
        truth.pid < 100,
        "{} is not a PID of a new namespace",
        truth.pid
    );
    let row = report.last_row(truth.pid);
    assert_eq!(row.peak().rss_bytes, truth.peak.rss_bytes);
    // Before Linux 6.16 its memory is gone when its end is told, which is another thing.
    let is_gone = |why: &str| {
        kernel_version() < (6, 16) && why == "The memory was gone before it could be read."
    };
    let unread = row
        .checks
        .iter()
        .any(|check| check.verdict == "unavailable" && !is_gone(&check.why));
    assert!(!unread, "{:?}", row.checks);
}
