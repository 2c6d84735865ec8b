//! The plan on described kernels: which hooks, which doubts, which refusal. Knows no kernel but
//! those that `cargo xtask kernel-facts` has written to `tracer/tests/kernels`.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use memtrace::kernel::{
    facts::{Facts, Fentry},
    plan::{Asked, MARKERS, Plan, Refusal, SYSTEM_CALLS, faults::FAULT_LATENCY},
};
use memtrace::latency::FaultLatency;
use tracer_common::layout::global;

const ASKED: Asked = Asked {
    follows_cgroup: false,
    holds_command: true,
    follow: true,
    quantum_bytes: None,
    programs_are_phases: false,
    tells_syscalls: false,
    fault_latency: false,
    ring_bytes: None,
    page_bytes: 4096,
};

/// Globals by which the kernel side behaves otherwise on one kernel than on another.
const SWITCHES: [&str; 4] = [
    global::COUNTS_BY_THREAD,
    global::EXIT_HAS_GROUP_DEAD,
    global::EXEC_OPENS_LATE,
    global::MARKS_BY_SYSCALL,
];

/// All described kernels, by the name of their file.
fn kernels() -> BTreeMap<String, Facts> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels");
    let entries = fs::read_dir(&folder).expect("a folder of kernels");
    let kernels: BTreeMap<_, _> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let text = fs::read_to_string(&path).expect("a description");
            let facts = serde_json::from_str(&text).expect("facts");
            let name = path.file_stem().expect("a name").to_string_lossy();
            (name.into_owned(), facts)
        })
        .collect();
    assert!(kernels.len() >= 5, "too few kernels are described");
    kernels
}

fn kernel(name: &str) -> Facts {
    let mut kernels = kernels();
    kernels.remove(name).expect("a described kernel")
}

fn described(plan: &Result<Plan, Refusal>) -> String {
    let plan = match plan {
        Ok(plan) => plan,
        Err(refusal) => return format!("refused: {refusal}\n"),
    };
    let mut text = String::new();
    for hook in plan.hooks() {
        let _ = writeln!(text, "{}: {}", hook.subject, hook.via);
    }
    for (name, value) in plan
        .globals
        .iter()
        .filter(|(name, _)| SWITCHES.contains(name))
    {
        let _ = writeln!(text, "{name} = {value}");
    }
    let calls = &plan.calls;
    for (what, is_called) in [
        (
            "preemption in tracepoints",
            calls.preemption_in_tracepoints.is_some(),
        ),
        ("preemption in tasks", calls.preemption_in_tasks.is_some()),
        ("cast", calls.cast.is_some()),
    ] {
        let _ = writeln!(
            text,
            "{what}: {}",
            if is_called { "called" } else { "not called" }
        );
    }
    let mut programs: Vec<_> = plan.programs.iter().map(|program| program.name).collect();
    programs.retain(|name| name.ends_with("_again"));
    let _ = writeln!(text, "second programs: {}", programs.join(" "));
    for doubt in &plan.doubts {
        let _ = writeln!(text, "doubt {}: {}", doubt.id, doubt.text);
    }
    text
}

#[test]
fn every_described_kernel_has_its_plan() {
    for (name, facts) in kernels() {
        insta::assert_snapshot!(name, described(&Plan::make(&ASKED, &facts)));
    }
}

