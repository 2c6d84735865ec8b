//! Many processes: forked, spawned, entered by exec, sharing a space, outliving their parents.

use std::process::Command;

use tests::{
    proc::Reader,
    report::{Report, Row, exited},
    runner::{Memtrace, Scratch, report, trace, trace_command, trace_with, workload},
    truth::{self, PagesTruth, ProcessTruth, SpaceTruth, SpawnerTruth, TreeTruth},
};

const BIG: u64 = 300 << 20;

/// The last row of each of these has exactly the peak that the process read of itself.
#[track_caller]
fn check_each(report: &Report, processes: &[ProcessTruth]) {
    for truth in processes {
        let row = report.last_row(truth.pid);
        assert_eq!(
            row.peak().rss_bytes,
            truth.peak_rss_bytes,
            "PID {}",
            truth.pid
        );
        assert_eq!(row.exit, exited(0), "PID {}", truth.pid);
    }
}

/// The issue allows the few pages of the processes' own bookkeeping here. The workload leaves
/// none: it has touched all that it needs to stand still before it does, and gives back most of
/// what it has before it goes on. So the bound is 0 pages.
#[test]
fn fork_pool_peaks_at_the_sum_of_the_standstill() {
    for write_percent in ["0", "25", "100"] {
        let args = [
            "--workers",
            "8",
            "--mib",
            "200",
            "--write-percent",
            write_percent,
        ];
        let (report, truth): (Report, TreeTruth) = trace("forkpool", &args);
        assert_eq!(
            Some(report.peak().rss_bytes),
            truth.together_rss_bytes,
            "{args:?}"
        );
        assert_eq!(report.peak().processes, Some(9));
        check_each(&report, &truth.children);
        check_each(&report, &[truth.parent]);
        report.assert_exact();
        report.assert_over();
    }
}

#[track_caller]
fn check_shorts(args: &[&str], count: usize) {
    let (report, truth): (Report, TreeTruth) = trace("shorts", args);
    assert_eq!(truth.children.len(), count);
    assert_eq!(report.processes.len(), count + 1, "one row each");
    assert_eq!(report.target.processes_seen, count as u64 + 1);
    check_each(&report, &truth.children);
    let largest = report
        .processes
        .iter()
        .map(|row| row.peak().rss_bytes)
        .max();
    assert!(
        report.peak().rss_bytes >= largest.expect("rows"),
        "below the largest process"
    );
    assert_eq!(
        Some(report.peak().rss_bytes),
        truth.together_rss_bytes,
        "all that were alive"
    );
    report.assert_exact();
    report.assert_over();
}

#[test]
fn three_hundred_short_processes_one_after_the_other() {
    check_shorts(&["300"], 300);
}

#[test]
fn sixty_four_processes_at_once() {
    check_shorts(&["64", "--parallel"], 64);
}

#[test]
fn three_hundred_short_programs_of_a_shell() {
    let script = "i=0; while [ $i -lt 300 ]; do /bin/true $i; i=$((i+1)); done";
    let report = trace_command(&["/bin/sh", "-c", script]);
    for number in 0..300 {
        let argv = ["/bin/true".to_owned(), number.to_string()];
        let rows = report.processes.iter().filter(|row| row.argv == argv);
        let rows: Vec<&Row> = rows.collect();
        assert_eq!(rows.len(), 1, "{argv:?}");
        assert!(rows[0].peak().rss_bytes > 0);
        assert!(rows[0].peak().rss_bytes <= report.peak().rss_bytes);
        assert_eq!(rows[0].exit, exited(0));
    }
    assert_eq!(report.target.processes_seen, 301);
    report.assert_exact();
    report.assert_over();
}

