//! What cannot work is refused before the command starts: one clear line, the right exit code, and
//! none of the command's effects.

use std::{fs, path::PathBuf};

use tests::{
    runner::{Memtrace, Outcome},
    sys::restrict::{forbidding, hiding},
};

/// Runs `touch` on a file of its own; the file must not be there afterwards.
#[track_caller]
fn refused(memtrace: Memtrace) -> Outcome {
    let touched: PathBuf = memtrace.scratch.path("touched");
    let (outcome, _scratch) = memtrace.run(&["/usr/bin/touch".as_ref(), touched.as_os_str()]);
    assert!(
        !touched.exists(),
        "the command has run; stderr:\n{}",
        outcome.stderr
    );
    outcome
}

#[test]
fn folder_for_the_report_that_does_not_exist() {
    let memtrace = Memtrace::default();
    let folder = memtrace.scratch.arg("missing");
    let file = format!("{folder}/report.json");
    refused(memtrace.options(&["--json", &file])).assert_refusal(125, &[&folder]);
}

#[test]
fn report_that_would_be_a_folder() {
    let memtrace = Memtrace::default();
    let folder = memtrace.scratch.arg("");
    refused(memtrace.options(&["--json", &folder])).assert_refusal(125, &[&folder]);
}

#[test]
fn pid_that_does_not_exist() {
    let limit = fs::read_to_string("/proc/sys/kernel/pid_max").expect("the kernel's limit");
    let none: u32 = limit.trim().parse().expect("a number");
    let (program, scratch) = Memtrace::with_json().attach(&[none]);
    program.finish().assert_refusal(125, &[&none.to_string()]);
    assert!(!scratch.path("report.json").exists());
    // One that exists does not make up for it.
    let (program, _scratch) = Memtrace::with_json().attach(&[std::process::id(), none]);
    program.finish().assert_refusal(125, &[&none.to_string()]);
}

#[test]
fn user_that_does_not_exist() {
    let memtrace = Memtrace::default().options(&["--user", "no-such-user"]);
    refused(memtrace).assert_refusal(125, &["no-such-user"]);
}

#[test]
fn no_btf() {
    let mut memtrace = Memtrace::default();
    hiding(&mut memtrace.command, c"/sys/kernel/btf");
    refused(memtrace).assert_refusal(125, &["BTF", "/sys/kernel/btf/vmlinux"]);
}

#[test]
fn sandbox_that_forbids_bpf() {
    let mut memtrace = Memtrace::default();
    forbidding(&mut memtrace.command, libc::SYS_bpf);
    refused(memtrace).assert_refusal(125, &["a sandbox (seccomp)", "not permitted"]);
}

#[test]
fn object_that_is_not_one() {
    for (object, why) in [
        ("/nonexistent", "MEMTRACE_BPF_OBJECT"),
        ("/etc/passwd", "refused"),
    ] {
        let mut memtrace = Memtrace::default();
        memtrace.command.env("MEMTRACE_BPF_OBJECT", object);
        refused(memtrace).assert_refusal(125, &[why]);
    }
}

#[test]
fn program_that_the_verifier_refuses() {
    const OBJECT: &[u8] = include_bytes!("../../tracer/bpf/memtrace.bpf.o");
    const LICENCE: &[u8] = b"Dual MIT/GPL\0";
    let mut object = OBJECT.to_vec();
    let mut windows = object.windows(LICENCE.len());
    let at = windows.position(|bytes| bytes == LICENCE);
    let at = at.expect("a licence that the kernel lets call all that it has");
    object[at..at + LICENCE.len()].copy_from_slice(b"Proprietary!\0");
    let mut memtrace = Memtrace::default();
    let file = memtrace.scratch.path("proprietary.o");
    fs::write(&file, object).expect("an object");
    let folder = memtrace.scratch.arg("");
    memtrace.command.env("MEMTRACE_BPF_OBJECT", &file);
    memtrace.command.env("TMPDIR", &folder);
    let log = format!("{}/memtrace-verifier-", folder.trim_end_matches('/'));
    let words = ["refused the program", "non-GPL compatible program", &log];
    refused(memtrace).assert_refusal(125, &words);
}

#[test]
fn tracepoint_that_the_figures_rest_on() {
    for (tracepoint, subject) in [
        ("rss_stat", "resident memory"),
        ("exit_mmap", "end of an address space"),
        ("task_newtask", "forks"),
        ("sched_process_exec", "programs"),
        ("sched_process_exit", "exits"),
    ] {
        let words = format!("lacks the tracepoint {tracepoint}, without which {subject}");
        refused(Memtrace::default().without(&[tracepoint])).assert_refusal(125, &[&words]);
    }
}
