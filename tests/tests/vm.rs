//! Calls that change the virtual size: counts and bytes are the workload's own log.

use tests::{
    report::{Report, Vm},
    runner::trace,
    truth::{Calls, MapperTruth},
};

fn map(args: &[&str]) -> (Report, MapperTruth) {
    let (report, truth): (Report, MapperTruth) = trace("mapper", args);
    report.assert_exact();
    (report, truth)
}

#[track_caller]
fn check(vm: &Vm, truth: &MapperTruth) {
    assert_eq!(vm.mmap, truth.mmap, "mmap");
    assert_eq!(vm.munmap, truth.munmap, "munmap");
    let grown = Calls {
        count: vm.mremap.count,
        bytes: vm.mremap.bytes,
    };
    let shrunk = Calls {
        count: vm.mremap.shrunk_count,
        bytes: vm.mremap.shrunk_bytes,
    };
    assert_eq!((grown, shrunk), (truth.grown, truth.shrunk), "mremap");
    let up = Calls {
        count: vm.brk.count,
        bytes: vm.brk.bytes,
    };
    let down = Calls {
        count: vm.brk.shrunk_count,
        bytes: vm.brk.shrunk_bytes,
    };
    assert_eq!((up, down), (truth.brk_up, truth.brk_down), "brk");
    assert_eq!(vm.other, Calls::default(), "nothing else");
}

#[test]
fn ten_thousand_rounds_equal_the_workloads_log() {
    let (report, truth) = map(&[]);
    let vm = report.phase("work").vm.expect("calls are seen");
    check(&vm, &truth);
    assert!(truth.mmap.count == 10_000 && truth.brk_up.count == 2_500);
    let row = report.last_row(truth.pid);
    assert_eq!(row.peak_vm_bytes, Some(truth.vm_peak_bytes), "VmPeak");
}

#[test]
fn growth_of_the_stack() {
    let (report, truth) = map(&["--rounds", "0", "--stack", "700"]);
    let vm = report.phase("work").vm.expect("calls are seen");
    assert!(
        truth.stack_bytes >= 500 * 4096,
        "the workload dug: {truth:?}"
    );
    assert_eq!(vm.stack.bytes, truth.stack_bytes);
    check(&vm, &truth);
}

/// What is laid over an old mapping looks as if it had been refused; it is told apart, as such.
#[test]
fn overlays_are_counted_apart() {
    let unsure = |args: &[&str]| {
        let (report, truth) = map(args);
        let vm = report.phase("work").vm.expect("calls are seen");
        check(&vm, &truth);
        let row = report.last_row(truth.pid).vm.expect("calls are seen");
        (
            row.overlays_or_refused.expect("known of a row"),
            truth.overlays,
        )
    };
    let (without, none) = unsure(&["--rounds", "1000"]);
    let (with, overlays) = unsure(&["--rounds", "1000", "--overlays"]);
    assert_eq!((none, overlays), (0, 1_000));
    assert_eq!(with - without, overlays);
}
