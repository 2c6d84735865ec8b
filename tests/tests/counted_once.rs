//! Memory counted once where processes share it, held against page frames that are counted here.

use std::{process::Command, thread, time::Duration};

use tests::{
    proc::{self, Reader, children},
    report::PssRow,
    runner::{Memtrace, Program, Scratch, memtrace, report, workload},
};

/// Waits until a reading of one moment, with this sum, is in the capture of a run that goes on.
fn await_reading(scratch: &Scratch, rss_bytes: u64) {
    let (capture, so_far) = (scratch.path("run.mtr"), scratch.path("report.json"));
    for _ in 0..600 {
        let mut command = Command::new(memtrace());
        command
            .arg("report")
            .arg(&capture)
            .arg("--json")
            .arg(&so_far);
        let outcome = Program::start(&mut command).finish();
        // Up to its first flush the capture tells of no run.
        if outcome.code() == 0 {
            let once = report(&outcome, scratch).counted_once;
            let is_whole = |reading: &PssRow| reading.rss_bytes == rss_bytes;
            if once.error_bound_bytes.is_some() && once.reading.as_ref().is_some_and(is_whole) {
                return;
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("nothing was read in a minute of standstill");
}

#[test]
fn a_pool_that_shares_an_array_copy_on_write() {
    const WORKERS: u64 = 8;
    const MIB: u64 = 200;
    for percent in [0, 25] {
        let (written, truth) = (percent.to_string(), Scratch::default());
        let pool = workload("forkpool");
        let workers = WORKERS.to_string();
        let mib = MIB.to_string();
        let argv = [
            &pool,
            "--workers",
            &workers,
            "--mib",
            &mib,
            "--write-percent",
            &written,
            "--wait",
            "--truth",
            &truth.arg("truth.json"),
        ];
        let memtrace = Memtrace::with_json();
        let capture = memtrace.scratch.arg("run.mtr");
        let (mut memtrace, scratch) = memtrace
            .options(&["--count-once", "-o", &capture])
            .start(&argv);
        memtrace.hear_after("plateau");
        let parent = children(memtrace.pid());
        let pids = [&parent[..], &children(parent[0])].concat();
        assert_eq!(pids.len() as u64, WORKERS + 1, "the pool");
        let mut reader = Reader::default();
        let sum: u64 = pids.iter().map(|pid| reader.rss(*pid)).sum();
        await_reading(&scratch, sum);
        let frames = proc::frames(&pids);
        let anon_sum: u64 = pids.iter().map(|pid| proc::anon(*pid)).sum();
        memtrace.nudge();
        let outcome = memtrace.finish();
        outcome.assert_code(0);
        let report = report(&outcome, &scratch);

        // What the pool knows: the array once, and each worker's copies of what it wrote to.
        let array = MIB << 20;
        let copies = WORKERS * (array / 100 * percent);
        let known = array + copies;
        let own = frames.anon_bytes;
        assert!(
            own >= known && own - known < 4 << 20,
            "{own} counted, {known} known"
        );

        let once = &report.counted_once;
        let reading = once.reading.as_ref().expect("a reading");
        let bound = once.error_bound_bytes.expect("it stood still");
        assert_eq!((reading.rss_bytes, reading.processes), (sum, 9));
        let low = own.checked_sub(reading.anon_bytes);
        let low = low.unwrap_or_else(|| panic!("{} read, {own} counted", reading.anon_bytes));
        assert!(low <= bound, "{low} too low, the bound is {bound}");
        // Of files a part is shared with processes outside.
        let all = own + frames.other_bytes;
        let bytes = once.bytes.expect("a reading");
        assert!(bytes <= all && bytes + bound + frames.other_bytes >= all);

        // The sums that it stands beside are those of the same standstill.
        assert_eq!(report.peak().rss_bytes, sum);
        assert_eq!(report.peak().anon_bytes, Some(anon_sum));
        assert_eq!(reading.below_peak_bytes, Some(0));
        assert!(anon_sum >= (WORKERS + 1) * array);
    }
}

#[test]
fn without_a_reading_there_is_a_reason() {
    for (options, why) in [
        (&["--count-once"][..], "one process"),
        (&[], "--count-once"),
    ] {
        let memtrace = Memtrace::with_json().options(options);
        let (outcome, scratch) = memtrace.run(&["/bin/true"]);
        outcome.assert_code(0);
        let once = report(&outcome, &scratch).counted_once;
        assert_eq!((once.bytes, once.error_bound_bytes), (None, None));
        assert!(once.reading.is_none());
        assert!(once.why.contains(why), "{}", once.why);
    }
}
