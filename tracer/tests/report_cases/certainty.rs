//! What speaks against a peak and what does not.

use memtrace::{
    event::{Doubt, EndReason, Ended, Event},
    report::schema::{BudgetVerdict, Report, Verdict},
};
use tracer_common::record::kind;

use crate::{
    cases,
    run::{Run, mib, pages},
    told::report,
};

fn two_processes() -> Run {
    let mut run = Run::command(&["one"]);
    run.exec(1, &["one"]).level(1, pages(mib(1), 0, 0));
    let child = run.wait(1).fork(1);
    run.level(child, pages(mib(2), 0, 0))
        .wait(1)
        .exit(child, 0)
        .exit(1, 0);
    run
}

/// The report of two processes with something spoilt at the end.
fn spoilt(spoil: impl Fn(&mut Ended)) -> Report {
    let run = two_processes();
    let mut ended = run.ended(EndReason::TargetEnded, Some(0));
    spoil(&mut ended);
    report(run.events(ended))
}

fn ids(report: &Report) -> Vec<&str> {
    report
        .certainty
        .doubts
        .iter()
        .map(|doubt| doubt.id.as_str())
        .collect()
}

#[test]
fn a_clean_run_is_exact_and_has_no_doubt() {
    let report = spoilt(|_| {});
    assert!(report.certainty.exact);
    assert_eq!(report.certainty.peak_error_bound_bytes, Some(0));
    assert_eq!(ids(&report), [""; 0]);
    assert_eq!(report.certainty.stream.agrees, Some(true));
}

#[test]
fn the_time_of_faults_touches_no_peak_and_is_told_or_explained() {
    let why = |report: &Report| {
        let mut absent = report.certainty.absent.iter();
        let absent = absent.find(|absent| absent.key == "histograms.fault_ns");
        absent.map(|absent| absent.why.clone().into_owned())
    };
    let not_asked = spoilt(|_| {});
    assert_eq!(not_asked.histograms.fault_ns, None);
    assert!(why(&not_asked).unwrap().contains("--fault-latency"));

    let refused = cases::without_fault_latency();
    assert_eq!(ids(&refused), ["no-fault-latency"]);
    assert_eq!(refused.histograms.fault_ns, None);
    assert!(why(&refused).unwrap().contains("refuses"));

    let taken = cases::waiting();
    assert_eq!(ids(&taken), ["fault-latency-lost"]);
    assert_eq!(why(&taken), None);
    let took = taken.histograms.fault_ns.as_ref().unwrap();
    assert_eq!((took.count, took.min, took.max), (41, 900, 51_234_567));
    // The twenty-first of them took 2,900 ns.
    assert!((2_900..=2_900 + 2_900 / 16).contains(&took.p50));
    assert_eq!(took.p99, took.max);
    for report in [not_asked, refused, taken] {
        assert!(report.certainty.exact);
        assert_eq!(report.certainty.peak_error_bound_bytes, Some(0));
    }
}

#[test]
fn every_weakness_is_told_and_has_its_due() {
    type Spoil = fn(&mut Ended);
    let lose = |ended: &mut Ended, kind: u32| ended.lost[kind as usize] += 1;
    assert_eq!(
        ids(&spoilt(|ended| lose(ended, kind::LEVEL))),
        ["history-lost"]
    );
    // Exact; bound of the target's peak in bytes; the doubt.
    let all: [(bool, Option<u64>, &str, Spoil); 14] = [
        (false, None, "spaces-refused", |e| {
            e.target.spaces_refused = 1
        }),
        (false, None, "processes-refused", |e| {
            e.target.processes_refused = 1
        }),
        (false, None, "guessed-totals", |e| e.target.guesses = 1),
        (false, None, "runs-missed", |e| {
            e.missed_runs = Some([("rss_stat".to_owned(), 1)].into());
        }),
        (true, Some(0), "runs-untold", |e| e.missed_runs = None),
        (false, None, "ledgers-lost", |e| e.target.ledgers_lost = 1),
        (false, None, "level-not-zero", |e| e.target.level_rss = 1),
        (false, None, "stream-disagrees", |e| e.target.peak.rss += 17),
        (false, None, "row-above-target", |e| e.target.peak.rss = 1),
        (false, None, "negative-class", |e| {
            e.target.peak.split.file = -1
        }),
        (false, Some(0), "undecoded", |e| e.undecoded = 1),
        (true, Some(0), "records-lost", |e| {
            e.lost[kind::EXECED as usize] = 1
        }),
        (true, Some(0), "records-lost", |e| {
            e.read[kind::EXECED as usize] -= 1
        }),
        (true, Some(0), "peak-unsplit", |e| {
            e.target.late_rss = e.target.peak.rss + 1
        }),
    ];
    for (exact, bound, id, spoil) in all {
        let report = spoilt(spoil);
        assert!(ids(&report).contains(&id), "{id}: {:?}", ids(&report));
        assert_eq!(report.certainty.exact, exact, "{id}");
        assert_eq!(report.certainty.peak_error_bound_bytes, bound, "{id}");
    }
}

