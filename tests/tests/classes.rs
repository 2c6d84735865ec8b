//! Classes of memory that are no part of RSS, or a special one: each is told as its own. Real ones:
//! huge pages and a swap file of this machine, given back afterwards.

use std::fs;

use tests::{
    report::Report,
    runner::{Memtrace, Scratch, trace_with},
    sys::{memory::page_bytes, swap::Swap},
    truth::ClassesTruth,
};

fn trace(args: &[&str]) -> (Report, ClassesTruth) {
    let (report, truth): (Report, ClassesTruth) =
        trace_with(Memtrace::with_json(), "classes", args);
    assert_eq!(report.peak().level(), truth.level, "{args:?}");
    let row = report.last_row(truth.pid).peak();
    assert_eq!(row.level(), truth.level, "{args:?}");
    assert_eq!(row.swap_bytes, Some(truth.swap_bytes), "{args:?}");
    assert_eq!(row.hugetlb_bytes, Some(truth.hugetlb_bytes), "{args:?}");
    assert_eq!(report.peak().swap_bytes, Some(truth.swap_bytes));
    assert_eq!(report.peak().hugetlb_bytes, Some(truth.hugetlb_bytes));
    report.assert_exact();
    (report, truth)
}

/// More huge pages for hugetlb, as long as this lives.
struct HugePages {
    before: String,
}

const HUGE_PAGES: &str = "/proc/sys/vm/nr_hugepages";

impl HugePages {
    fn more(count: u64) -> Self {
        let before = fs::read_to_string(HUGE_PAGES).expect("hugetlb in this kernel");
        let wanted = before.trim().parse::<u64>().expect("a number") + count;
        fs::write(HUGE_PAGES, wanted.to_string()).expect("huge pages");
        let got = fs::read_to_string(HUGE_PAGES).expect("hugetlb in this kernel");
        let own = Self { before };
        assert_eq!(got.trim(), wanted.to_string(), "this machine has no room");
        own
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        fs::write(HUGE_PAGES, &self.before).expect("huge pages given back");
    }
}

#[test]
fn huge_pages_of_hugetlb_are_not_in_rss() {
    const COUNT: u64 = 4;
    let _pages = HugePages::more(COUNT);
    let (report, truth) = trace(&["--hugetlb", &COUNT.to_string(), "--anon", "600"]);
    assert_eq!(truth.hugetlb_bytes, COUNT * (2 << 20));
    // The resident set is as if they were not there.
    let (without, _) = trace(&["--anon", "600"]);
    let more = report.peak().rss_bytes.abs_diff(without.peak().rss_bytes);
    assert!(more < 1 << 20, "{more}");
}

#[test]
fn pages_in_swap_are_not_in_rss() {
    const PAGES: u64 = 3_000;
    let scratch = Scratch::default();
    let _swap = Swap::on(&scratch.path("swap"), 8 * PAGES);
    let (report, truth) = trace(&["--swapped", &PAGES.to_string(), "--anon", "600"]);
    let all = PAGES * page_bytes() as u64;
    assert!(
        truth.swap_bytes > all / 2,
        "{} of {all} went to swap",
        truth.swap_bytes
    );
    let anon = report.peak().anon_bytes.expect("told");
    assert!(anon < 2 * all, "{anon} with what is in swap");
}

#[test]
fn a_file_on_tmpfs_is_shared_memory() {
    let (_, truth) = trace(&["--tmpfs", "700", "--anon", "100"]);
    let shared = 700 * page_bytes() as u64;
    assert_eq!(truth.level.shmem_bytes, shared);
}
