//! Attaching to processes that exist already: they are seeded exactly, with their descendants, and
//! their past is a stated doubt.

use tests::{
    live::Ledgers,
    proc::{Reader, children, counts_by_thread},
    report::Report,
    runner::{Memtrace, Program, Scratch, report},
    sys::process::signal,
    truth::{self, PagesTruth, TreeTruth},
};

/// A `pages` of its own, not traced from its start.
fn pages(scratch: &Scratch, args: &[&str]) -> Program {
    let (truth, directory) = (scratch.arg("truth.json"), scratch.arg(""));
    let files = ["--truth", &truth, "--dir", &directory];
    Program::workload("pages", &[args, &files].concat())
}

/// One that stands still at its plateau, and its level.
fn standing(scratch: &Scratch, anon: &str) -> (Program, u64) {
    let mut program = pages(scratch, &["--anon", anon, "--wait"]);
    program.hear_after("plateau");
    let rss = Reader::default().rss(program.pid());
    (program, rss)
}

/// Attaches for a second to processes that stand still.
#[track_caller]
fn look(pids: &[u32], options: &[&str]) -> Report {
    let memtrace = Memtrace::with_json()
        .options(&["--duration", "1s"])
        .options(options);
    let (program, scratch) = memtrace.attach(pids);
    let outcome = program.finish();
    outcome.assert_code(0);
    let report = report(&outcome, &scratch);
    assert_eq!(report.target.kind, "pids");
    assert_eq!(report.certainty.events_lost, 0);
    assert!(report.doubts("peak-before-attach"));
    report
}

/// A process that stood still the whole time.
#[track_caller]
fn check_standing(report: &Report, pid: u32, rss: u64) {
    let rows = report.rows(pid);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].start_rss_bytes, Some(rss), "seeded");
    assert_eq!(rows[0].peak().rss_bytes, rss);
    assert_eq!(rows[0].end_rss_bytes, Some(rss));
    assert_eq!((rows[0].end_ns, rows[0].exit), (None, None));
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("it is there");
    let line: Vec<_> = line.split_terminator('\0').collect();
    assert_eq!(rows[0].argv, line);
    for against in ["statm", "VmRSS"] {
        let verdict = &*rows[0].check(against).verdict;
        let is_explained = verdict == "equal" || counts_by_thread() && verdict == "kernel_low";
        assert!(is_explained, "{against}: {verdict}");
    }
}

#[test]
fn standing_process_is_seeded_exactly() {
    let scratch = Scratch::default();
    let (program, rss) = standing(&scratch, "3000");
    let report = look(&[program.pid()], &[]);
    check_standing(&report, program.pid(), rss);
    assert_eq!(report.processes.len(), 1);
    assert_eq!(report.peak().rss_bytes, rss);
    assert_eq!(report.target.end_rss_bytes, i64::try_from(rss).ok());
    program.finish().assert_code(0);
}

#[test]
fn two_processes() {
    let scratch = Scratch::default();
    let ((one, rss_of_one), (other, rss_of_other)) =
        (standing(&scratch, "3000"), standing(&scratch, "1000"));
    let report = look(&[one.pid(), other.pid()], &[]);
    check_standing(&report, one.pid(), rss_of_one);
    check_standing(&report, other.pid(), rss_of_other);
    assert_eq!(report.peak().rss_bytes, rss_of_one + rss_of_other);
    assert_eq!(report.peak().processes, Some(2));
    one.finish().assert_code(0);
    other.finish().assert_code(0);
}

/// A pool with its workers, all standing still, and the levels of all of them.
fn pool(scratch: &Scratch) -> (Program, Vec<(u32, u64)>) {
    let truth = scratch.arg("truth.json");
    let args = ["--mib", "20", "--wait", "--truth", &truth];
    let mut program = Program::workload("forkpool", &args);
    program.hear_after("plateau");
    let workers = children(program.pid());
    assert_eq!(workers.len(), 8);
    let mut reader = Reader::default();
    let pids = workers.into_iter().chain([program.pid()]);
    let levels = pids.map(|pid| (pid, reader.rss(pid))).collect();
    (program, levels)
}