#[test]
fn a_budget_is_held_against_what_the_peak_can_have_been() {
    let held = |budget: Option<u64>, spoil: fn(&mut Ended)| {
        let run = two_processes();
        let mut ended = run.ended(EndReason::TargetEnded, Some(0));
        spoil(&mut ended);
        let mut events = run.events(ended);
        let Some(Event::Begun(begun)) = events.first_mut() else {
            panic!("the events do not begin");
        };
        begun.max_peak_bytes = budget;
        let budget = report(events).budget;
        budget.map(|budget| (budget.bytes, budget.verdict))
    };
    let peak = mib(3).unsigned_abs() * 4096;
    assert_eq!(held(None, |_| {}), None);
    let within = Some((peak, BudgetVerdict::Within));
    assert_eq!(held(Some(peak), |_| {}), within);
    let over = Some((peak - 1, BudgetVerdict::Over));
    assert_eq!(held(Some(peak - 1), |_| {}), over);
    // What was seen was there; what was not seen may have been more.
    let guessed = |ended: &mut Ended| ended.target.guesses = 1;
    assert_eq!(held(Some(peak - 1), guessed), over);
    let open = Some((peak, BudgetVerdict::Open));
    assert_eq!(held(Some(peak), guessed), open);
}

#[test]
fn a_level_seen_late_is_the_peak_without_its_parts() {
    let report = spoilt(|ended| ended.target.late_rss = ended.target.peak.rss + 2);
    let peak = report.peak.unwrap();
    assert_eq!(
        peak.rss_bytes,
        spoilt(|_| {}).peak.unwrap().rss_bytes + 2 * 4096
    );
    assert_eq!(
        (peak.at_ns, peak.anon_bytes, peak.processes),
        (None, None, None)
    );
}

#[test]
fn lost_levels_leave_the_peak_exact_and_the_self_check_silent() {
    let report = spoilt(|ended| ended.lost[kind::LEVEL as usize] = 3);
    assert!(report.certainty.exact);
    assert_eq!(report.certainty.stream.agrees, None);
    assert_eq!(report.certainty.events_lost, 3);
}

#[test]
fn a_ledger_that_did_not_arrive_is_missed() {
    let run = two_processes();
    let mut events = run.events(run.ended(EndReason::TargetEnded, Some(0)));
    let ledger = events
        .iter()
        .position(|event| matches!(event, Event::SpaceClosed(_)))
        .unwrap();
    events.remove(ledger);
    let report = report(events);
    assert!(!report.certainty.exact);
    assert_eq!(ids(&report), ["ledgers-lost"]);
    let without = report
        .processes
        .iter()
        .filter(|row| row.peak.is_none())
        .count();
    assert_eq!(without, 1);
}

#[test]
fn a_run_that_breaks_off_has_no_peak() {
    let run = two_processes();
    let mut events = run.events(run.ended(EndReason::TargetEnded, Some(0)));
    events.pop();
    let report = report(events);
    assert_eq!(ids(&report), ["cut-short"]);
    assert_eq!(
        (report.peak, report.certainty.exact, report.ended_by),
        (None, false, None)
    );
    assert!(
        report.processes.iter().all(|row| row.peak.is_some()),
        "ledgers that came count"
    );
}

#[test]
fn survivors_are_told() {
    let mut run = Run::command(&["one"]);
    run.exec(1, &["one"]);
    let _survivor = run.fork(1);
    run.exit(1, 0);
    let report = run.report(0);
    assert_eq!(ids(&report), ["still-running"]);
    assert!(report.certainty.exact, "what was seen is exact");
    assert_eq!(report.target.processes_alive, 1);
}

#[test]
fn what_was_before_is_a_doubt_with_its_figure() {
    let mut run = Run::attached(777, "old", pages(100, 0, 0), 5_120);
    run.level(1, pages(200, 0, 0));
    let report = report(run.events(run.ended(EndReason::Duration, None)));
    assert_eq!(ids(&report), ["peak-before-attach"]);
    assert!(report.certainty.doubts[0].text.contains("PID 777: 20MiB"));
    assert_eq!(report.processes[0].parent_pid, None);
    assert!(report.certainty.exact);
    let unavailable = report.processes[0]
        .checks
        .iter()
        .all(|c| c.verdict == Verdict::Unavailable);
    assert!(unavailable, "nothing was read");
}

#[test]
fn doubts_of_the_plan_pass_through_and_some_weigh() {
    let with = |id: &str| {
        spoilt(|ended| {
            let (text, remedy) = ("text".into(), String::new());
            ended.doubts.push(Doubt {
                id: id.into(),
                text,
                remedy,
            });
        })
    };
    assert!(with("faults-at-exit").certainty.exact);
    assert!(!with("late-exec").certainty.exact);
}

#[test]
fn the_beginning_is_needed() {
    let mut model = memtrace::model::Model::new();
    for event in &two_processes().events {
        model.apply(event.clone());
    }
    assert!(Report::of(&model).is_none());
}
