//! Judgements of made-up runs whose timelines are known.

use memtrace::{
    capture::{Destination, Writer},
    event::{EndReason, Event, Reading},
    judge::{
        Others,
        import::{Epoch, Imported, Measure},
        judge,
        schema::{ByError, Judgement, Kind},
    },
    render::JudgeFormat,
};
use proptest::prelude::*;
use tracer_common::record::kind;

use crate::{
    random::{end, live, names, steps},
    run::{PAGE, Run, START, TICK, mib, pages},
};

/// Judges a run by way of its capture.
fn judged(events: &[Event], imported: &[Imported]) -> Judgement {
    let others = Others {
        imported,
        ..Others::default()
    };
    judged_with(events, others)
}

/// The same with whatever else is known of it.
pub(crate) fn judged_with(events: &[Event], others: Others<'_>) -> Judgement {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.mtr");
    let destination = Destination::open(&path).expect("a file");
    let mut writer = Writer::start(destination).expect("a writer");
    let Some((Event::Ended(ended), events)) = events.split_last() else {
        panic!("a run has an end");
    };
    events.iter().for_each(|event| writer.push(event));
    writer.finish(ended).expect("a capture");
    judge(&path, others).expect("a judgement")
}

pub(crate) fn ending(run: &Run) -> Vec<Event> {
    run.events(run.ended(EndReason::TargetEnded, Some(0)))
}

fn text(judgement: &Judgement) -> String {
    let mut bytes = Vec::new();
    JudgeFormat::Text
        .write(judgement, false, &mut bytes)
        .expect("text");
    String::from_utf8(bytes).expect("UTF-8")
}

/// One process: half a second at 10 MiB, 30 ms at 100 MiB, half a second at 10 MiB.
fn spike() -> Run {
    let mut run = Run::command(&["./spike"]);
    run.exec(1, &["./spike"]).level(1, pages(mib(10), 0, 0));
    run.wait(50).level(1, pages(mib(100), 0, 0));
    run.wait(3).level(1, pages(mib(10), 0, 0));
    run.wait(50).exit(1, 0);
    run
}

/// Two processes: the parent with 100 MiB all the time, the child with 60 MiB for 200 ms.
pub(crate) fn tree() -> Run {
    let mut run = Run::command(&["./tree"]);
    run.exec(1, &["./tree"]).level(1, pages(mib(100), 500, 0));
    let child = run.wait(20).vfork(1);
    run.exec(child, &["./child"])
        .level(child, pages(mib(60), 500, 0));
    run.wait(20).exit(child, 0).wait(40).exit(1, 0);
    run
}

fn misses(judgement: &Judgement, ms: f64) -> [f64; 4] {
    let mut intervals = judgement.of_target.intervals.iter();
    let interval = intervals.find(|interval| interval.ms == ms);
    interval.expect("on the ladder").p_miss.0
}

#[test]
fn a_spike_is_missed_as_often_as_arithmetic_says() {
    let judgement = judged(&ending(&spike()), &[]);
    for (ms, missed) in [
        (10.0, 0.0),
        (20.0, 0.0),
        (50.0, 0.4),
        (100.0, 0.7),
        (500.0, 0.94),
    ] {
        for p in misses(&judgement, ms) {
            // The made-up clock adds a few nanoseconds, one for each record.
            assert!((p - missed).abs() < 1e-6, "{ms} ms: {p}, not {missed}");
        }
    }
    // Half of those every 50 ms see it; one in ten is off by all that is missing.
    let of = |ms: f64| {
        judgement
            .of_target
            .intervals
            .iter()
            .find(|i| i.ms == ms)
            .unwrap()
    };
    assert_eq!(
        (of(50.0).error_pct.p50, of(50.0).error_pct.p90),
        (0.0, 90.0)
    );
    // It lives a good second: every 10 s, nine in ten never look.
    assert!((of(10_000.0).p_nothing - 0.897).abs() < 1e-3);
    assert_eq!(of(10_000.0).error_pct.max, 100.0);
    let [need, ..] = &judgement.of_target.needs.0;
    // 1 - 30 / d is one in twenty at 31.58 ms.
    assert_eq!((need.ms, need.too_long_ms), (Some(30.0), Some(32.0)));
    assert!((need.never_missed_ms - 30.0).abs() < 1e-3);
    // The quantum: 1/256 of the peak.
    assert_eq!(judgement.bound_bytes, Some(100 << 12));
    assert_eq!(judgement.processes.len(), 1);
    let row = &judgement.processes[0].pollers.intervals;
    assert_eq!(row[5].p_miss, judgement.of_target.intervals[5].p_miss);
}

