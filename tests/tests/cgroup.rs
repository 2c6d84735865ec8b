//! A cgroup as the target: whoever is in it, enters it or leaves it, and whom the kernel kills.

use std::{process::Command, thread, time::Duration};

use tests::{
    live::Ledgers,
    proc::Reader,
    report::{Report, exited},
    runner::{Memtrace, Program, Scratch, report, workload},
    sys::{cgroup::Cgroup, memory::page_bytes, process},
    truth::{self, PagesTruth},
};

/// A memtrace on a cgroup, with its programs loaded.
fn follow(cgroup: &Cgroup, options: &[&str]) -> (Program, Scratch) {
    let memtrace = Memtrace::with_json().options(options);
    let memtrace = memtrace.options(&["--cgroup", cgroup.path()]);
    let (mut program, scratch) = memtrace.start_as_is();
    while !program.has_ended()
        && !Ledgers::of(program.pid()).is_some_and(|ledgers| ledgers.follow_a_cgroup())
    {
        thread::sleep(Duration::from_millis(2));
    }
    (program, scratch)
}

fn finished(program: Program, scratch: &Scratch) -> Report {
    let outcome = program.finish();
    outcome.assert_code(0);
    report(&outcome, scratch)
}

/// A `pages` that begins in a cgroup.
fn pages(cgroup: &Cgroup, scratch: &Scratch, args: &[&str]) -> Program {
    let mut command = Command::new(workload("pages"));
    command.args([
        "--truth",
        &scratch.arg("truth.json"),
        "--dir",
        &scratch.arg(""),
    ]);
    Program::start(cgroup.begin(command.args(args)))
}

#[test]
fn a_process_that_enters_before_its_exec_is_exact() {
    let (cgroup, files) = (Cgroup::new("enters"), Scratch::default());
    let (memtrace, scratch) = follow(&cgroup, &["--wait"]);
    pages(&cgroup, &files, &["--anon", "5000"])
        .finish()
        .assert_code(0);
    let report = finished(memtrace, &scratch);
    let truth: PagesTruth = truth::read(&files.path("truth.json"));
    assert_eq!(report.peak().level(), truth.peak);
    assert_eq!(report.last_row(truth.pid).peak().level(), truth.peak);
    assert_eq!(report.target.kind, "cgroup");
    assert!(report.certainty.exact, "{:?}", report.certainty);
    report.assert_over();
    let own = report.cgroup.as_ref().expect("a cgroup");
    assert_eq!(own.anon_peak_bytes, Some(truth.peak.anon_bytes));
}

#[test]
fn who_is_there_already_and_who_comes_later_add_up() {
    let (cgroup, files) = (Cgroup::new("there"), Scratch::default());
    let below = cgroup.child("below");
    let mut first = pages(&cgroup, &files, &["--anon", "3000", "--wait"]);
    first.hear_after("plateau");
    let (memtrace, scratch) = follow(&cgroup, &[]);
    let ledgers = Ledgers::of(memtrace.pid()).expect("it has loaded its maps");
    while !ledgers.follows(first.pid()) {
        thread::sleep(Duration::from_millis(2));
    }
    let other_files = Scratch::default();
    // Larger than what this test itself has, which its child has too before it enters `pages`.
    let mut second = pages(&below, &other_files, &["--anon", "40000", "--wait"]);
    second.hear_after("plateau");
    let mut reader = Reader::default();
    let together = reader.rss(first.pid()) + reader.rss(second.pid());
    second.nudge();
    second.finish().assert_code(0);
    first.nudge();
    first.finish().assert_code(0);
    let report = finished(memtrace, &scratch);
    assert_eq!(report.peak().rss_bytes, together);
    assert_eq!(report.peak().processes, Some(2));
    assert!(report.doubts("peak-before-attach"));
    report.assert_over();
}

#[test]
fn who_leaves_takes_its_memory_along() {
    let (cgroup, files) = (Cgroup::new("leaves"), Scratch::default());
    let (memtrace, scratch) = follow(&cgroup, &["--wait"]);
    let mut leaver = pages(&cgroup, &files, &["--anon", "4000", "--wait"]);
    leaver.hear_after("plateau");
    let level = Reader::default().rss(leaver.pid());
    Cgroup::let_go(leaver.pid());
    // The cgroup is empty, and the run over, although the process lives on.
    let report = finished(memtrace, &scratch);
    report.assert_over();
    let row = report.last_row(leaver.pid());
    assert_eq!(row.end_rss_bytes, Some(level));
    assert_eq!(row.exit, None);
    assert!(row.end_ns.is_some());
    assert_eq!(row.peak().rss_bytes, level);
    leaver.nudge();
    leaver.finish().assert_code(0);
}

