//! Verdicts: each reading gets the one that its history calls for.

use memtrace::{
    event::{EndReason, Event, Reading, TargetAsked},
    report::schema::{Check, Report, Verdict},
};

use crate::{
    cases,
    run::{PAGE, Run, mib, pages},
    told::report,
};

fn verdict<'a>(checks: &'a [Check], against: &str) -> (Verdict, &'a str, Option<i64>) {
    let check = checks
        .iter()
        .find(|check| check.against == against)
        .expect(against);
    (
        check.verdict,
        &check.why,
        check.diff_bytes.map(|diff| diff / PAGE),
    )
}

fn last<'a>(report: &'a Report, comm: &str) -> &'a [Check] {
    let row = report
        .processes
        .iter()
        .rfind(|row| row.comm == comm)
        .unwrap();
    &row.checks
}

/// A program that grows and exits, in a world whose mark lags by so many pages.
fn simple(lag: i64) -> Report {
    let mut run = Run::command(&["grow"]);
    run.mark_lag = lag;
    run.exec(1, &["grow"])
        .wait(1)
        .level(1, pages(10_000, 0, 0))
        .wait(1)
        .exit(1, 0);
    run.report(0)
}

#[test]
fn a_lagging_mark_is_the_kernels_batching_up_to_its_bound() {
    // Two CPUs: 3 counters x 2 CPUs x (32 - 1) pages.
    for (lag, expected, why) in [
        (0, Verdict::Equal, "same"),
        (186, Verdict::KernelLow, "not yet handed in"),
        (187, Verdict::KernelLow, "missed the top"),
        (-186, Verdict::KernelHigh, "not yet handed in"),
        (-187, Verdict::KernelHigh, "more than"),
    ] {
        let report = simple(lag);
        for name in ["ru_maxrss", "VmRSS at its end"] {
            let (verdict, text, diff) = verdict(last(&report, "grow"), name);
            assert_eq!((verdict, diff), (expected, Some(-lag)), "{name}, {lag}");
            assert!(text.contains(why), "{text}");
        }
        // `/proc` takes the higher of the mark and the exact level, which is the peak here.
        let at_least_level = verdict(last(&report, "grow"), "VmHWM");
        assert_eq!(at_least_level.2, Some((-lag).max(0)));
    }
}

#[test]
fn max_rss_is_inherited_through_exec() {
    let (found, why, diff) = {
        let report = cases::vfork();
        let (found, why, diff) = verdict(last(&report, "cc"), "ru_maxrss");
        (found, why.to_owned(), diff)
    };
    assert_eq!((found, diff), (Verdict::Inherited, Some(mib(290) + 100)));
    assert!(why.contains("parent"), "{why}");

    let report = cases::trivial();
    assert!(
        verdict(last(&report, "true"), "ru_maxrss")
            .1
            .contains("memtrace's own")
    );

    let mut run = Run::command(&["big"]);
    run.exec(1, &["big"])
        .level(1, pages(50_000, 0, 0))
        .exec(1, &["small"])
        .exit(1, 0);
    let report = run.report(0);
    let (found, why, _) = verdict(last(&report, "small"), "ru_maxrss");
    assert_eq!(found, Verdict::Inherited);
    assert!(why.contains("ran before"), "{why}");
    // The row that was left has what `/proc` would have said just then.
    assert_eq!(verdict(last(&report, "big"), "VmHWM").0, Verdict::Equal);
}

#[test]
fn wait4_covers_the_largest_descendant() {
    let mut run = Run::command(&["parent"]);
    run.exec(1, &["parent"]).level(1, pages(1_000, 0, 0));
    let child = run.fork(1);
    run.level(child, pages(30_000, 0, 0)).wait(1).exit(child, 0);
    run.level(1, pages(2_000, 0, 0)).exit(1, 0);
    run.events.iter_mut().for_each(|event| {
        if let Event::ProcessExited(exited) = event
            && exited.process == 1
        {
            exited.children_maxrss = 30_000;
        }
    });
    run.wait4(30_000, 0);
    let report = run.report(0);
    assert_eq!(
        verdict(&report.processes[0].checks, "ru_maxrss").0,
        Verdict::Equal
    );
    assert_eq!(
        verdict(&report.processes[0].checks, "ru_maxrss (wait4)").0,
        Verdict::CoversMore
    );
    // Held against the sum of both, it is too little.
    assert_eq!(
        verdict(&report.checks, "ru_maxrss (wait4)").0,
        Verdict::CoversLess
    );
}

