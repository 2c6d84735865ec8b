//! Phases: peaks above their begin are the workload's own arithmetic, to the page.

use tests::{
    report::{Phase, Report},
    runner::{Memtrace, report, trace, trace_with, workload},
    sys::memory::page_bytes,
    truth::TreeTruth,
};

/// Plays words, and gives the report.
#[track_caller]
fn play(words: &str) -> (Report, TreeTruth) {
    let words: Vec<&str> = ["--"].into_iter().chain(words.split(' ')).collect();
    let (report, truth): (Report, TreeTruth) = trace("phaser", &words);
    report.assert_exact();
    report.assert_over();
    assert!(report.phases.iter().all(|phase| phase.exact));
    (report, truth)
}

fn pages(count: u64) -> u64 {
    count * page_bytes() as u64
}

/// Name, growth in pages and depth of every entry, by begin.
fn grown(report: &Report) -> Vec<(&str, u64, u64)> {
    let entry = |phase: &'_ Phase| (phase.growth() / pages(1), phase.depth);
    let phases = report.phases.iter();
    phases
        .map(|phase| {
            let (growth, depth) = entry(phase);
            (phase.name.as_str(), growth, depth)
        })
        .collect()
}

#[test]
fn peaks_above_the_begin_are_exact_and_nested() {
    let (report, truth) = play(
        "begin:load touch:2000 end:load begin:compute touch:700 begin:inner touch:1300 drop end \
         drop end drop begin:reload touch:90 end:reload",
    );
    let expected = [
        ("load", 2_000, 0),
        ("compute", 2_000, 0),
        ("inner", 1_300, 1),
        ("reload", 90, 0),
    ];
    assert_eq!(grown(&report), expected);
    let load = report.phase("load");
    let level = |bytes: Option<u64>| bytes.expect("a level");
    assert_eq!(
        level(load.end_rss_bytes),
        level(load.start_rss_bytes) + pages(2_000)
    );
    assert_eq!(load.pid, Some(truth.parent.pid));
    assert_eq!(
        (load.scope.as_str(), load.ended_by.as_str()),
        ("thread", "mark")
    );
    assert_eq!(load.faults.expect("same thread").minor, 2_000);
    let calls_are_seen = !report.doubts("no-virtual-memory");
    let mapped = load.vm.map(|calls| calls.mmap.bytes);
    assert_eq!(mapped, calls_are_seen.then_some(pages(2_000)));
    assert_eq!(load.peak_target_bytes, load.peak_rss_bytes.expect("a peak"));
    let compute = report.phase("compute");
    assert_eq!(level(compute.end_rss_bytes), level(compute.start_rss_bytes));
}

#[test]
fn what_was_touched_just_before_is_not_in_the_phase() {
    let (report, _) = play("touch:3000 begin:quiet end touch:10 drop drop begin:one touch:1 end");
    assert_eq!(grown(&report), [("quiet", 0, 0), ("one", 1, 0)]);
}

#[test]
fn two_thousand_in_a_row_are_each_exact() {
    let (report, _) = play("repeat:2000:37");
    assert_eq!(report.phases.len(), 2_000);
    for (number, phase) in report.phases.iter().enumerate() {
        assert_eq!(
            phase.growth(),
            pages(1 + number as u64 % 37),
            "entry {number}"
        );
        assert_eq!(phase.nth, number as u64 + 1);
    }
    let [summary] = &report.phase_summary[..] else {
        panic!("one name")
    };
    assert_eq!((summary.name.as_str(), summary.count), ("many", 2_000));
    assert_eq!(summary.growth_max_bytes, pages(37));
}

#[test]
fn a_peak_of_another_process_is_in_the_targets_column_only() {
    let (report, truth) = play("begin:outer child:5000 end");
    let outer = report.phase("outer");
    assert_eq!(outer.growth(), 0, "nothing of its own");
    let together = truth.together_rss_bytes.expect("both stood still");
    assert_eq!(outer.peak_target_bytes, together);
    assert_eq!(report.phases.len(), 1, "the child has no phase of its own");
}

/// Whoever marks may be gone then, and the target one space again, whose own peak is higher.
#[test]
fn a_phase_of_the_target_that_another_process_marked() {
    let (report, _) =
        play("begin:base end touch:9000 drop begin-beside:step touch:4000 drop end-beside:step");
    let base = report.phase("base").start_rss_bytes.expect("a level");
    let step = report.phase("step");
    assert_eq!(step.peak_target_bytes, base + pages(4_000));
}

#[test]
fn eight_threads_with_their_own_phases() {
    let steps: [u64; 8] = [700, 100, 900, 300, 1100, 500, 1300, 200];
    let (report, _) = play("threads:8");
    for number in 0..steps.len() {
        let phase = report.phase(&format!("thread-{number}"));
        // Open in its own step and the two after it.
        let most = steps[number..].iter().take(3).max().copied();
        assert_eq!(
            phase.growth(),
            pages(most.expect("a step")),
            "thread {number}"
        );
        assert_eq!((phase.depth, phase.ended_by.as_str()), (0, "mark"));
    }
}

