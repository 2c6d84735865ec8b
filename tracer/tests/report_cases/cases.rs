//! Runs worth looking at.

use memtrace::{
    event::{Doubt, EndReason, Ended, Event, Reading},
    latency::{FaultLatencies, FaultLatency},
    report::schema::Report,
};
use tracer_common::{
    latency::{FaultSums, bucket},
    record::{kind, mark},
};

use crate::{
    run::{PAGE, Run, mib, pages},
    told::report,
};

/// `true`: one small program; what it inherits is larger than what it needs.
pub(crate) fn trivial() -> Report {
    let mut run = Run::command(&["true"]);
    run.exec(1, &["true"])
        .wait(1)
        .level(1, pages(90, 260, 0))
        .wait(1)
        .exit(1, 0);
    run.wait4(900, 33 + 50 + 10 + 3);
    run.report(0)
}

/// The same, with the time of its page faults: the last of them waits.
pub(crate) fn waiting() -> Report {
    let mut run = Run::command(&["true"]);
    run.exec(1, &["true"]).wait(1).level(1, pages(90, 260, 0));
    run.wait(60).exit(1, 0);
    let took = (0..40).map(|nth| 900 + 100 * nth).chain([51_234_567]);
    let took: Vec<u64> = took.collect();
    let sums = FaultSums {
        least_ns: took[0],
        greatest_ns: took[took.len() - 1],
        lost: 1,
    };
    let counted = took.iter().map(|ns| (bucket(*ns), 1));
    let mut ended = run.ended(EndReason::TargetEnded, Some(0));
    ended.fault_latencies = Some(FaultLatencies::of(counted, [sums]));
    with_fault_latency(&run, ended, FaultLatency::Taken)
}

/// It was asked for, of a kernel that refuses.
pub(crate) fn without_fault_latency() -> Report {
    let mut run = Run::command(&["true"]);
    run.exec(1, &["true"]).wait(1).level(1, pages(90, 260, 0));
    run.wait(1).exit(1, 0);
    let ended = run.ended(EndReason::TargetEnded, Some(0));
    let why = "the kernel refuses programs at its fault handler".to_owned();
    with_fault_latency(&run, ended, FaultLatency::Unavailable { why })
}

fn with_fault_latency(run: &Run, ended: Ended, latency: FaultLatency) -> Report {
    let mut events = run.events(ended);
    if let Some(Event::Begun(begun)) = events.first_mut() {
        begun.fault_latency = latency;
    }
    report(events)
}

/// A shell that forks a child into a chain of two programs, and becomes one itself.
pub(crate) fn exec_chain() -> Report {
    let mut run = Run::command(&["sh", "-c", "stage one; exec python3 train.py"]);
    run.mark_lag = 12;
    run.exec(1, &["sh", "-c", "stage one; exec python3 train.py"]);
    run.wait(1).level(1, pages(120, 330, 0));
    let child = run.wait(1).fork(1);
    run.wait(1)
        .exec(child, &["/usr/bin/stage", "one"])
        .level(child, pages(mib(20), 500, 0));
    run.wait(2).exec(
        child,
        &["/usr/lib/stage-2", "--input", "a file with blanks.csv"],
    );
    run.level(child, pages(mib(48), 700, 120))
        .wait(3)
        .exit(child, 0);
    run.wait(1)
        .exec(1, &["python3", "train.py"])
        .level(1, pages(mib(30), 2_000, 0));
    let helper = run.wait(5).fork(1);
    run.wait(5)
        .level(1, pages(mib(128), 2_300, 0))
        .level(helper, pages(mib(64), 2_100, 0));
    run.wait(12)
        .exit(helper, 0)
        .wait(3)
        .level(1, pages(mib(80), 2_300, 0))
        .wait(3)
        .exit(1, 0);
    run.wait4((mib(128) + 2_288).unsigned_abs(), 312);
    run.read(Reading::Cgroup {
        path: "/sys/fs/cgroup/job".into(),
        file: "memory.peak".into(),
        peak_bytes: Some(240 << 20),
        strangers: 0,
        start_peak_bytes: Some(1 << 20),
    });
    run.report(0)
}

/// A program that starts others by `vfork`: one enters a program, one fails to and exits.
pub(crate) fn vfork() -> Report {
    let mut run = Run::command(&["./build"]);
    run.exec(1, &["./build"])
        .wait(1)
        .level(1, pages(mib(300), 900, 0));
    let good = run.wait(1).vfork(1);
    run.exec(good, &["cc", "-c", "größe.c"])
        .wait(2)
        .level(good, pages(mib(10), 800, 0));
    run.wait(4).exit(good, 0);
    let bad = run.wait(1).vfork(1);
    run.wait(1).exit(bad, 127 << 8).wait(1).exit(1, 1 << 8);
    run.report(1 << 8)
}

/// So many short processes that they are shown by name.
pub(crate) fn many() -> Report {
    let mut run = Run::command(&["make", "-j4"]);
    run.exec(1, &["make", "-j4"])
        .level(1, pages(mib(3), 600, 0));
    for i in 0..300_i64 {
        let name = ["cc1", "as", "ld", "sh", "gcc"][usize::try_from(i % 5).unwrap()];
        let child = run.wait(1).fork(1);
        run.exec(child, &[name, "-o", "x"])
            .level(child, pages(mib(2) + 13 * i, 700, 0));
        run.wait(1).exit(child, 0);
    }
    run.wait(1)
        .exit(1, 0)
        .wait4((mib(5) + 92).unsigned_abs(), 33 + 60 + 3 + 300 * 63);
    run.report(0)
}