/// The child of a large parent: its own peak is that of its own program, whatever `ru_maxrss` says.
#[track_caller]
fn child_of_large_parent(via: &str) -> (Report, SpawnerTruth) {
    let scratch = Scratch::default();
    let (pages, directory, own) = (workload("pages"), scratch.arg(""), scratch.arg("own.json"));
    let command = [
        "--", &pages, "--anon", "300", "--truth", &own, "--dir", &directory,
    ];
    let args = [&["--mib", "300", "--via", via], &command[..]].concat();
    let (report, truth): (Report, SpawnerTruth) = trace("spawner", &args);
    let child: PagesTruth = truth::read(&scratch.path("own.json"));
    assert_eq!(truth.child, child.pid);

    let row = report.last_row(child.pid);
    assert_eq!(row.peak().level(), child.peak);
    let check = row.check("ru_maxrss");
    assert_eq!(check.verdict, "inherited", "{}", check.why);
    assert_eq!(
        check.bytes,
        Some(truth.max_rss_bytes),
        "what wait4 told the parent"
    );
    assert!(
        truth.max_rss_bytes >= BIG,
        "the kernel passed nothing on: {truth:?}"
    );
    assert!(report.peak().rss_bytes >= truth.parent.peak_rss_bytes);
    report.assert_exact();
    report.assert_over();
    (report, truth)
}

#[test]
fn spawned_child_of_a_large_parent() {
    let (report, truth) = child_of_large_parent("spawn");
    assert_eq!(
        report.rows(truth.child).len(),
        1,
        "until its exec it had no space of its own"
    );
}

#[test]
fn forked_child_of_a_large_parent() {
    let (report, truth) = child_of_large_parent("fork");
    let rows = report.rows(truth.child);
    assert_eq!(rows.len(), 2, "a copy of its parent, then its own program");
    assert!(rows[0].peak().rss_bytes >= BIG);
    assert!(report.peak().rss_bytes >= truth.parent.peak_rss_bytes + BIG);
}

#[track_caller]
fn child_of_large_python(start_child: &str) {
    let found = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output();
    let found = found.unwrap_or_else(|error| panic!("this test needs python3: {error}"));
    let python = String::from_utf8(found.stdout).expect("a path in UTF-8");
    let script = format!(
        "import os\nheap = b'x' * {BIG}\nargv = ['/bin/true', 'child']\n\
         {start_child}\nassert os.waitpid(pid, 0)[1] == 0\n"
    );
    let report = trace_command(&[python.trim(), "-c", &script]);
    let mut rows = report
        .processes
        .iter()
        .filter(|row| row.argv == ["/bin/true", "child"]);
    let row = rows.next().expect("a row for the child's program");
    assert!(rows.next().is_none());
    assert!(
        row.peak().rss_bytes < 8 << 20,
        "a few MiB, not {}",
        row.peak().rss_bytes
    );
    let check = row.check("ru_maxrss");
    assert_eq!(check.verdict, "inherited", "{}", check.why);
    assert!(check.bytes >= Some(BIG));
    report.assert_exact();
    report.assert_over();
}

#[test]
fn posix_spawned_child_of_a_large_python() {
    child_of_large_python("pid = os.posix_spawn(argv[0], argv, {})");
}

#[test]
fn forked_child_of_a_large_python() {
    child_of_large_python("pid = os.fork()\nif pid == 0: os.execv(argv[0], argv)");
}