#[test]
fn the_conclusion_comes_first() {
    let text = text(&judged(&ending(&spike()), &[]));
    let first: Vec<_> = text
        .split("\n\n")
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(
        first.join(" "),
        "judgement A poller every 500 ms misses more than 5 % of this peak in 94.0 % of its runs. \
         To stay within 5 % in 95 % of runs, poll every 30 ms or faster."
    );
}

#[test]
fn lost_history_leaves_no_bound() {
    let mut run = spike();
    run.lost[kind::LEVEL as usize] = 1;
    let judgement = judged(&ending(&run), &[]);
    assert_eq!(judgement.bound_bytes, None);
    assert!(judgement.of_target.intervals[0].p_miss_most.is_none());
    assert!(
        judgement
            .doubts
            .iter()
            .any(|doubt| doubt.id == "judged-with-gaps")
    );
}

fn imported(measure: Measure, peak_bytes: u64) -> Imported {
    Imported {
        name: "tool".into(),
        measure,
        pid: None,
        peak_bytes,
        step_bytes: 1,
        nominal_ns: None,
        epoch: Epoch::Own,
        samples: Vec::new(),
    }
}

/// A tool that looks at these levels every so many ticks, with a clock that is late, in ns.
fn looking(every: u64, late_ns: u64, level: impl Fn(u64) -> i64) -> Imported {
    let samples: Vec<_> = (0..100)
        .step_by(every as usize)
        .map(|tick| {
            let bytes = (level(tick) * PAGE).unsigned_abs();
            let at_ns = START + tick * TICK + TICK / 2 - late_ns;
            (at_ns.cast_signed(), bytes)
        })
        .collect();
    let peak_bytes = samples.iter().map(|sample| sample.1).max().unwrap_or(0);
    Imported {
        epoch: Epoch::Boot,
        samples,
        ..imported(Measure::Polled, peak_bytes)
    }
}

const MIB: u64 = 1 << 20;

#[test]
fn a_poller_that_missed_the_spike_is_told_how_likely_that_was() {
    let spike = spike();
    let blind = looking(10, 0, |_| mib(10));
    let judgement = judged(&ending(&spike), &[blind]);
    let tool = &judgement.tools[0];
    assert_eq!(tool.kind, Kind::MissedSpike);
    assert!((tool.error_pct + 90.0).abs() < 1e-9);
    assert!(tool.why.contains("every 100 ms, 70 %"), "{}", tool.why);
    assert_eq!((tool.same_run, tool.interval_ms), (Some(true), Some(100.0)));
    // One that looks every 20 ms cannot have missed it.
    let judgement = judged(&ending(&spike), &[looking(2, 0, |_| mib(10))]);
    assert_eq!(judgement.tools[0].kind, Kind::Unexplained);
}

#[test]
fn a_tool_that_follows_one_process_missed_the_other() {
    let parent = looking(1, 30_000_000, |tick| match tick {
        0..80 => mib(100) + 500,
        _ => 0,
    });
    let judgement = judged(&ending(&tree()), &[parent]);
    let tool = &judgement.tools[0];
    assert_eq!(tool.kind, Kind::MissedProcess);
    assert_eq!(tool.follows.as_deref(), Some("PID 4242 (tree)"));
    let clock = tool.clock.as_ref().expect("a clock");
    let (shift, bound) = (clock.shift_ms.unwrap(), clock.shift_bound_ms.unwrap());
    assert!((shift - 30.0).abs() <= bound && bound < 11.0, "{clock:?}");
}