#[test]
fn what_differs_between_processors_is_told() {
    let told = |name: &str| {
        let plan = Plan::make(&ASKED, &kernel(name)).expect("a plan");
        plan.globals.into_iter().collect::<BTreeMap<_, _>>()
    };
    let (x86_64, arm64) = (told("6.12"), told("6.12-arm64"));
    for (name, of_x86_64, of_arm64) in [
        ("SYS_MMAP", 9, 222),
        ("SYS_MUNMAP", 11, 215),
        ("SYS_MREMAP", 25, 216),
        ("SYS_BRK", 12, 214),
        ("SYS_MPROTECT", 10, 226),
        ("SYS_MADVISE", 28, 233),
        ("SYS_PRCTL", 157, 167),
        ("SYS_FACCESSAT2", 439, 439),
        // `struct pt_regs` of each: `orig_ax` and `syscallno`, `di` and `orig_x0`, `r9` and `x5`.
        ("REGS_CALL", 0x78, 0x118),
        ("REGS_FIRST", 0x70, 0x110),
        ("REGS_SIXTH", 0x40, 0x28),
        ("REGS_STACK", 0x98, 0xf8),
        (global::MODE_MASK, 0xffff, 0x10),
        (global::MODE_64_BIT, 0x33, 0),
        (global::IN_ORDER, 1, 0),
    ] {
        assert_eq!(x86_64.get(name), Some(&of_x86_64), "{name} on x86-64");
        assert_eq!(arm64.get(name), Some(&of_arm64), "{name} on arm64");
    }
    // Whoever reads them must be told of all of them.
    assert!(x86_64.keys().eq(arm64.keys()));
}

#[test]
fn system_calls_are_seen_once_they_are_asked_for() {
    let asked = Asked {
        tells_syscalls: true,
        ..ASKED
    };
    let facts = kernel("development");
    let with = |asked| {
        let plan = Plan::make(asked, &facts).expect("a plan");
        plan.programs
            .iter()
            .any(|program| program.name == "sys_exit")
    };
    assert!(!with(&ASKED) && with(&asked));
}

/// The plan of each kernel with the time of faults, as far as that is in it.
#[test]
fn the_time_of_faults_is_taken_where_the_kernel_accepts_programs_at_functions() {
    let asked = Asked {
        fault_latency: true,
        ..ASKED
    };
    let mut text = String::new();
    for (name, facts) in kernels() {
        let Ok(plan) = Plan::make(&asked, &facts) else {
            continue;
        };
        let without = Plan::make(&ASKED, &facts).expect("a plan");
        assert_eq!(without.fault_latency, FaultLatency::NotAsked);
        let times_faults = |plan: &Plan| {
            let mut programs = plan.at_functions.iter();
            programs.any(|program| program.subject == FAULT_LATENCY)
        };
        assert!(!times_faults(&without));
        let hooks = plan.hooks();
        let added = hooks.iter().filter(|hook| !without.hooks().contains(hook));
        let added: Vec<_> = added.map(|hook| hook.via.as_str()).collect();
        let _ = writeln!(text, "{name}: {:?} {added:?}", plan.fault_latency);
    }
    insta::assert_snapshot!("fault_latency", text);
}

#[test]
fn without_a_fault_handler_in_the_type_data_its_time_is_not_taken() {
    let mut facts = kernel("6.18");
    facts.functions.remove("handle_mm_fault");
    let asked = Asked {
        fault_latency: true,
        ..ASKED
    };
    let plan = Plan::make(&asked, &facts).expect("a plan");
    assert_eq!(plan.at_functions, []);
    let FaultLatency::Unavailable { why } = plan.fault_latency else {
        panic!("{plan:?}");
    };
    assert!(why.contains("type data lack"), "{why}");
}

#[test]
fn markers_are_seen_where_it_costs_least() {
    let markers = |facts: &Facts| {
        let hooks = Plan::make(&ASKED, facts).expect("a plan").hooks();
        let hook = hooks
            .into_iter()
            .find(|hook| hook.subject == MARKERS || hook.subject == SYSTEM_CALLS);
        hook.expect("a hook for markers").via
    };
    let mut facts = kernel("6.18");
    assert_eq!(markers(&facts), "tp_btf/task_prctl_unknown");
    facts.tracepoints.remove("task_prctl_unknown");
    assert_eq!(markers(&facts), "fentry/security_task_prctl");
    facts.fentry = None;
    assert_eq!(markers(&facts), "tp_btf/sys_exit");
}

