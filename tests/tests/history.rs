//! What happened, and when: nothing that the quantum lets through is missing from the history, and
//! what is lost is counted and touches no peak.

use tests::{
    report::Report,
    runner::{Memtrace, trace_with},
    truth::{PagesTruth, SpikesTruth, ThreadsTruth},
};

/// Highest level of each stretch of the target's timeline that lies above `bytes`.
fn summits_above(report: &Report, bytes: i64) -> Vec<i64> {
    let points = &report.timeline.points;
    points
        .chunk_by(|a, b| (a.1 > bytes) == (b.1 > bytes))
        .filter_map(|stretch| stretch.iter().map(|point| point.1).max())
        .filter(|highest| *highest > bytes)
        .collect()
}

/// Twenty spikes of 2 MiB, each held for less than half a millisecond.
#[track_caller]
fn check_spikes(options: &[&str]) {
    let memtrace = Memtrace::with_json().options(options);
    let (report, truth): (Report, SpikesTruth) = trace_with(memtrace, "spikes", &[]);
    report.assert_exact();
    report.assert_over();
    assert_eq!(report.peak().rss_bytes, truth.peak_rss_bytes);

    let (base, peak) = (truth.base_rss_bytes as i64, truth.peak_rss_bytes as i64);
    let least = peak - report.certainty.stream.allowed_bytes as i64;
    let summits = summits_above(&report, (base + peak) / 2);
    assert_eq!(summits.len(), truth.held_ns.len(), "{summits:?}");
    for summit in summits {
        assert!(
            (least..=peak).contains(&summit),
            "{summit} is not within {least} and {peak}"
        );
    }
}

#[test]
fn twenty_short_spikes_are_all_in_the_timeline() {
    check_spikes(&[]);
}

#[test]
fn twenty_short_spikes_to_the_byte_with_every_change() {
    check_spikes(&["--quantum", "0"]);
}

#[test]
fn two_million_faults_of_four_threads_with_nothing_lost() {
    let memtrace = Memtrace::with_json().options(&["--quantum", "0"]);
    let args = ["--threads", "4", "--pages", "4096", "--rounds", "21000"];
    let (report, truth): (Report, ThreadsTruth) = trace_with(memtrace, "threads", &args);
    assert!(truth.touched > 2_000_000, "no storm: {truth:?}");
    let faults = report
        .last_row(truth.pid)
        .faults
        .expect("of a row that ended");
    assert!(
        faults.minor >= truth.touched,
        "a touched page without a fault: {faults:?}, {truth:?}"
    );

    report.assert_exact();
    report.assert_over();
    assert_eq!(report.peak().rss_bytes, truth.peak_rss_bytes);
    let stream = report.certainty.stream;
    assert_eq!(stream.allowed_bytes, 0);
    assert_eq!(stream.max_rss_bytes, Some(truth.peak_rss_bytes));
    let last = report.timeline.points.last().expect("a timeline");
    assert_eq!(last.1, 0, "the last level");
}

#[test]
fn ring_too_small_costs_history_that_is_counted_and_no_peak() {
    let memtrace = Memtrace::with_json().options(&["--quantum", "0", "--ring", "4KiB"]);
    let directory = memtrace.scratch.arg("");
    let args = ["--anon", "50000", "--dir", &directory];
    let (report, truth): (Report, PagesTruth) = trace_with(memtrace, "pages", &args);
    assert_eq!(report.peak().level(), truth.peak);
    assert_eq!(report.last_row(truth.pid).peak().level(), truth.peak);
    report.assert_over();

    let certainty = &report.certainty;
    assert!(certainty.exact, "{certainty:?}");
    assert_eq!(certainty.peak_error_bound_bytes, Some(0));
    assert_eq!(certainty.stream.agrees, None, "of a stream with gaps");
    // Every page of the climb moved the level, up and down again in batches.
    let (emitted, lost) = (certainty.events, certainty.events_lost);
    assert!(emitted + lost > 50_000, "{emitted} emitted, {lost} lost");
    assert!(emitted < 50_000, "nothing of 4 KiB holds {emitted} records");
    // Of each kind of record, all that found room were read.
    for records in &certainty.records {
        assert_eq!(records.read, records.emitted, "{records:?}");
    }
    let by_kind: u64 = certainty.records.iter().map(|records| records.lost).sum();
    assert_eq!(by_kind, lost);
    assert_eq!(certainty.lost_by_cpu.iter().sum::<u64>(), lost);
    let [history, calls] = &certainty.doubts[..] else {
        panic!("other doubts: {certainty:?}")
    };
    assert_eq!(
        (history.id.as_str(), calls.id.as_str()),
        ("history-lost", "calls-lost")
    );
    assert!(history.remedy.contains("--ring"), "{}", history.remedy);
}