#[test]
fn five_hundred_cgroups_that_come_and_go() {
    const COUNT: usize = 500;
    let cgroup = Cgroup::new("many");
    let (memtrace, scratch) = follow(&cgroup, &["--wait"]);
    let mut keeper = Command::new("/bin/cat");
    let keeper = Program::start(cgroup.begin(&mut keeper));
    for number in 0..COUNT {
        let below = cgroup.child(&number.to_string());
        let mut command = Command::new("/bin/true");
        Program::start(below.begin(&mut command))
            .finish()
            .assert_code(0);
    }
    keeper.finish().assert_code(0);
    let report = finished(memtrace, &scratch);
    report.assert_over();
    assert_eq!(report.certainty.events_lost, 0);
    assert_eq!(report.target.processes_seen, COUNT as u64 + 1);
    let ended = report.processes.iter().filter(|row| row.exit == exited(0));
    assert_eq!(ended.count(), COUNT + 1);
}

#[test]
fn a_kill_for_want_of_memory_is_told_with_the_levels_of_then() {
    const LIMIT: u64 = 64 << 20;
    let (cgroup, files) = (Cgroup::new("oom"), Scratch::default());
    cgroup.limit(LIMIT);
    let (memtrace, scratch) = follow(&cgroup, &["--wait"]);
    let quiet_files = Scratch::default();
    let mut quiet = pages(&cgroup, &quiet_files, &["--anon", "1000", "--wait"]);
    quiet.hear_after("plateau");
    let grower = pages(&cgroup, &files, &["--anon", "40000"]);
    let grower_pid = grower.pid();
    assert_eq!(grower.finish().code(), 128 + libc::SIGKILL);
    quiet.nudge();
    quiet.finish().assert_code(0);
    let report = finished(memtrace, &scratch);
    report.assert_over();
    let [oom] = &report.oom[..] else {
        panic!("{} kills", report.oom.len())
    };
    assert_eq!(
        (oom.pid, oom.of_target, oom.killed),
        (Some(grower_pid), true, Some(true))
    );
    assert_eq!(oom.asked_by_pid, Some(grower_pid));
    // It was killed at the top of its climb, but for some file pages that the kernel took back
    // before it gave up. Of anonymous pages only the quiet one's stood against the limit as well.
    let row = report.last_row(grower_pid);
    let taken_back = row.peak().rss_bytes - oom.rss_bytes.expect("of the target");
    assert!(taken_back < 4 << 20, "{taken_back} taken back");
    assert_eq!(row.exit.and_then(|exit| exit.signal), Some(libc::SIGKILL));
    let anon = oom.anon_bytes.expect("of the target");
    let quiet_anon = 1_000 * page_bytes() as u64;
    assert!(
        anon < LIMIT && anon + 2 * quiet_anon > LIMIT * 3 / 4,
        "{anon}"
    );
    assert_eq!(oom.processes.len(), 2);
    assert_eq!(oom.processes[0].pid, Some(grower_pid));
    assert!(oom.processes[0].grown_bytes > oom.processes[1].grown_bytes);
    let own = report.cgroup.as_ref().expect("a cgroup");
    assert_eq!((own.limit_bytes, own.oom_kills), (Some(LIMIT), Some(1)));
    assert!(own.limit_hit_by.is_some());
}

#[test]
fn what_is_not_there_is_refused() {
    let refused = |options: &[&str], words: &[&str]| {
        let (program, _scratch) = Memtrace::default().options(options).start_as_is();
        program.finish().assert_refusal(125, words);
    };
    refused(
        &["--cgroup", "no-such-cgroup"],
        &["no-such-cgroup", "--wait"],
    );
    let empty = Cgroup::new("empty");
    refused(&["--cgroup", empty.path()], &["nothing runs", "--wait"]);
    refused(
        &["--container", "no-such-container"],
        &["no-such-container"],
    );
    assert!(process::is_root());
}
