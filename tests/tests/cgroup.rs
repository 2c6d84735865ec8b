//! A cgroup as the target: whoever is in it, enters it or leaves it, and whom the kernel kills.

use std::{
    cmp::Ordering,
    fs,
    io::Write,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use tests::{
    live::Ledgers,
    proc::{self, Reader},
    report::{Check, Report, exited},
    runner::{Memtrace, Program, Scratch, report, workload},
    sys::{
        cgroup::Cgroup,
        file::{forget_cached, is_on_tmpfs},
        memory::page_bytes,
    },
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
fn phases_have_the_peak_of_the_cgroup_where_the_kernel_tells_it() {
    let cgroup = Cgroup::new("phased");
    let (memtrace, scratch) = follow(&cgroup, &["--wait"]);
    let mut command = Command::new(workload("phaser"));
    let words = "begin:large touch:9000 pause:200 drop end begin:small touch:2000 pause:200 end";
    command.arg("--").args(words.split(' '));
    let phaser = Program::start(cgroup.begin(&mut command));
    phaser.finish().assert_code(0);
    let report = finished(memtrace, &scratch);
    let (large, small) = (report.phase("large"), report.phase("small"));
    let peaks = [large.cgroup_peak, small.cgroup_peak];
    if !cgroup.tells_peaks_anew() {
        assert!(peaks.iter().all(Option::is_none), "{peaks:?}");
        return;
    }
    let [of_large, of_small] = peaks.map(|peak| peak.expect("a reading"));
    let pages = |count: u64| count * page_bytes() as u64;
    assert!(of_large.bytes >= pages(9_000), "{of_large:?}");
    let between = pages(2_000)..pages(9_000);
    assert!(between.contains(&of_small.bytes), "{of_small:?}");
    for (phase, peak) in [(large, of_large), (small, of_small)] {
        assert!(phase.start_ns <= peak.from_ns && peak.from_ns < phase.end_ns);
        assert!(phase.end_ns <= peak.until_ns, "{phase:?}");
    }
}

/// What memtrace says of the peak of the cgroup that a process is in, after that has stood still;
/// and of which file, what is in it, and what the process's own peak was.
fn of_own_cgroup(cgroup: &Cgroup) -> (Check, &'static str, u64, u64) {
    let files = Scratch::default();
    let mut program = pages(cgroup, &files, &["--anon", "3000", "--wait"]);
    program.hear_after("plateau");
    let (mut memtrace, scratch) = Memtrace::with_json().attach(&[program.pid()]);
    Ledgers::once_following(&mut memtrace, &[program.pid()]);
    program.nudge();
    program.finish().assert_code(0);
    let report = finished(memtrace, &scratch);
    let (file, peak_bytes) = cgroup.peak();
    let mut checks = report.checks.iter();
    let check = checks.find(|check| check.against == file);
    let check = check.expect("a check against the cgroup").clone();
    (check, file, peak_bytes, report.peak().rss_bytes)
}

#[test]
fn a_process_alone_in_a_cgroup_is_held_against_the_cgroups_peak() {
    let cgroup = Cgroup::new("alone");
    let (check, file, said, peak) = of_own_cgroup(&cgroup);
    assert_eq!(check.bytes, Some(said), "{file}");
    let verdicts: &[&str] = match said.cmp(&peak) {
        Ordering::Less => &["covers_less"],
        Ordering::Equal => &["equal"],
        Ordering::Greater => &["covers_more", "before_attach"],
    };
    assert!(verdicts.contains(&check.verdict.as_str()), "{check:?}");
}

#[test]
fn a_process_with_others_in_its_cgroup_is_not_held_against_it() {
    let cgroup = Cgroup::new("beside");
    let mut command = Command::new("sleep");
    let mut other = cgroup.begin(command.arg("600")).spawn().expect("sleep");
    let (check, ..) = of_own_cgroup(&cgroup);
    other.kill().expect("an own child");
    other.wait().expect("an own child");
    assert_eq!((check.verdict.as_str(), check.bytes), ("unavailable", None));
    assert!(check.why.contains("1 other process is"), "{check:?}");
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
    let of_target: Vec<_> = report.oom.iter().filter(|oom| oom.of_target).collect();
    let [oom] = of_target[..] else {
        panic!("{:?}", report.oom)
    };
    assert_eq!(
        (oom.pid, oom.of_target, oom.killed),
        (Some(grower_pid), true, Some(true))
    );
    assert_eq!(oom.asked_by_pid, Some(grower_pid));
    assert_eq!(oom.limit_cgroup, Some(cgroup.name()), "{:?}", oom.log_why);
    assert_eq!((oom.limit_bytes, oom.order), (Some(LIMIT), Some(0)));
    assert_eq!(oom.constraint.as_deref(), Some("CONSTRAINT_MEMCG"));
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
    let by = own.limit_hit_by.as_ref().expect("it was hit");
    assert!(by.contains("memory that could not be given up"), "{by}");
}

#[test]
fn a_kill_beside_the_target_is_told_too() {
    const LIMIT: u64 = 48 << 20;
    let (cgroup, files) = (Cgroup::new("beside"), Scratch::default());
    cgroup.limit(LIMIT);
    let (program, folder) = (workload("pages"), files.arg(""));
    let argv = [&program, "--anon", "500", "--wait", "--dir", &folder];
    let (mut memtrace, scratch) = Memtrace::with_json().start(&argv);
    memtrace.hear_after("plateau");
    let other_files = Scratch::default();
    let victim = pages(&cgroup, &other_files, &["--anon", "40000"]);
    let pid = victim.pid();
    assert_eq!(victim.finish().code(), 128 + libc::SIGKILL);
    memtrace.nudge();
    let outcome = memtrace.finish();
    outcome.assert_code(0);
    let report = report(&outcome, &scratch);
    // Others on this machine may run out of memory meanwhile.
    let own = report.oom.iter().find(|oom| oom.pid == Some(pid));
    let oom = own.expect("the kill");
    assert_eq!((oom.of_target, oom.killed), (false, Some(true)));
    assert_eq!((oom.rss_bytes, oom.anon_bytes), (None, None));
    assert_eq!(oom.limit_cgroup, Some(cgroup.name()), "{:?}", oom.log_why);
    assert_eq!(oom.limit_bytes, Some(LIMIT));
    report.assert_exact();
}

#[test]
fn the_classes_of_a_cgroup_are_told_apart() {
    const HUGE: u64 = 6;
    const SHARED: u64 = 3_000;
    let (cgroup, files) = (Cgroup::new("classes"), Scratch::default());
    let (memtrace, scratch) = follow(&cgroup, &["--wait"]);
    let (huge, shared) = (HUGE.to_string(), SHARED.to_string());
    let args = ["--thp", &huge, "--memfd", &shared, "--hold-ms", "500"];
    pages(&cgroup, &files, &args).finish().assert_code(0);
    let report = finished(memtrace, &scratch);
    let truth: PagesTruth = truth::read(&files.path("truth.json"));
    assert_eq!(truth.huge_bytes, Some(HUGE * (2 << 20)));
    let own = report.cgroup.as_ref().expect("a cgroup");
    let (thp, anon) = (own.thp_bytes.expect("told"), own.anon_bytes.expect("told"));
    // The kernel counts a page as anonymous first and then as huge, and what is told is the fullest
    // moment that was read: it can lie between the two.
    let before_the_last = (HUGE - 1) * (2 << 20);
    assert!(
        thp >= before_the_last && thp <= anon && anon >= HUGE * (2 << 20),
        "{thp} huge, {anon} anonymous"
    );
    let shmem = own.shmem_bytes.expect("told");
    assert!(shmem >= SHARED * page_bytes() as u64, "{shmem}");
    assert!(own.cache_bytes >= Some(shmem), "{:?}", own.cache_bytes);
}

/// A file whose pages are in no cache.
fn cold_file(scratch: &Scratch, bytes: usize) -> String {
    // Little at a time: what this test has, its children have too before they enter a program.
    let text = vec![0x5a; 1 << 20];
    let mut file = fs::File::create(scratch.path("cold")).expect("an own file");
    for _ in 0..bytes / text.len() {
        file.write_all(&text).expect("writing a file");
    }
    assert!(!is_on_tmpfs(&file), "tmpfs has no page cache of files");
    forget_cached(&file);
    scratch.arg("cold")
}

#[test]
fn a_limit_hit_by_page_cache_is_told_from_one_hit_by_processes() {
    const LIMIT: u64 = 64 << 20;
    const ANON: u64 = 24 << 20;
    let (cgroup, files) = (Cgroup::new("cache"), Scratch::default());
    cgroup.limit(LIMIT);
    let cold = cold_file(&files, 256 << 20);
    let (memtrace, scratch) = follow(&cgroup, &["--wait"]);
    let anon_pages = (ANON / page_bytes() as u64).to_string();
    let mut holder = pages(&cgroup, &files, &["--anon", &anon_pages, "--wait"]);
    holder.hear_after("plateau");
    let anon = proc::anon(holder.pid());
    let mut reader = Command::new("/bin/cat");
    let reader = cgroup.begin(reader.arg(&cold)).stdout(Stdio::null());
    assert!(reader.status().expect("cat").success());
    let usage_then = cgroup.usage();
    holder.nudge();
    holder.finish().assert_code(0);
    let report = finished(memtrace, &scratch);
    report.assert_over();
    let own = report.cgroup.as_ref().expect("a cgroup");
    // The reader filled the cgroup up to the limit; what the processes needed was far below.
    assert!(usage_then > LIMIT * 3 / 4, "{usage_then} in use");
    assert!(own.limit_hits > Some(0) && own.oom_kills == Some(0));
    assert!(own.usage_bytes >= Some(usage_then));
    let by = own.limit_hit_by.as_ref().expect("it was hit");
    assert!(by.contains("by page cache of files"), "{by}");
    let needed = own.needed_bytes.expect("told here");
    assert!(
        needed >= anon && needed < LIMIT / 2,
        "{needed} needed, {anon} held"
    );
    assert!(own.cache_bytes.expect("told here") > LIMIT / 4);
    assert!(own.anon_peak_bytes >= report.peak().anon_bytes);
    assert!(own.anon_peak_bytes >= Some(anon));
    // Each figure is there, or its reason.
    let reason = |key: &str| {
        own.absent
            .iter()
            .any(|absent| absent.key == key && !absent.why.is_empty())
    };
    assert_eq!(own.pressure.is_none(), reason("pressure"));
    assert_eq!(own.thp_bytes.is_none(), reason("thp_bytes"));
    assert_eq!(own.kernel_bytes.is_none(), reason("kernel_bytes"));
    let whose = own.pressure.map(|pressure| pressure.of_machine);
    assert!(whose.is_none_or(|of_machine| of_machine != cgroup.has("memory.pressure")));
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
}
