//! Pages that one process faults into another: they belong to the space in which they appear.

use tests::{report::Report, runner::trace, truth::TreeTruth};

#[track_caller]
fn check(args: &[&str]) {
    let (report, truth): (Report, TreeTruth) = trace("writer", args);
    let child = report.last_row(truth.children[0].pid);
    assert_eq!(
        child.peak().rss_bytes,
        truth.children[0].peak_rss_bytes,
        "who was written to"
    );
    let parent = report.last_row(truth.parent.pid);
    assert_eq!(
        parent.peak().rss_bytes,
        truth.parent.peak_rss_bytes,
        "who wrote"
    );
    report.assert_exact();
    report.assert_over();
}

#[test]
fn process_vm_writev() {
    check(&["--written", "700", "--poked", "0"]);
}

#[test]
fn ptrace_poke() {
    check(&["--written", "0", "--poked", "300"]);
}

#[test]
fn both() {
    check(&[]);
}