/// Attached to a running process, which goes on.
pub(crate) fn attached() -> Report {
    let mut run = Run::attached(777, "server", pages(mib(200), 3_000, 40), 1_000_000);
    run.wait(10).level(1, pages(mib(260), 3_000, 40));
    let worker = run.wait(100).fork(1);
    run.wait(50)
        .level(1, pages(mib(220), 3_000, 40))
        .wait(1_000);
    for (pid, level, hwm) in [
        (777, mib(220) + 3_040, 1_000_000),
        (4244, mib(260) + 3_040, 69_600),
    ] {
        let bytes = (level * PAGE).unsigned_abs();
        run.read(Reading::Proc {
            pid,
            vm_hwm_bytes: hwm * PAGE.unsigned_abs(),
            vm_rss_bytes: bytes,
            statm_rss_bytes: bytes,
            ledger_before_bytes: bytes,
            ledger_after_bytes: if pid == 777 { bytes } else { bytes + 4096 },
        });
    }
    assert_eq!(worker, 2);
    let ended = run.ended(EndReason::Interrupted, None);
    report(run.events(ended))
}

/// Everything that can go wrong, at once.
pub(crate) fn doubtful() -> Report {
    let mut run = Run::command(&["stress", "--all"]);
    run.exec(1, &["stress", "--all"])
        .wait(1)
        .level(1, pages(mib(64), 300, 0));
    let child = run.wait(1).fork(1);
    run.wait(1).level(child, pages(mib(90), 300, 0)).wait(1);
    run.lost[kind::LEVEL as usize] = 2;
    run.lost[kind::PROCESS_FREED as usize] = 1;
    run.exit(1, 0);
    run.read(Reading::Cgroup {
        path: "/sys/fs/cgroup/shared".into(),
        file: "memory.peak".into(),
        peak_bytes: None,
        strangers: 12,
        start_peak_bytes: None,
    });
    let mut ended = run.ended(EndReason::TargetEnded, Some(0));
    ended.target.guesses = 4;
    ended.target.guess_rss = ended.target.peak.rss + 300;
    ended.target.late_rss = ended.target.peak.rss + 5;
    ended.target.ledgers_lost = 1;
    ended.missed_runs = Some([("rss_stat".to_owned(), 3)].into());
    ended.undecoded = 17;
    ended.doubts.push(Doubt {
        id: "clock-jumped".into(),
        text: "The machine slept while this ran.".into(),
        remedy: String::new(),
    });
    report(run.events(ended))
}

/// Killed at its peak.
pub(crate) fn killed() -> Report {
    let mut run = Run::command(&["./hungry", "\x1b[2Jcolour", "日本語", &"long ".repeat(40)]);
    let argv = ["./hungry", "\x1b[2Jcolour", "日本語", &"long ".repeat(40)];
    run.exec(1, &argv);
    for i in 1..200 {
        run.wait(1).level(1, pages(mib(5 * i), 300, mib(i)));
    }
    run.exit(1, 9).wait4(
        (mib(5 * 199 + 199) + 300).unsigned_abs(),
        33 + 50 + 1990 + 3,
    );
    run.report(9)
}

/// Phases of every kind: of the target, nested, of two threads, on tracks that overlap, of a child,
/// left open.
pub(crate) fn phased() -> Report {
    let mut run = Run::command(&["./train"]);
    run.exec(1, &["./train"]).level(1, pages(mib(4), 500, 0));
    run.mark(1, mark::BEGIN_TARGET, "all of it", 0)
        .begin(1, "load")
        .wait(1)
        .level(1, pages(mib(40), 500, 0))
        .begin(1, "parse, \"fast\"")
        .wait(2)
        .level(1, pages(mib(90), 500, 0))
        .end(1)
        .level(1, pages(mib(50), 500, 0))
        .wait(1)
        .end(1);
    let child = run.fork(1);
    run.exec(child, &["worker", "--one"])
        .begin(1, "train")
        .mark_in(1, 5000, mark::BEGIN, "prefetch", 0)
        .begin(child, "work")
        .wait(1)
        .level(child, pages(mib(30), 400, 0))
        .level(1, pages(mib(60), 500, 0))
        .wait(2)
        .mark_in(1, 5000, mark::END, "", 0)
        .exit(child, 0)
        .end(1);
    run.mark(1, mark::BEGIN, "task a", u64::MAX)
        .wait(1)
        .mark(1, mark::BEGIN, "task b", u64::MAX)
        .level(1, pages(mib(70), 500, 0))
        .wait(1)
        .mark(1, mark::END, "task a", u64::MAX)
        .wait(1)
        .mark(1, mark::END, "task b", u64::MAX)
        .mark(1, mark::END_TARGET, "", 0)
        .begin(1, "load")
        .wait(1)
        .exit(1, 0);
    run.report(0)
}
