//! `memtrace check`: what this kernel and user allow, which hook serves what, how far the figures
//! can be wrong, and the command that mends what is missing.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    host,
    kernel::{
        attach::{Live, object},
        facts::Facts,
        plan::{
            Asked, Plan,
            faults::{self, FAULT_LATENCY},
        },
        privilege,
    },
    render::text::wrap,
};

const MOUNT_SECURITYFS: &str = "mount -t securityfs securityfs /sys/kernel/security";

/// The text, and whether tracing is possible.
pub fn describe() -> (String, bool) {
    let mut text = format!(
        "memtrace {}: what can be traced here\n\n",
        env!("CARGO_PKG_VERSION")
    );
    let held = privilege::effective();
    let facts = Facts::of_running_kernel();
    let mut problems: Vec<String> = Vec::new();
    if let Ok(facts) = &facts {
        line(
            &mut text,
            "kernel",
            &format!(
                "{} ({}), {}",
                facts.release,
                std::env::consts::ARCH,
                cpus(facts.cpus)
            ),
        );
    }
    line(
        &mut text,
        "type data",
        match &facts {
            Ok(_) => "BTF is there (/sys/kernel/btf/vmlinux)",
            Err(_) => "missing",
        },
    );
    let lockdown = lockdown(facts.as_ref().ok());
    line(&mut text, "lockdown", &lockdown);
    line(&mut text, "privilege", &capabilities(&held));
    if let Err(missing) = privilege::check(&held) {
        problems.push(missing.to_string());
    }
    match &facts {
        Ok(facts) => {
            line(&mut text, "cgroup", &format!("memory controller: {}", facts.cgroup));
            hooks(&mut text, facts, problems.is_empty(), &mut problems);
        }
        Err(error) => problems.push(format!(
            "{error}. Boot a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian, Ubuntu 20.10, Fedora 31, \
             RHEL 8.2 and later have it)"
        )),
    }
    text.push('\n');
    if problems.is_empty() {
        text.push_str("Everything that memtrace needs is here. Try: memtrace -- true\n");
    } else {
        text.push_str("memtrace cannot trace here:\n");
        for problem in &problems {
            wrapped(&mut text, "  - ", problem);
        }
    }
    (text, problems.is_empty())
}

fn cpus(count: u32) -> String {
    if count == 1 {
        "1 CPU".to_owned()
    } else {
        format!("{count} possible CPUs")
    }
}

fn lockdown(facts: Option<&Facts>) -> String {
    match facts.and_then(|facts| facts.lockdown.as_deref()) {
        Some(modes) => {
            let mode = modes.split(['[', ']']).nth(1).unwrap_or(modes);
            match mode {
                "none" => "none".to_owned(),
                "integrity" => "integrity: reading kernel memory is allowed".to_owned(),
                other => format!(
                    "{other}: programs may not read kernel memory, so nothing can be traced"
                ),
            }
        }
        None => format!("unknown. To see it: {MOUNT_SECURITYFS}"),
    }
}

fn capabilities(held: &BTreeSet<u32>) -> String {
    let held: Vec<String> = privilege::NEEDED
        .iter()
        .map(|needed| {
            let yes = held.contains(&needed.bit);
            format!(
                "{} {}",
                needed.name.to_uppercase(),
                if yes { "held" } else { "missing" }
            )
        })
        .collect();
    held.join(", ")
}

/// The hooks, and a trial load if the user may.
fn hooks(text: &mut String, facts: &Facts, may_load: bool, problems: &mut Vec<String>) {
    let asked = Asked {
        holds_command: false,
        follow: true,
        quantum_bytes: None,
        programs_are_phases: false,
        tells_syscalls: false,
        fault_latency: false,
        follows_cgroup: false,
        ring_bytes: None,
        page_bytes: host::page_bytes(),
    };
    let facts = if may_load {
        &facts.clone().with_fentry_tried()
    } else {
        facts
    };
    let plan = match Plan::make(&asked, facts) {
        Ok(plan) => plan,
        Err(refusal) => return problems.push(refusal.to_string()),
    };
    text.push('\n');
    for hook in plan.hooks() {
        line(text, &hook.subject, &hook.via);
    }
    line(text, "processes already there", "iter/task");
    line(
        text,
        "page faults",
        "read from the task at exec, exit and release",
    );
    line(text, FAULT_LATENCY, &fault_latency(facts));
    text.push('\n');
    for doubt in &plan.doubts {
        wrapped(text, "  doubt: ", &doubt.text);
    }
    let (seen, summed) = if plan.counts_by_thread {
        (
            ", a thread's own page faults when they end",
            "what the space and its threads have counted is",
        )
    } else {
        ("", "the per-CPU counters are")
    };
    wrapped(
        text,
        "  error bound: ",
        &format!(
            "0 bytes. Every change of resident memory is seen{seen}, and {summed} summed whole at \
             each one. Changes on different CPUs that nothing orders are taken in the order in \
             which the hook saw them."
        ),
    );
    if may_load {
        let tried = object().and_then(|object| Live::attach(&object, &plan));
        match tried {
            Ok(_) => wrapped(text, "  trial: ", "all programs load and attach."),
            Err(error) => problems.push(error.to_string()),
        }
    }
}

fn fault_latency(facts: &Facts) -> String {
    match faults::obstacle(facts) {
        None => "fentry and fexit of handle_mm_fault, if asked for: --fault-latency".to_owned(),
        Some(why) => format!("not measured: {why}"),
    }
}

const LABEL: usize = 25;
const WIDTH: usize = 80;

fn line(text: &mut String, label: &str, value: &str) {
    wrapped(text, &format!("  {label:<LABEL$}"), value);
}

/// Appends words after `start`, broken at 80 columns and indented under the first.
fn wrapped(text: &mut String, start: &str, words: &str) {
    let indent = start.chars().count();
    let mut before = start;
    for line in wrap(words, WIDTH - indent) {
        let _ = writeln!(text, "{before:indent$}{line}");
        before = "";
    }
}
