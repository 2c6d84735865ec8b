//! Kernels that lack a tracepoint, played on one that has it: another hook says the same, or the
//! report says what is lost.

use tests::{
    report::{Report, Vm},
    runner::{Memtrace, trace_with},
    sys::{memory::page_bytes, process::may_be_traced},
    truth::{MapperTruth, TreeTruth},
};

const LOCK: [&str; 2] = ["mmap_lock_acquire_returned", "mmap_lock_released"];

/// What serves a subject.
fn serving<'a>(report: &'a Report, subject: &str) -> Vec<&'a str> {
    let hooks = report.certainty.hooks.iter();
    let serving = hooks.filter(|hook| hook.subject == subject);
    serving.map(|hook| &*hook.via).collect()
}

/// A workload that allocates, does the like again in a child, and enters a program.
#[track_caller]
fn play(without: &[&str]) -> Report {
    let words = "begin:load touch:700 begin:inner touch:300 drop end drop end:load child:400";
    let words: Vec<&str> = ["--"].into_iter().chain(words.split(' ')).collect();
    let memtrace = Memtrace::with_json().without(without);
    let (report, truth): (Report, TreeTruth) = trace_with(memtrace, "phaser", &words);
    if report.doubts("late-exec") {
        assert!(
            !report.certainty.exact,
            "what an exec begins with is not seen"
        );
    } else {
        report.assert_exact();
    }
    report.assert_over();
    let grown = |name| report.phase(name).growth() / page_bytes() as u64;
    assert_eq!((grown("load"), grown("inner")), (1_000, 300));
    let together = truth.together_rss_bytes.expect("both stood still");
    assert!(report.peak().rss_bytes >= together);
    report
}

/// What both kinds of hooks tell of the work, and the peak of the virtual size.
fn map(without: &[&str]) -> (Report, Option<Vm>, MapperTruth) {
    let memtrace = Memtrace::with_json().without(without);
    let args = ["--rounds", "2000", "--stack", "300", "--overlays"];
    let (report, truth): (Report, MapperTruth) = trace_with(memtrace, "mapper", &args);
    report.assert_exact();
    let vm = report.phase("work").vm;
    (report, vm, truth)
}

#[test]
fn virtual_memory_by_functions_is_that_by_the_lock() {
    let (report, by_functions, truth) = map(&LOCK);
    if !may_be_traced("mmap_region") {
        assert!(by_functions.is_none() && report.doubts("no-virtual-memory"));
        return;
    }
    let hooks = serving(&report, "virtual memory");
    assert!(hooks.contains(&"fexit/mmap_region"), "{hooks:?}");
    assert!(report.doubts("virtual-memory-by-calls"));
    let peak = report.last_row(truth.pid).peak_vm_bytes;
    assert_eq!(peak, Some(truth.vm_peak_bytes), "VmPeak");
    let of_process = report.last_row(truth.pid).vm.expect("calls are seen");

    let (report, by_default, again) = map(&[]);
    let seen = [by_functions, by_default].map(|vm| vm.expect("calls are seen"));
    // Where the stack begins is another matter in each run.
    let stacks = [truth, again].map(|truth| truth.stack_bytes);
    assert_eq!(seen.map(|vm| vm.stack.bytes), stacks);
    // Of the whole process, too, down to its loader.
    let all = report.last_row(again.pid).vm.expect("calls are seen");
    let told = |vm: &Vm| {
        let placed = (vm.mmap, vm.munmap, vm.overlays_or_refused);
        (placed, vm.mremap, vm.brk)
    };
    for [by_functions, by_default] in [seen, [of_process, all]] {
        assert_eq!(told(&by_functions), told(&by_default));
        assert!(by_functions.mmap.count >= 2_000);
    }
}

#[test]
fn markers_without_their_tracepoint() {
    let report = play(&["task_prctl_unknown"]);
    if may_be_traced("security_task_prctl") {
        let hooks = serving(&report, "phase markers");
        assert_eq!(hooks, ["fentry/security_task_prctl"]);
    } else {
        assert_eq!(serving(&report, "system calls"), ["tp_btf/sys_exit"]);
    }
}

#[test]
fn execs_without_a_hook_before_them() {
    let report = play(&["sched_prepare_exec"]);
    let is_late = report.doubts("late-exec");
    let hooks = serving(&report, "entry of a program");
    let function: &[&str] = &["fentry/begin_new_exec"];
    if may_be_traced("begin_new_exec") {
        assert!(hooks == function && !is_late, "{hooks:?}");
    } else {
        assert!(hooks.is_empty() && is_late, "{hooks:?}");
    }
}

#[test]
fn what_is_lost_is_said() {
    assert!(play(&["sched_process_free"]).doubts("faults-at-exit"));
    assert!(play(&["mark_victim"]).doubts("no-oom"));
    let none = play(&[]);
    for id in ["faults-at-exit", "no-oom"] {
        assert!(!none.doubts(id), "{id}");
    }
}