/// What another CPU has seen and not handed in is of the phase in which it was so, and of no other.
#[test]
fn phases_that_begin_and_end_while_another_cpu_counts() {
    let words = ["--", "grows:40000", "shrinks:40000"];
    let (report, _): (Report, TreeTruth) = trace("phaser", &words);
    report.assert_over();
    let level = |bytes: Option<u64>| bytes.expect("a level");
    let mut ended = 0;
    let mut moved = [0, 0];
    // A marker that meets a CPU which does not run says so, and one that the kernel skips leaves its
    // phase open to the end: neither is counted on.
    let sure = |phase: &&Phase| phase.exact && phase.ended_by == "mark";
    for phase in report.phases.iter().filter(sure) {
        let (start, end) = (level(phase.start_rss_bytes), level(phase.end_rss_bytes));
        let peak = level(phase.peak_rss_bytes);
        assert_eq!(phase.peak_target_bytes, peak, "entry {}", phase.nth);
        if phase.name == "grows" {
            assert_eq!(peak, end, "entry {} from {start}", phase.nth);
            assert!(start >= ended, "entry {}", phase.nth);
            ended = end;
            moved[0] += u32::from(end > start);
        } else {
            assert_eq!(peak, start, "entry {} to {end}", phase.nth);
            moved[1] += u32::from(end < start);
        }
    }
    // Else it would show nothing; 400 phases at least of each, if all are sure.
    assert!(moved.into_iter().all(|phases| phases > 100), "{moved:?}");
}

#[test]
fn named_tracks_interleave() {
    let (report, _) = play(
        "1/begin:a touch:100 2/begin:b touch:50 1/end drop 3/begin:a touch:10 2/end 3/end:a 9/end",
    );
    assert_eq!(grown(&report), [("a", 150, 0), ("b", 50, 0), ("a", 10, 0)]);
    let tracks: Vec<u64> = report.phases.iter().map(|phase| phase.track).collect();
    assert_eq!(tracks, [1, 2, 3]);
    assert!(report.doubts("phase-ends-unmatched"));
}

#[test]
fn deep_nesting_ends_without_begins_and_names_that_cannot_be_read() {
    let begins: Vec<String> = (0..17)
        .map(|depth| format!("begin:d{depth} touch:1"))
        .collect();
    let ends = ["end"; 17].join(" ");
    let (report, _) = play(&format!(
        "{} {ends} unreadable touch:5 unreadable-end end end",
        begins.join(" ")
    ));
    assert_eq!(report.phases.len(), 18);
    for depth in 0..17 {
        let phase = report.phase(&format!("d{depth}"));
        assert_eq!((phase.growth(), phase.depth), (pages(17 - depth), depth));
    }
    let nameless = &report.phases[17];
    assert!(nameless.name.starts_with("phase-"), "{}", nameless.name);
    assert_eq!(nameless.growth(), pages(5));
    let mut doubts = report.certainty.doubts.iter();
    let doubt = doubts.find(|doubt| doubt.id == "phase-names-unreadable");
    let text = &doubt
        .expect("the name of the begin, and that of the end")
        .text;
    assert!(text.ends_with(": 2."), "{text}");
    assert!(report.doubts("phase-ends-unmatched"));
}

#[test]
fn fork_and_exec_inside_a_phase() {
    let (report, truth) = play(
        "begin:before touch:400 child:30 drop exec begin:after touch:60 end begin:open touch:7",
    );
    let before = report.phase("before");
    assert_eq!(
        (before.growth(), before.ended_by.as_str()),
        (pages(400), "exec")
    );
    let after = report.phase("after");
    assert_eq!(
        (after.growth(), after.ended_by.as_str()),
        (pages(60), "mark")
    );
    assert_eq!((before.pid, after.pid), (after.pid, before.pid));
    let open = report.phase("open");
    assert_eq!(open.ended_by, "exit");
    assert!(open.growth() >= pages(7));
    assert!(truth.children.is_empty(), "written by the second program");
}

#[test]
fn a_phase_of_the_target_outlives_who_began_it() {
    let memtrace = workload("phaser");
    let script = format!(
        "{memtrace} -- begin-target:all touch:5 >/dev/null; \
         {memtrace} -- touch:3000 begin:own end >/dev/null; \
         {memtrace} -- end-target:all >/dev/null"
    );
    let (outcome, scratch) = Memtrace::with_json().run(&["sh", "-c", &script]);
    outcome.assert_code(0);
    let report = report(&outcome, &scratch);
    report.assert_exact();
    let (all, own) = (report.phase("all"), report.phase("own"));
    assert_eq!(
        (all.scope.as_str(), all.ended_by.as_str()),
        ("target", "mark")
    );
    assert!(all.peak_target_bytes >= own.peak_target_bytes);
    assert_eq!(all.peak_rss_bytes, Some(all.peak_target_bytes));
    assert_eq!(all.peak_target_bytes, report.peak().rss_bytes);
}

#[test]
fn marks_by_the_sentinel_call_count_where_system_calls_are_told() {
    let words = ["--", "sentinel", "touch:70", "sentinel-end"];
    let memtrace = Memtrace::with_json().options(&["--syscalls"]);
    let (report, _): (Report, TreeTruth) = trace_with(memtrace, "phaser", &words);
    assert_eq!(grown(&report), [("Steps:sentinel", 70, 0)]);
    let (report, _): (Report, TreeTruth) = trace("phaser", &words);
    assert!(report.phases.is_empty(), "not without being asked for");
}

#[test]
fn each_program_is_a_phase() {
    let memtrace = Memtrace::with_json().options(&["--phase-exec"]);
    let (report, truth): (Report, TreeTruth) =
        trace_with(memtrace, "phaser", &["--", "touch:100", "drop"]);
    let phase = report.phase("phaser");
    assert_eq!(
        (phase.scope.as_str(), phase.ended_by.as_str()),
        ("program", "exit")
    );
    let row = report.last_row(truth.parent.pid);
    assert_eq!(phase.peak_rss_bytes, Some(row.peak().rss_bytes));
}