#[test]
fn every_kind_of_error_is_named_where_the_run_shows_it() {
    let pages_of = |pages: i64| (pages * PAGE).unsigned_abs();
    let parent = pages_of(mib(100) + 500);
    let both = pages_of(mib(160) + 1_000);
    for (measure, bytes, kind) in [
        (Measure::MaxRss, parent, Kind::MissedProcess),
        (Measure::MaxRss, both, Kind::None),
        (Measure::MaxRss, both + 50 * MIB, Kind::Unexplained),
        (Measure::MaxRss, parent - 10 * MIB, Kind::Unexplained),
        (Measure::Heap, 90 * MIB, Kind::HeapNotResident),
        (Measure::Container, both + 50 * MIB, Kind::CacheCounted),
        (Measure::Container, parent, Kind::Unexplained),
        (Measure::Polled, both + 100 * MIB, Kind::Unexplained),
        (Measure::Polled, both + MIB / 2, Kind::KernelInexactness),
        // Nobody knows how often it looks.
        (Measure::Polled, parent, Kind::Unexplained),
    ] {
        let judgement = judged(&ending(&tree()), &[imported(measure, bytes)]);
        assert_eq!(judgement.tools[0].kind, kind, "{measure:?} {bytes}");
    }
    let single = pages_of(mib(100));
    let mark = imported(Measure::MaxRss, single - 200 * 1024);
    let judgement = judged(&ending(&spike()), &[mark]);
    assert_eq!(judgement.tools[0].kind, Kind::KernelInexactness);

    // The holder had 900 pages before its exec, `true` needs fewer.
    let mut inherits = Run::command(&["true"]);
    inherits
        .exec(1, &["true"])
        .level(1, pages(90, 260, 0))
        .wait(1)
        .exit(1, 0);
    inherits.wait4(900, 60);
    let mark = imported(Measure::MaxRss, pages_of(900));
    let judgement = judged(&ending(&inherits), &[mark]);
    assert_eq!(judgement.tools[0].kind, Kind::Inherited);

    // Its own cgroup was never charged for all that its processes have mapped.
    let mut shares = tree();
    shares.read(Reading::Cgroup {
        path: "/job".into(),
        file: "memory.peak".into(),
        peak_bytes: Some(120 * MIB),
        strangers: 0,
        start_peak_bytes: None,
    });
    let container = imported(Measure::Container, 110 * MIB);
    let judgement = judged(&ending(&shares), &[container]);
    assert_eq!(judgement.tools[0].kind, Kind::DoubleCountedSharing);
}

#[test]
fn a_process_that_the_run_does_not_have_explains_nothing() {
    let child = Imported {
        pid: Some(4244),
        ..imported(Measure::Polled, 60 * MIB)
    };
    let stranger = Imported {
        pid: Some(7),
        ..child.clone()
    };
    let judgement = judged(&ending(&tree()), &[child, stranger]);
    let [child, stranger] = judgement.tools.as_slice() else {
        panic!("{:?}", judgement.tools);
    };
    assert_eq!(child.against, "PID 4244 (child)");
    assert!((-4.0..-1.0).contains(&child.error_pct), "{child:?}");
    assert_eq!(
        (stranger.kind, stranger.against.as_str()),
        (Kind::Unexplained, "target")
    );
    assert!(
        judgement
            .doubts
            .iter()
            .any(|doubt| doubt.id == "imports-without-date")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever happens, a judgement is probabilities that agree with each other, and a page.
    #[test]
    fn any_run_is_judged_soundly(steps in steps(), names in names()) {
        let run = live(&steps, &names);
        let judgement = judged(&run.events(end(&run, &names)), &[]);
        for interval in &judgement.of_target.intervals {
            let ByError(p) = interval.p_miss;
            prop_assert!(p.is_sorted_by(|a, b| a >= b), "{interval:?}");
            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
            prop_assert!(interval.p_nothing <= p[3]);
            let e = interval.error_pct;
            prop_assert!(e.p50 <= e.p90 && e.p90 <= e.max);
            if let (Some(least), Some(most)) = (&interval.p_miss_least, &interval.p_miss_most) {
                let bounds = least.0.iter().zip(&most.0);
                prop_assert!(bounds.zip(&p).all(|((least, most), p)| least <= p && p <= most));
            }
        }
        let text = text(&judgement);
        for line in text.lines() {
            let width = unicode_width::UnicodeWidthStr::width(line);
            prop_assert!(width <= 80, "{width}: {line}");
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            prop_assert_eq!(line.trim_end(), line);
        }
    }
}

/// A phase of 200 ms around the spike of 30 ms: pollers of the phase begin with it.
#[test]
fn a_phase_is_judged_by_itself() {
    let mut run = Run::command(&["./spike"]);
    run.exec(1, &["./spike"]).level(1, pages(mib(10), 0, 0));
    run.wait(50).begin(1, "step").wait(10);
    run.level(1, pages(mib(100), 0, 0)).wait(3);
    run.level(1, pages(mib(10), 0, 0)).wait(7).end(1);
    run.wait(50).exit(1, 0);
    let judgement = judged(&ending(&run), &[]);
    let [phase] = &judgement.phases[..] else {
        panic!("{} phases", judgement.phases.len())
    };
    assert_eq!(
        (phase.name.as_str(), phase.pollers.peak_bytes),
        ("step", 100 << 20)
    );
    let missed = |ms: f64| {
        let mut told = phase.pollers.intervals.iter();
        told.find(|told| told.ms == ms).unwrap().p_miss.0[1]
    };
    for (ms, expected) in [(20.0, 0.0), (50.0, 0.4), (100.0, 0.7), (500.0, 0.94)] {
        assert!((missed(ms) - expected).abs() < 1e-6, "{ms}: {}", missed(ms));
    }
    assert!(text(&judgement).contains("step"));
}
