//! One process, a known number of pages: the reported peak is the workload's own arithmetic, to
//! the byte and by class.

use tests::{
    pace::paced,
    report::Report,
    runner::{Memtrace, trace_with},
    sys::memory::{huge_page_pages, page_bytes},
    truth::PagesTruth,
};

/// Traces `pages` and holds everything that the report says of its size against its truth.
#[track_caller]
fn check(args: &[&str]) -> (Report, PagesTruth) {
    let memtrace = Memtrace::with_json();
    // Where file pages count as file pages.
    let directory = memtrace.scratch.arg("");
    let args = [args, &["--dir", &directory]].concat();
    let (report, truth): (Report, PagesTruth) = trace_with(memtrace, "pages", &args);

    let peak = report.peak();
    assert_eq!(peak.level(), truth.peak, "the target's peak, {args:?}");
    assert_eq!(peak.processes, Some(1));
    let rows = report.rows(truth.pid);
    assert_eq!(
        rows.len(),
        1,
        "nothing of memtrace's own, one row for the one program"
    );
    assert_eq!(report.processes.len(), 1);
    assert_eq!(
        rows[0].peak().level(),
        truth.peak,
        "the row's peak, {args:?}"
    );
    report.assert_exact();
    report.assert_over();
    (report, truth)
}

#[test]
fn one_page_makes_the_peak() {
    let (_, truth) = check(&[]);
    assert_eq!(
        truth.peak.rss_bytes,
        truth.base.rss_bytes + page_bytes() as u64
    );
    assert_eq!(truth.seen, Some(truth.peak));
}

#[test]
fn one_page_held_for_less_than_100_microseconds_makes_the_peak() {
    let (_, truth) = check(&["--brief"]);
    assert!(truth.held_ns < paced(100_000));
}

#[test]
fn hundred_thousand_pages() {
    let (_, truth) = check(&["--anon", "99999"]);
    assert_eq!(
        truth.peak.rss_bytes - truth.base.rss_bytes,
        100_000 * page_bytes() as u64
    );
}

#[test]
fn hundred_thousand_pages_held_for_less_than_100_microseconds() {
    let (_, truth) = check(&["--anon", "99999", "--brief"]);
    assert!(truth.held_ns < paced(100_000));
}

/// Every class alone, at a size that is no multiple of anything the kernel batches by.
#[test]
fn each_class_by_itself() {
    let classes = [
        "--anon",
        "--shared",
        "--memfd",
        "--file",
        "--private-file",
        "--cow",
        "--populate",
        "--mremap",
        "--brk",
    ];
    for class in classes {
        check(&[class, "1237"]);
        check(&[class, "1237", "--brief"]);
    }
}

#[test]
fn huge_pages() {
    let (_, truth) = check(&["--thp", "5"]);
    let huge = 5 * huge_page_pages() * page_bytes();
    assert_eq!(
        truth.huge_bytes,
        Some(huge as u64),
        "the kernel gave no huge pages"
    );
    check(&["--thp", "5", "--brief"]);
}

const ALL: [&str; 20] = [
    "--anon",
    "137",
    "--shared",
    "91",
    "--memfd",
    "77",
    "--file",
    "333",
    "--private-file",
    "55",
    "--cow",
    "44",
    "--populate",
    "123",
    "--mremap",
    "111",
    "--thp",
    "3",
    "--brk",
    "65",
];

#[test]
fn all_classes_together() {
    let (_, truth) = check(&ALL);
    let grown = |of: fn(&tests::truth::Level) -> u64| of(&truth.peak) - of(&truth.base);
    let bytes = |pages: usize| (pages * page_bytes()) as u64;
    assert_eq!(grown(|level| level.shmem_bytes), bytes(91 + 77));
    assert_eq!(grown(|level| level.file_bytes), bytes(333 + 55));
    let anon = 137 + 44 + 123 + 111 + 3 * huge_page_pages() + 65 + 1;
    assert_eq!(grown(|level| level.anon_bytes), bytes(anon));
    check(&[&ALL[..], &["--brief"]].concat());
}