#[test]
fn wait4_covers_descendants_that_were_not_followed() {
    let mut run = Run::command(&["parent"]);
    if let TargetAsked::Command { follow, .. } = &mut run.asked {
        *follow = false;
    }
    run.exec(1, &["parent"])
        .level(1, pages(2_000, 0, 0))
        .exit(1, 0);
    run.events.iter_mut().for_each(|event| {
        if let Event::ProcessExited(exited) = event {
            exited.children_maxrss = 30_000;
        }
    });
    run.wait4(30_000, 0);
    let report = run.report(0);
    let (found, why, _) = verdict(&report.checks, "ru_maxrss (wait4)");
    assert_eq!(found, Verdict::CoversMore);
    assert!(why.contains("not followed"), "{why}");
}

#[test]
fn a_mark_from_before_is_told_from_one_made_since() {
    for (mark_then, mark_now, expected) in [
        (5_000, 5_000, Verdict::BeforeAttach),
        (5_000, 5_001, Verdict::KernelHigh),
        (500, 1_000, Verdict::Equal),
    ] {
        let mut run = Run::attached(777, "old", pages(400, 0, 0), mark_then);
        run.wait(1).level(1, pages(1_000, 0, 0));
        run.read(Reading::Proc {
            pid: 777,
            vm_hwm_bytes: mark_now * PAGE.unsigned_abs(),
            vm_rss_bytes: 1_000 * PAGE.unsigned_abs(),
            statm_rss_bytes: 990 * PAGE.unsigned_abs(),
            ledger_before_bytes: 1_000 * PAGE.unsigned_abs(),
            ledger_after_bytes: 1_000 * PAGE.unsigned_abs(),
        });
        let report = report(run.events(run.ended(EndReason::Duration, None)));
        let checks = last(&report, "old");
        assert_eq!(verdict(checks, "VmHWM").0, expected);
        assert_eq!(verdict(checks, "VmRSS").0, Verdict::Equal);
        assert_eq!(verdict(checks, "statm").0, Verdict::KernelLow);
        assert!(!checks.iter().any(|check| check.against == "ru_maxrss"));
    }
}

#[test]
fn a_moving_process_proves_nothing() {
    let report = cases::attached();
    let checks = &report.processes[1].checks;
    assert_eq!(verdict(checks, "VmRSS").0, Verdict::Unavailable);
    assert_eq!(verdict(checks, "VmHWM").0, Verdict::Equal);
}

#[test]
fn a_cgroup_is_compared_only_if_it_is_the_targets_own() {
    let cgroup = |peak_bytes, strangers, start_peak_bytes| {
        let mut run = Run::command(&["one"]);
        run.exec(1, &["one"])
            .level(1, pages(1_000, 0, 0))
            .exit(1, 0);
        run.read(Reading::Cgroup {
            path: "/sys/fs/cgroup/x".into(),
            file: "memory.peak".into(),
            peak_bytes,
            strangers,
            start_peak_bytes,
        });
        let report = run.report(0);
        let (verdict, why, _) = verdict(&report.checks, "memory.peak");
        (verdict, why.to_owned(), report.target.cgroup)
    };
    let own = Some("/sys/fs/cgroup/x".to_owned());
    assert_eq!(
        cgroup(Some(4_096_000), 0, None),
        (Verdict::Equal, "The same to the byte.".into(), own.clone())
    );
    let (found, why, _) = cgroup(Some(5_000_000), 0, Some(5_000_000));
    assert_eq!(found, Verdict::BeforeAttach);
    assert!(why.contains("before"), "{why}");
    let (found, ..) = cgroup(Some(5_000_000), 0, Some(1_000_000));
    assert_eq!(found, Verdict::CoversMore);
    assert_eq!(cgroup(Some(4_000_000), 0, None).0, Verdict::CoversLess);
    assert_eq!(cgroup(None, 0, None).0, Verdict::Unavailable);
    let (found, why, path) = cgroup(Some(4_096_000), 2, None);
    assert_eq!((found, path), (Verdict::Unavailable, None));
    assert_eq!(why, "2 other processes are in the same cgroup.");
}

#[test]
fn fault_counts_are_held_against_the_sum_of_what_ended() {
    let counted = 33 + 50 + 10 + 3 + 10 + 3;
    let count = |waited: u64, freed: bool| {
        let mut run = Run::command(&["one"]);
        run.exec(1, &["one"]).level(1, pages(1_000, 0, 0));
        let child = run.fork(1);
        run.level(child, pages(1_000, 1, 0))
            .exit(child, 0)
            .exit(1, 0)
            .wait4(1_000, waited);
        if !freed {
            run.events
                .retain(|event| !matches!(event, Event::ProcessFreed(_)));
        }
        let report = run.report(0);
        let check = report.count_checks[0].clone();
        (check.verdict, check.diff, check.why)
    };
    assert_eq!(count(counted, true).0, Verdict::Equal);
    assert_eq!(count(counted - 13, true).1, Some(-13));
    assert_eq!(count(counted - 13, true).0, Verdict::CoversLess);
    let (found, diff, why) = count(counted, false);
    assert_eq!((found, diff), (Verdict::CoversMore, Some(6)));
    assert!(why.contains("2 of the processes"), "{why}");
}
