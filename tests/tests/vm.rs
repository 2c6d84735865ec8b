//! Calls that change the virtual size: counts and bytes are the workload's own log.

use tests::{
    report::{CallRow, CallsBothWays, Outcomes, Report, Syscalls, Vm},
    runner::{Memtrace, report, trace, trace_with, workload},
    truth::{Calls, MapperTruth},
};

fn map(args: &[&str]) -> (Report, MapperTruth) {
    let (report, truth): (Report, MapperTruth) = trace("mapper", args);
    report.assert_exact();
    (report, truth)
}

/// Those to more, and those to less.
fn both_ways(calls: &CallsBothWays) -> (Calls, Calls) {
    let more = Calls {
        count: calls.count,
        bytes: calls.bytes,
    };
    let less = Calls {
        count: calls.shrunk_count,
        bytes: calls.shrunk_bytes,
    };
    (more, less)
}

#[track_caller]
fn check(vm: &Vm, truth: &MapperTruth) {
    assert_eq!(vm.mmap, truth.mmap, "mmap");
    assert_eq!(vm.munmap, truth.munmap, "munmap");
    let remapped = (truth.grown, truth.shrunk);
    assert_eq!(both_ways(&vm.mremap), remapped, "mremap");
    let moved = (truth.brk_up, truth.brk_down);
    assert_eq!(both_ways(&vm.brk), moved, "brk");
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

/// Asked for by name, calls are told apart by what they gave, overlays and refusals too.
#[test]
fn system_calls_by_name() {
    let told = |args: &[&str]| {
        let memtrace = Memtrace::with_json().options(&["--syscalls"]);
        let (report, truth): (Report, MapperTruth) = trace_with(memtrace, "mapper", args);
        report.assert_exact();
        let row = report.last_row(truth.pid).syscalls.expect("asked for");
        (report, row, truth)
    };
    let (_, none, _) = told(&["--rounds", "0"]);
    let (report, all, truth) = told(&["--rounds", "1000", "--overlays", "--refused"]);
    let more = |of: fn(&Syscalls) -> Outcomes| {
        let (none, all) = (of(&none), of(&all));
        (all.succeeded - none.succeeded, all.failed - none.failed)
    };
    let mapped = truth.mmap.count + truth.overlays;
    assert_eq!(more(|calls| calls.mmap), (mapped, truth.refused));
    assert_eq!(more(|calls| calls.munmap), (truth.munmap.count, 0));
    let remapped = truth.grown.count + truth.shrunk.count;
    assert_eq!(more(|calls| calls.mremap), (remapped, 0));
    // `sbrk` asks the C library, which knows the break: one call up and one down.
    let moved = truth.brk_up.count + truth.brk_down.count;
    assert_eq!(more(|calls| calls.brk), (moved, 0));
    let calls = report.calls.expect("asked for");
    // Nonsense is refused, too, but not for want of memory.
    assert!(report.refusals.is_none());
    let refused = |call: &&CallRow| call.call == "mmap" && call.error == Some(libc::EINVAL);
    let found: Vec<&CallRow> = calls.iter().filter(refused).collect();
    assert_eq!(found.len() as u64, truth.refused);
    assert!(found.iter().all(|call| call.arguments[1] == "0x0"));
    assert!(
        found
            .iter()
            .all(|call| call.pid == Some(truth.pid) && call.result.is_none())
    );
}

#[test]
fn memory_that_is_refused_is_told_with_the_limit_that_refused_it() {
    let greedy = workload("greedy");
    let limited = format!("ulimit -v 1000000; exec {greedy} --mib 2048");
    let immense = format!("exec {greedy} --mib 67108864");
    for (script, mib, why) in [
        (limited, 2048, "976.6MiB (ulimit -v)"),
        (immense, 1 << 26, "overcommit"),
    ] {
        let memtrace = Memtrace::with_json().options(&["--syscalls"]);
        let (outcome, scratch) = memtrace.run(&["/bin/sh", "-c", &script]);
        outcome.assert_code(0);
        let report = report(&outcome, &scratch);
        let refusals = report.refusals.as_ref().expect("refusals");
        assert_eq!((refusals.count, refusals.bytes), (2, mib << 20));
        assert_eq!(
            (refusals.call.as_str(), refusals.comm.as_str()),
            ("mmap", "greedy")
        );
        assert!(refusals.why.contains(why), "{}", refusals.why);
        assert!(report.oom.iter().all(|oom| !oom.of_target));
    }
}