#[test]
fn a_kernel_that_may_skip_programs_and_cannot_be_kept_from_it_is_doubted() {
    let mut facts = kernel("7.3");
    let doubts = |facts: &Facts| Plan::make(&ASKED, facts).expect("a plan").doubts;
    assert_eq!(doubts(&facts), []);
    facts.functions.remove("bpf_preempt_enable");
    let ids: Vec<_> = doubts(&facts).into_iter().map(|doubt| doubt.id).collect();
    assert_eq!(ids, ["preempted"]);
}

#[test]
fn a_kernel_without_a_tracepoint_that_all_rests_on_is_refused() {
    for name in [
        "task_newtask",
        "sched_process_exit",
        "exit_mmap",
        "rss_stat",
    ] {
        let mut facts = kernel("development");
        facts.tracepoints.remove(name);
        let refusal = Plan::make(&ASKED, &facts).expect_err("a refusal");
        let is_named =
            matches!(&refusal, Refusal::Tracepoint { name: named, .. } if *named == name);
        assert!(is_named, "{refusal}");
    }
}

#[test]
fn counters_of_another_kind_are_refused_by_their_name() {
    for counters in [("percpu_counter_tree", 4), ("percpu_counter", 5)] {
        let mut facts = kernel("development");
        facts.rss_stat = Some((counters.0.to_owned(), counters.1));
        let refusal = Plan::make(&ASKED, &facts)
            .expect_err("a refusal")
            .to_string();
        let found = format!("{} x {}", counters.1, counters.0);
        assert!(refusal.contains(&found), "{refusal}");
    }
}

#[test]
fn counts_of_threads_need_programs_at_functions() {
    let mut facts = kernel("6.1");
    let why = "Operation not permitted".to_owned();
    facts.fentry = Some(Fentry::Refused { why: why.clone() });
    let refusal = Plan::make(&ASKED, &facts).expect_err("a refusal");
    assert!(
        matches!(&refusal, Refusal::CountsByThread { obstacle, .. } if obstacle.starts_with(&why)),
        "{refusal}"
    );
    facts.fentry = Some(Fentry::Accepted);
    facts.functions.remove("sync_mm_rss");
    let refusal = Plan::make(&ASKED, &facts).expect_err("a refusal");
    assert!(refusal.to_string().contains("sync_mm_rss"), "{refusal}");
}

#[test]
fn an_exec_is_seen_at_a_function_where_no_tracepoint_shows_it_and_else_late() {
    let mut facts = kernel("6.18");
    facts.tracepoints.remove("sched_prepare_exec");
    let plan = Plan::make(&ASKED, &facts).expect("a plan");
    let vias: Vec<_> = plan.hooks().into_iter().map(|hook| hook.via).collect();
    assert!(
        vias.contains(&"fentry/begin_new_exec".to_owned()),
        "{vias:?}"
    );
    assert_eq!(plan.doubts, []);
    facts.fentry = None;
    let plan = Plan::make(&ASKED, &facts).expect("a plan");
    assert!(plan.globals.contains(&(global::EXEC_OPENS_LATE, 1)));
    let ids: Vec<_> = plan.doubts.iter().map(|doubt| doubt.id.as_str()).collect();
    assert_eq!(ids, ["late-exec"]);
}

#[test]
fn a_field_that_must_be_read_is_named_where_it_is_missing() {
    let mut facts = kernel("development");
    facts.offsets.remove("percpu_counter.lock");
    let refusal = Plan::make(&ASKED, &facts).expect_err("a refusal");
    assert!(
        refusal.to_string().contains("percpu_counter.lock"),
        "{refusal}"
    );
}

#[test]
fn too_many_cpus_are_refused() {
    let mut facts = kernel("development");
    facts.cpus = 100_000;
    let refusal = Plan::make(&ASKED, &facts).expect_err("a refusal");
    assert_eq!(refusal, Refusal::TooManyCpus { cpus: 100_000 });
}
