//! Kills for want of memory, cgroups and memory counted once, in made-up runs.

use memtrace::{
    cgroup::State,
    event::{Event, PssReading, Reading},
    kmsg::OomReport,
    render,
    report::schema::{Oom, Report},
};
use tracer_common::{
    limits::COMM_BYTES,
    record::{Victim, kind},
};

use crate::run::{Run, mib, padded, pages};

const SIGKILL: i32 = 9;

/// A command that grows until the kernel looks for somebody to kill: its process if `of_target`.
fn short_of_memory(status: i32, of_target: bool, log: Reading) -> Report {
    let mut run = Run::command(&["/bin/grow"]);
    run.exec(1, &["/bin/grow"]).wait(10);
    run.level(1, pages(mib(60), 100, 0)).wait(10);
    let own = (1, run.tasks[&1].space, run.tasks[&1].pid);
    let (process, space, pid) = if of_target { own } else { (0, 0, 99) };
    let header = run.header(kind::VICTIM);
    run.events.push(Event::Victim(Box::new(Victim {
        header,
        process,
        space,
        pid,
        asker_pid: 4242,
        level: pages(mib(60), 100, 0),
        target_rss: mib(60) + 100,
        comm: padded::<COMM_BYTES>(if of_target { b"grow" } else { b"other" }),
        asker_comm: padded::<COMM_BYTES>(b"grow"),
    })));
    run.exit(1, status.unsigned_abs());
    run.read(log);
    run.report(status)
}

fn log(kills: &[OomReport]) -> Reading {
    Reading::KernelLog {
        kills: kills.to_vec(),
        refused: None,
    }
}

fn killed(pid: u32, comm: &str) -> OomReport {
    OomReport {
        order: Some(0),
        constraint: Some("CONSTRAINT_MEMCG".into()),
        oom_memcg: Some("/box".into()),
        task_memcg: Some("/box/inner".into()),
        limit_bytes: Some(64 << 20),
        chosen: Some((pid, comm.into())),
        killed: vec![(pid, comm.into())],
        ..OomReport::default()
    }
}

/// The only kill, and the report as one line of text.
#[track_caller]
fn only(report: &Report) -> (&Oom, String) {
    let [oom] = &report.oom[..] else {
        panic!("{} kills", report.oom.len())
    };
    let mut text = String::new();
    render::text::write(report, false, &mut text).unwrap();
    let words: Vec<_> = text.split_whitespace().collect();
    (oom, words.join(" "))
}