#[test]
fn children_that_exist_already() {
    let scratch = Scratch::default();
    let (program, levels) = pool(&scratch);
    let report = look(&[program.pid()], &[]);
    assert_eq!(report.processes.len(), 9);
    for (pid, rss) in &levels {
        check_standing(&report, *pid, *rss);
        let parent = (*pid != program.pid()).then_some(program.pid());
        assert_eq!(report.last_row(*pid).parent_pid, parent);
    }
    assert_eq!(
        report.peak().rss_bytes,
        levels.iter().map(|(_, rss)| rss).sum::<u64>()
    );
    assert_eq!(report.peak().processes, Some(9));
    program.finish().assert_code(0);
    let truth: TreeTruth = truth::read(&scratch.path("truth.json"));
    assert_eq!(Some(report.peak().rss_bytes), truth.together_rss_bytes);
}

#[test]
fn no_follow_leaves_children_out() {
    let scratch = Scratch::default();
    let (program, levels) = pool(&scratch);
    let report = look(&[program.pid()], &["--no-follow"]);
    assert_eq!(report.processes.len(), 1);
    let own = levels
        .iter()
        .find(|(pid, _)| *pid == program.pid())
        .expect("the parent");
    check_standing(&report, own.0, own.1);
    assert_eq!(report.peak().rss_bytes, own.1);
    program.finish().assert_code(0);
}

#[test]
fn memtrace_itself_is_not_part_of_what_it_is_started_in() {
    let memtrace = Memtrace::with_json().options(&["--duration", "300ms"]);
    let (program, scratch) = memtrace.attach(&[std::process::id()]);
    let own = program.pid();
    let outcome = program.finish();
    outcome.assert_code(0);
    let report = report(&outcome, &scratch);
    assert!(report.rows(own).is_empty());
    assert!(!report.rows(std::process::id()).is_empty());
}

#[test]
fn earlier_peak_is_told_with_the_kernels_mark() {
    let scratch = Scratch::default();
    let mut program = pages(&scratch, &["--anon", "5000", "--linger", "--hold-ms", "1"]);
    program.hear_after("over");
    let rss = Reader::default().rss(program.pid());
    let report = look(&[program.pid()], &[]);
    check_standing(&report, program.pid(), rss);
    let check = report.last_row(program.pid()).check("VmHWM").clone();
    assert_eq!(check.verdict, "before_attach", "{}", check.why);
    assert!(check.diff_bytes > Some(4 << 20), "{check:?}");
    program.finish().assert_code(0);
}

/// A process at its gate, attached to, then let through: it grows from its seed.
fn attached_at_the_gate(scratch: &Scratch) -> (Program, Program, Scratch) {
    let sizes = ["--anon", "3000", "--shared", "100", "--file", "50"];
    let mut workload = pages(scratch, &[&sizes[..], &["--gate"]].concat());
    workload.hear_after("ready");
    let (mut memtrace, files) = Memtrace::with_json().attach(&[workload.pid()]);
    Ledgers::once_following(&mut memtrace, &[workload.pid()]);
    (workload, memtrace, files)
}

#[test]
fn growth_after_the_attach_is_exact_and_ends_with_the_process() {
    let scratch = Scratch::default();
    let (mut workload, memtrace, files) = attached_at_the_gate(&scratch);
    workload.nudge();
    workload.finish().assert_code(0);
    let outcome = memtrace.finish();
    outcome.assert_code(0);
    let report = report(&outcome, &files);
    let truth: PagesTruth = truth::read(&scratch.path("truth.json"));
    assert_eq!(report.peak().level(), truth.peak);
    assert_eq!(report.last_row(truth.pid).peak().level(), truth.peak);
    assert_eq!(report.certainty.events_lost, 0);
    report.assert_over();
}

#[test]
fn interrupt_ends_the_look_and_not_the_process() {
    let scratch = Scratch::default();
    let (mut workload, memtrace, files) = attached_at_the_gate(&scratch);
    signal(memtrace.pid(), libc::SIGINT);
    let outcome = memtrace.finish();
    outcome.assert_code(0);
    let report = report(&outcome, &files);
    assert_eq!(report.last_row(workload.pid()).exit, None);
    assert!(!workload.has_ended());
    workload.nudge();
    workload.finish().assert_code(0);
}
