//! The model under order, loss and length.

use memtrace::{
    event::{EndReason, Event},
    model::folded::MAX_KEPT,
    report::schema::Report,
};
use proptest::prelude::*;

use crate::{
    random,
    run::{PAGE, Run, mib, pages},
    told::report,
};

#[test]
fn rows_follow_execs_and_leave_the_holder_out() {
    let report = crate::cases::exec_chain();
    let rows: Vec<_> = report
        .processes
        .iter()
        .map(|r| (r.pid, r.image, r.comm.as_str(), r.parent_pid))
        .collect();
    assert_eq!(
        rows,
        [
            (Some(4242), 0, "sh", None),
            (Some(4244), 0, "sh", Some(4242)),
            (Some(4244), 1, "stage", Some(4242)),
            (Some(4244), 2, "stage-2", Some(4242)),
            (Some(4242), 1, "python3", None),
            (Some(4245), 0, "python3", Some(4242)),
        ]
    );
    // A row ends where the next one of its process begins, at the level that the exec left.
    assert_eq!(report.processes[1].end_ns, report.processes[2].start_ns);
    assert_eq!(report.processes[0].end_rss_bytes, Some(450 * PAGE));
    // A forked child has its parent's command line until its exec.
    assert_eq!(report.processes[5].argv, ["python3", "train.py"]);
    assert_eq!(report.processes[3].argv[2], "a file with blanks.csv");
}