#[test]
fn a_kill_is_told_with_the_limit_that_was_hit() {
    // Another kill of the same run is not mistaken for it.
    let report = short_of_memory(
        SIGKILL,
        true,
        log(&[killed(7, "grow"), killed(4242, "grow")]),
    );
    let (oom, text) = only(&report);
    assert_eq!((oom.killed, oom.order), (Some(true), Some(0)));
    assert_eq!(oom.limit_cgroup.as_deref(), Some("/box"));
    assert_eq!(oom.victim_cgroup.as_deref(), Some("/box/inner"));
    assert_eq!(oom.log_why, None);
    for words in [
        "the kernel killed grow (PID 4242)",
        "the limit of 64MiB of the cgroup /box was reached",
        "the page was asked for by grow",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn one_that_was_ending_anyway_was_not_killed() {
    let report = short_of_memory(0, true, log(&[]));
    let (oom, text) = only(&report);
    assert_eq!(oom.killed, Some(false));
    assert!(
        text.contains("grow (PID 4242), which was ending anyway"),
        "{text}"
    );
    // What the log does not say is null, with the reason.
    assert_eq!((oom.order, oom.constraint.as_ref()), (None, None));
    assert!(oom.log_why.is_some());
}

#[test]
fn a_victim_that_is_not_of_the_target() {
    let machine = OomReport {
        constraint: Some("CONSTRAINT_NONE".into()),
        oom_memcg: None,
        order: Some(3),
        ..killed(99, "other")
    };
    let report = short_of_memory(0, false, log(&[machine]));
    let (oom, text) = only(&report);
    assert_eq!((oom.of_target, oom.killed), (false, Some(true)));
    assert_eq!((oom.rss_bytes, oom.limit_cgroup.as_ref()), (None, None));
    for words in [
        "the kernel killed other (PID 99), not of the target",
        "the whole machine had no memory left",
        "8 pages in a row were asked for by grow",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn without_the_log_there_is_a_reason() {
    let refused = Reading::KernelLog {
        kills: Vec::new(),
        refused: Some("Permission denied".into()),
    };
    let report = short_of_memory(SIGKILL, true, refused);
    let (oom, text) = only(&report);
    assert_eq!((oom.killed, oom.constraint.as_ref()), (Some(true), None));
    assert!(
        text.contains("could not be read: Permission denied"),
        "{text}"
    );
}

#[test]
fn a_group_is_named() {
    let group = OomReport {
        group: Some("/box".into()),
        killed: vec![(4242, "grow".into()), (4243, "helper".into())],
        ..killed(4243, "helper")
    };
    let report = short_of_memory(SIGKILL, true, log(&[group]));
    let (oom, text) = only(&report);
    assert_eq!(oom.group.as_deref(), Some("/box"));
    assert!(text.contains("memory.oom.group of /box had all"), "{text}");
}

fn two_processes(reading: Option<Reading>) -> Report {
    let mut run = Run::command(&["/bin/pool"]);
    run.exec(1, &["/bin/pool"]).wait(10);
    run.level(1, pages(mib(100), 100, 0));
    let child = run.fork(1);
    run.wait(10);
    reading.into_iter().for_each(|reading| {
        run.read(reading);
    });
    run.exit(child, 0).exit(1, 0);
    run.report(0)
}

fn pss(stood_still: bool) -> Reading {
    Reading::Pss(PssReading {
        processes: 2,
        stood_still,
        rss_bytes: (mib(200) * 4096).unsigned_abs(),
        pss_bytes: 100 << 20,
        ..PssReading::default()
    })
}

#[test]
fn memory_counted_once_has_its_bound_or_a_reason() {
    let still = two_processes(Some(pss(true))).counted_once;
    // A KiB for each process, and a byte for 4096 pages.
    let bound = 2 * 1024 + mib(200).unsigned_abs() / 4096 + 1;
    assert_eq!(
        (still.bytes, still.error_bound_bytes),
        (Some(100 << 20), Some(bound))
    );
    let row = still.reading.unwrap();
    // 100 file pages of each process were not in the sum.
    assert_eq!(row.below_peak_bytes, Some(200 * 4096));
    let moving = two_processes(Some(pss(false))).counted_once;
    assert_eq!(
        (moving.bytes, moving.error_bound_bytes),
        (Some(100 << 20), None)
    );
    for (reading, why) in [(Reading::PssRefused, "CAP_SYS_PTRACE"), (pss(true), "PSS")] {
        let once = two_processes(Some(reading)).counted_once;
        assert!(once.why.contains(why), "{}", once.why);
    }
    let unread = two_processes(None).counted_once;
    assert_eq!((unread.bytes, unread.reading), (None, None));
    assert!(unread.why.contains("long enough"), "{}", unread.why);
}

fn in_cgroup(state: State, neediest: State) -> Report {
    let mut run = Run::command(&["/bin/job"]);
    run.exec(1, &["/bin/job"]).wait(10);
    run.level(1, pages(mib(30), 100, 0)).exit(1, 0);
    run.read(Reading::CgroupState {
        path: "/sys/fs/cgroup/box".into(),
        state: Box::new(state),
        neediest: Some(Box::new(neediest)),
        pressure: None,
    });
    run.report(0)
}

#[test]
fn a_limit_is_hit_by_what_could_not_be_given_up_or_by_cache() {
    let state = |anon: u64, cache: u64, kills| State {
        limit_bytes: Some(64 << 20),
        limit_hits: Some(3),
        oom_kills: Some(kills),
        anon_bytes: Some(anon << 20),
        cache_bytes: Some(cache << 20),
        shmem_bytes: Some(0),
        kernel_bytes: Some(1 << 20),
        ..State::default()
    };
    let by = |state: State, neediest| {
        let section = in_cgroup(state, neediest).cgroup.unwrap();
        section.limit_hit_by.unwrap_or_default()
    };
    let cache = by(state(10, 53, 0), state(30, 20, 0));
    assert!(cache.contains("hit 3 times, by page cache"), "{cache}");
    assert!(
        cache.contains("At most 31MiB could not be given up"),
        "{cache}"
    );
    let processes = by(state(62, 1, 0), state(62, 1, 0));
    assert!(
        processes.contains("by memory of the processes"),
        "{processes}"
    );
    let kill = by(state(10, 53, 1), state(30, 20, 1));
    assert!(kill.contains("that could not be given up"), "{kill}");
    let never = State {
        limit_hits: Some(0),
        ..state(10, 53, 0)
    };
    assert_eq!(by(never.clone(), never), "");
}

#[test]
fn what_a_cgroup_does_not_tell_has_a_reason() {
    let section = in_cgroup(State::default(), State::default())
        .cgroup
        .unwrap();
    let absent = |key| section.absent.iter().find(|absent| absent.key == key);
    for key in [
        "pressure",
        "slab_bytes",
        "swap_bytes",
        "hugetlb_bytes",
        "ooms",
    ] {
        assert!(
            absent(key).is_some_and(|absent| !absent.why.is_empty()),
            "{key}"
        );
    }
}