#[test]
fn chain_of_execs() {
    let memtrace = Memtrace::with_json();
    let (pages, directory) = (workload("pages"), memtrace.scratch.arg(""));
    let truth_file = memtrace.scratch.arg("truth.json");
    let second = r#"exec "$0" "$@""#;
    let first = format!(r#"exec /bin/sh -c '{second}' "$0" "$@""#);
    let last = [
        &pages,
        "--anon",
        "500",
        "--truth",
        &truth_file,
        "--dir",
        &directory,
    ];
    let argv = [&["/bin/sh", "-c", &first], &last[..]].concat();
    let (outcome, scratch) = memtrace.run(&argv);
    outcome.assert_code(0);
    let report = report(&outcome, &scratch);
    let truth: PagesTruth = truth::read(&scratch.path("truth.json"));

    let rows = report.rows(truth.pid);
    let images: Vec<_> = rows
        .iter()
        .map(|row| (row.image, row.comm.as_str()))
        .collect();
    assert_eq!(images, [(0, "sh"), (1, "sh"), (2, "pages")]);
    assert_eq!(report.processes.len(), 3);
    assert_eq!(rows[0].argv, argv);
    assert_eq!(
        rows[1].argv,
        [&["/bin/sh", "-c", second], &last[..]].concat()
    );
    assert_eq!(rows[2].argv, last);
    assert_eq!(
        (rows[0].exit, rows[1].exit, rows[2].exit),
        (None, None, exited(0))
    );
    assert!(rows.iter().all(|row| row.end_ns.is_some()));
    assert_eq!(rows[2].peak().level(), truth.peak);
    assert_eq!(report.peak().level(), truth.peak);
    report.assert_exact();
    report.assert_over();
}

/// Pages that a `vfork` child or a `CLONE_VM` process touches are counted once, in the space that
/// both have; the process has a row, and no peak of its own.
#[test]
fn processes_in_their_parents_space() {
    for way in ["exit", "share"] {
        let (report, truth): (Report, SpaceTruth) = trace("vforker", &[way]);
        let parent = report.last_row(truth.pid);
        assert_eq!(parent.peak().rss_bytes, truth.peak_rss_bytes, "{way}");
        assert_eq!(report.peak().rss_bytes, truth.peak_rss_bytes, "{way}");
        let rows = report.rows(truth.others[0]);
        assert_eq!(rows.len(), 1);
        assert!(rows[0].peak.is_none());
        assert_eq!(rows[0].shares_space_with, parent.space);
        assert!(parent.space.is_some());
        assert_eq!(rows[0].parent_pid, Some(truth.pid));
        assert_eq!(rows[0].exit, exited(7));
        report.assert_exact();
        report.assert_over();
    }
}

#[test]
fn vfork_then_exec() {
    let (report, truth): (Report, SpaceTruth) = trace("vforker", &["exec", "--", "/bin/true"]);
    assert_eq!(
        report.last_row(truth.pid).peak().rss_bytes,
        truth.peak_rss_bytes
    );
    let child = report.last_row(truth.others[0]);
    assert_eq!(child.argv, ["/bin/true"]);
    assert!(child.peak().rss_bytes < truth.peak_rss_bytes);
    assert_ne!(child.space, report.last_row(truth.pid).space);
    report.assert_exact();
    report.assert_over();
}

#[test]
fn two_processes_with_the_same_pid() {
    let (report, truth): (Report, TreeTruth) = trace("reuse", &[]);
    let rows = report.rows(truth.children[0].pid);
    let peaks: Vec<u64> = rows.iter().map(|row| row.peak().rss_bytes).collect();
    let truths: Vec<u64> = truth
        .children
        .iter()
        .map(|child| child.peak_rss_bytes)
        .collect();
    assert_eq!(
        peaks, truths,
        "in order, the second without what the first had"
    );
    assert!(
        rows.iter()
            .all(|row| row.image == 0 && row.exit == exited(0))
    );
    report.assert_exact();
    report.assert_over();
}

/// memtrace ends with the command; what lives on is in the report as it stood then.
#[test]
fn orphan_that_outlives_the_command() {
    let memtrace = Memtrace::with_json();
    let argv = [
        workload("orphan"),
        "--truth".to_owned(),
        memtrace.scratch.arg("truth.json"),
    ];
    let (mut program, scratch) = memtrace.start(&argv);
    program.wait();
    let truth: TreeTruth = truth::read(&scratch.path("truth.json"));
    let orphan = truth.children[0];
    // It stands still, before and after.
    assert_eq!(Reader::default().rss(orphan.pid), orphan.peak_rss_bytes);
    let outcome = program.finish();
    outcome.assert_code(0);

    let report = report(&outcome, &scratch);
    let row = report.last_row(orphan.pid);
    assert_eq!(row.peak().rss_bytes, orphan.peak_rss_bytes);
    assert_eq!(row.end_rss_bytes, Some(orphan.peak_rss_bytes));
    assert_eq!((row.end_ns, row.exit), (None, None));
    assert_eq!(report.target.processes_alive, 1);
    assert_eq!(
        report.target.end_rss_bytes,
        i64::try_from(orphan.peak_rss_bytes).ok()
    );
    assert!(report.doubts("still-running"));
    report.assert_exact();
}

#[test]
fn no_follow_keeps_to_the_command() {
    let memtrace = Memtrace::with_json().options(&["--no-follow"]);
    let (report, truth): (Report, TreeTruth) = trace_with(memtrace, "shorts", &["3"]);
    assert_eq!(report.processes.len(), 1);
    assert_eq!(report.processes[0].pid, Some(truth.parent.pid));
    assert_eq!(
        report.peak().rss_bytes,
        report.processes[0].peak().rss_bytes
    );
    assert_eq!(report.target.processes_seen, 1);
    report.assert_exact();
    report.assert_over();
}