#[test]
fn a_row_without_a_space_of_its_own_has_no_peak() {
    let report = crate::cases::vfork();
    let rows: Vec<_> = report
        .processes
        .iter()
        .map(|r| {
            (
                r.comm.as_str(),
                r.image,
                r.space,
                r.shares_space_with,
                r.peak.is_some(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("build", 0, Some(1), None, true),
            ("cc", 0, Some(2), None, true),
            ("build", 0, None, Some(1), false),
        ]
    );
    assert_eq!(report.processes[2].exit.unwrap().code, Some(127));
    // The level left by a vfork child's exec is its parent's: it is nobody's end.
    assert_eq!(
        report.processes[0].end_rss_bytes,
        Some((mib(300) + 900) * PAGE)
    );
}

#[test]
fn faults_sum_to_the_kernels_figure_for_the_pid() {
    let report = crate::cases::exec_chain();
    let of = |pid| {
        let rows = report
            .processes
            .iter()
            .filter(move |row| row.pid == Some(pid));
        rows.map(|row| row.faults.unwrap().minor).sum::<u64>()
    };
    assert_eq!(of(4244), 50 + 10 + 50 + 10 + 3);
    // Less what the holder did before its exec, and that exec.
    assert_eq!(of(4242), 10 + 50 + 10 + 10 + 10 + 3);
    assert!(
        report.count_checks[0].why.contains("83 before"),
        "{:?}",
        report.count_checks
    );
}

#[test]
fn very_long_runs_fold_the_small_and_keep_the_large() {
    let mut run = Run::command(&["sh"]);
    run.exec(1, &["sh"]);
    let total = 3 * MAX_KEPT as i64;
    for i in 0..total {
        let child = run.wait(1).fork(1);
        run.exec(child, &["short"])
            .level(child, pages(100 + i, 0, 0))
            .exit(child, 0);
    }
    run.exit(1, 0);
    let report = run.report(0);
    assert!(report.certainty.exact, "{:?}", report.certainty.doubts);
    assert_eq!(report.certainty.doubts[0].id, "rows-folded");
    let folded: u64 = report.folded.iter().map(|folded| folded.rows).sum();
    assert!(report.processes.len() <= 2 * (MAX_KEPT + 1));
    assert_eq!(
        report.processes.len() as u64 + folded,
        2 * total.unsigned_abs() + 1
    );
    let largest = report
        .processes
        .iter()
        .filter_map(|row| row.peak)
        .map(|p| p.rss_bytes)
        .max();
    assert_eq!(largest, Some((100 + total - 1) * PAGE));
    assert!(
        report.processes.iter().any(|row| row.pid == Some(4242)),
        "roots stay"
    );
    assert_eq!(report.target.processes_seen, total.unsigned_abs() + 1);
}

/// What must be the same however the events were ordered.
fn facts(report: &Report) -> String {
    let rows: Vec<_> = report
        .processes
        .iter()
        .map(|row| {
            (
                row.pid, row.image, row.space, &row.comm, row.peak, row.end_ns, row.faults,
            )
        })
        .collect();
    format!("{rows:?} {:?} {:?}", report.peak, report.timeline)
}

proptest! {
    #[test]
    fn rows_and_peak_are_the_worlds(steps in random::steps()) {
        let run = random::live(&steps, &["one".into(), "two".into()]);
        let report = report(run.events(run.ended(EndReason::Interrupted, None)));
        prop_assert!(report.certainty.exact, "{:?}", report.certainty.doubts);
        let peak = report.peak.clone().unwrap();
        prop_assert_eq!(peak.rss_bytes, run.target.peak.rss * PAGE);
        let highest = report.timeline.points.iter().map(|point| point.1).max();
        prop_assert_eq!(highest, Some(peak.rss_bytes));
        for row in &report.processes {
            if let Some(own) = row.peak {
                let split = [own.anon_bytes, own.file_bytes, own.shmem_bytes];
                prop_assert_eq!(split.into_iter().flatten().sum::<i64>(), own.rss_bytes);
                prop_assert!(own.at_ns >= row.start_ns);
                prop_assert!(row.end_rss_bytes.is_none_or(|end| end <= own.rss_bytes));
            }
            prop_assert!(row.end_ns.is_none_or(|end| Some(end) >= row.start_ns));
        }
    }

    /// CPUs write side by side: records may come a little late.
    #[test]
    fn order_of_arrival_does_not_matter(
        steps in random::steps(),
        late in prop::collection::vec(any::<bool>(), 0..400),
    ) {
        let run = random::live(&steps, &["one".into(), "two".into()]);
        let events = run.events(run.ended(EndReason::Interrupted, None));
        let mut shuffled = events.clone();
        for (pair, _) in shuffled.chunks_mut(2).zip(late).filter(|(_, late)| *late) {
            pair.reverse();
        }
        prop_assert_eq!(facts(&report(shuffled)), facts(&report(events)));
    }

    /// Any record may be lost: nothing is invented, nothing panics, and ledgers that came count.
    #[test]
    fn losses_leave_gaps(
        steps in random::steps(),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
    ) {
        let run = random::live(&steps, &["one".into(), "two".into()]);
        let mut events = run.events(run.ended(EndReason::Interrupted, None));
        for index in lost {
            let i = index.index(events.len());
            let keep = matches!(events[i], Event::Begun(_) | Event::Ended(_));
            if !keep {
                events.remove(i);
            }
        }
        let ledgers = events
            .iter()
            .filter(|event| matches!(event, Event::SpaceClosed(_) | Event::SpaceAlive(_)))
            .count();
        let full = report(run.events(run.ended(EndReason::Interrupted, None)));
        let report = report(events);
        let peaks = |report: &Report| {
            let rows = report.processes.iter();
            rows.filter_map(|r| Some((r.space?, r.peak?))).collect::<Vec<_>>()
        };
        prop_assert_eq!(peaks(&report).len(), ledgers);
        prop_assert!(peaks(&report).iter().all(|peak| peaks(&full).contains(peak)));
        prop_assert_eq!(&report.peak.map(|p| p.rss_bytes), &full.peak.map(|p| p.rss_bytes));
        for row in &report.processes {
            let whole: Vec<_> = full.processes.iter().filter(|f| f.space == row.space).collect();
            if let (Some(faults), [whole]) = (row.faults, &whole[..]) {
                prop_assert!(whole.faults.is_none_or(|f| faults.minor >= f.minor || !faults.is_final));
            }
        }
    }
}
