//! Many threads on two CPUs: what per-CPU counters make hard, and where sums of last-seen slots
//! report peaks that never were.

use tests::{report::Report, runner::trace, truth::ThreadsTruth};

#[track_caller]
fn check_plateau(rounds: &str, seed: u32) {
    let (report, truth): (Report, ThreadsTruth) = trace(
        "threads",
        &[
            "--threads",
            "8",
            "--rounds",
            rounds,
            "--seed",
            &seed.to_string(),
        ],
    );
    let peak = report.peak();
    assert_eq!(
        peak.rss_bytes, truth.peak_rss_bytes,
        "the target's peak, seed {seed}"
    );
    let rows = report.rows(truth.pid);
    assert_eq!((report.processes.len(), rows.len()), (1, 1));
    assert_eq!(
        rows[0].peak().rss_bytes,
        peak.rss_bytes,
        "the only space's peak, seed {seed}"
    );
    report.assert_exact();
    report.assert_over();
}

#[test]
fn plateau_of_hopping_threads_in_50_of_50_runs() {
    for seed in 1..=50 {
        check_plateau("3000", seed);
    }
}

/// The same with few changes, for machines on which a change takes long.
#[test]
fn plateau_of_threads_that_hop_less() {
    for seed in 51..=53 {
        check_plateau("200", seed);
    }
}
