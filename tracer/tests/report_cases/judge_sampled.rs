//! Samplers beside made-up runs whose timelines are known: each kind of error is named where its
//! evidence is there, and only there. And tools that run the command.

use std::{collections::BTreeMap, ffi::OsString};

use memtrace::{
    event::Event,
    judge::{
        Others, Wrapped,
        part::Command,
        sampled::Looked,
        schema::{Judgement, Kind},
    },
    sampler::{
        Seen,
        charged::{Charged, Place},
        eye::{Beside, Sampler, What},
        series::Look,
    },
};

use crate::{
    judge::{ending, judged_with, tree},
    run::{PAGE, Run, START, TICK, mib, pages},
};

/// PID of the command in these runs.
const ROOT: u32 = 4242;
const MIB: i64 = 1 << 20;

fn bytes(pages: i64) -> i64 {
    pages * PAGE
}

/// A look from one tick to another that read so much.
#[derive(Clone, Copy)]
struct Looks(u64, u64, i64);

impl Looks {
    fn look(self) -> Look {
        Look {
            begin_ns: START + self.0 * TICK,
            end_ns: START + self.1 * TICK,
            bytes: self.2.unsigned_abs(),
        }
    }
}

/// An instrument with these looks at its first figure, which saw these processes all the time.
fn sampler(name: &str, looks: &[Looks], beside: Beside, saw: &[u32]) -> Sampler {
    let asked = name.parse().expect("a tool");
    let place = Place {
        directory: "/no/such/cgroup".into(),
        peak_file: "memory.peak".into(),
        is_own: false,
        before: None,
        peak_before_bytes: None,
    };
    let mut sampler = Sampler::new(&asked, ROOT, Some(&place)).expect("it looks");
    for look in looks {
        for figure in &mut sampler.figures {
            figure.series.add(look.look(), beside);
        }
        for pid in saw {
            let Look {
                begin_ns, end_ns, ..
            } = look.look();
            sampler.known.see(*pid, begin_ns, end_ns);
        }
    }
    sampler
}

fn judged(events: &[Event], sampler: Sampler) -> Judgement {
    let looked = Looked {
        samplers: vec![Seen {
            eye: sampler,
            cpu_ns: 7,
        }],
        place: None,
        judges_max_rss: false,
        costs: BTreeMap::new(),
    };
    let others = Others {
        looked: Some(&looked),
        ..Others::default()
    };
    judged_with(events, others)
}

/// The kind of the first figure's error.
#[track_caller]
fn kind(run: &Run, name: &str, looks: &[Looks], saw: &[u32]) -> Kind {
    let judgement = judged(&ending(run), sampler(name, looks, Beside::Nothing, saw));
    let tool = &judgement.tools[0];
    assert_eq!(
        tool.error_bytes,
        tool.bytes.cast_signed() - judgement.of_target.peak_bytes
    );
    assert_eq!((tool.cpu_ns, tool.same_run), (Some(7), Some(true)));
    assert_eq!(tool.samples, Some(looks.len() as u64));
    tool.kind
}

/// PID of the child of [`tree`], what both had together, and the parent alone, in pages.
const CHILD: u32 = ROOT + 2;
const BOTH: i64 = 160 * 256 + 1_000;
const PARENT: i64 = 100 * 256 + 500;

#[test]
fn looks_beside_a_spike_missed_it_and_looks_in_it_did_not() {
    // Two MiB, but twenty from tick 50 to 53.
    let mut run = Run::command(&["./spike"]);
    run.exec(1, &["./spike"]).level(1, pages(mib(2), 0, 0));
    run.wait(50).level(1, pages(mib(20), 0, 0));
    run.wait(3).level(1, pages(mib(2), 0, 0));
    run.wait(50).exit(1, 0);
    let low = bytes(mib(2));
    let beside = [Looks(0, 0, low), Looks(60, 60, low)];
    assert_eq!(kind(&run, "psutil", &beside, &[ROOT]), Kind::MissedSpike);
    assert_eq!(kind(&run, "statm", &beside, &[]), Kind::MissedSpike);
    let high = bytes(mib(20));
    for (read, expected) in [
        (high, Kind::None),
        (high - 100 * PAGE, Kind::KernelInexactness),
        (high + 40 * PAGE, Kind::KernelInexactness),
        // Less than the history tells.
        (high - 30 * PAGE, Kind::Unexplained),
        // It looked while all of it was there, and read much less.
        (high - 10 * MIB, Kind::Unexplained),
        (high + 10 * MIB, Kind::Unexplained),
    ] {
        let looks = [Looks(0, 0, low), Looks(51, 51, read)];
        assert_eq!(kind(&run, "psutil", &looks, &[ROOT]), expected, "{read}");
        assert_eq!(kind(&run, "statm", &looks, &[]), expected, "{read}");
    }
    // A walk of the page tables has nothing to do with counters.
    let looks = [Looks(51, 51, high - 100 * PAGE)];
    assert_ne!(
        kind(&run, "smaps", &looks, &[ROOT]),
        Kind::KernelInexactness
    );
}

#[test]
fn a_process_that_no_look_saw_is_told_from_one_seen_at_the_wrong_time() {
    // The child has its 60 MiB from tick 20 to 40.
    let run = tree();
    let looks = [Looks(0, 0, bytes(PARENT)), Looks(60, 60, bytes(PARENT))];
    assert_eq!(kind(&run, "psutil", &looks, &[ROOT]), Kind::MissedProcess);
    let saw_it = [ROOT, CHILD];
    let near = [
        Looks(0, 0, bytes(PARENT)),
        Looks(25, 25, bytes(PARENT)),
        Looks(60, 60, 1),
    ];
    // Seen, and read as nothing all the same.
    assert_eq!(kind(&run, "psutil", &near, &saw_it), Kind::Unexplained);
    // It follows the first process alone, whenever it looks.
    assert_eq!(kind(&run, "statm", &near, &[]), Kind::MissedProcess);
    assert_eq!(kind(&run, "vmhwm", &near, &[]), Kind::MissedProcess);
    let whole = [Looks(25, 25, bytes(BOTH))];
    assert_eq!(kind(&run, "psutil", &whole, &saw_it), Kind::None);
}

#[test]
fn a_look_that_lasts_while_memory_moves_can_read_anything_between() {
    let run = tree();
    let saw_it = [ROOT, CHILD];
    // The child comes while it reads.
    let during = [Looks(15, 30, bytes(PARENT + mib(10)))];
    assert_eq!(kind(&run, "psutil", &during, &saw_it), Kind::SlowLook);
    // Less than there can have been.
    let less = [Looks(15, 30, bytes(PARENT - mib(10)))];
    assert_eq!(kind(&run, "psutil", &less, &saw_it), Kind::Unexplained);
}

#[test]
fn shares_are_less_than_the_sum_of_rss() {
    let run = tree();
    let told = bytes(BOTH) - 40 * MIB;
    let beside = |rss: i64| Beside::Rss(rss.unsigned_abs(), 2);
    let kind = |rss: i64| {
        let saw = [ROOT, CHILD];
        let looks = [Looks(25, 25, told)];
        let judgement = judged(&ending(&run), sampler("smaps", &looks, beside(rss), &saw));
        let tools = judgement.tools;
        tools
            .into_iter()
            .find(|tool| tool.name == "smaps@1s, PSS")
            .expect("PSS")
            .kind
    };
    assert_eq!(kind(bytes(BOTH)), Kind::DoubleCountedSharing);
    // The look itself read little RSS: sharing explains nothing.
    assert_eq!(kind(told), Kind::Unexplained);
}

#[test]
fn what_a_cgroup_is_charged_for_is_split_by_its_own_files() {
    let run = tree();
    let peak = bytes(BOTH);
    let anon = bytes(mib(160));
    let kind = |usage: i64, anon: i64, cache: i64, at: u64| {
        let charged = Charged {
            usage_bytes: usage.unsigned_abs(),
            inactive_file_bytes: 0,
            anon_bytes: anon.unsigned_abs(),
            cache_bytes: cache.unsigned_abs(),
        };
        let looks = [Looks(at, at, usage)];
        let sampler = sampler("cgroup", &looks, Beside::Charged(charged), &[]);
        assert_eq!(sampler.figures[0].what, What::Charged);
        judged(&ending(&run), sampler).tools[0].kind
    };
    let (small, large) = (bytes(1_000), 100 * MIB);
    assert_eq!(
        kind(peak + large, anon, small + large, 25),
        Kind::CacheCounted
    );
    assert_eq!(kind(peak + large, anon, small, 25), Kind::KernelMemory);
    assert_eq!(
        kind(peak + large, anon + large, small, 25),
        Kind::Unexplained
    );
    assert_eq!(
        kind(peak - 50 * MIB, anon - 50 * MIB, small, 25),
        Kind::DoubleCountedSharing
    );
    assert_eq!(kind(peak - small, anon, 0, 25), Kind::ChargedElsewhere);
    // When the child is not there.
    let parent = bytes(PARENT);
    assert_eq!(kind(parent, parent, 0, 5), Kind::MissedSpike);
}

/// A tool of 200 MiB that runs `./job x` in a process of its own, which has a child.
fn wrapped() -> Run {
    let mut run = Run::command(&["tool", "./job x"]);
    run.exec(1, &["tool", "./job x"])
        .level(1, pages(mib(200), 0, 0));
    let shell = run.wait(10).vfork(1);
    run.exec(shell, &["/bin/sh", "-c", "./job x"])
        .level(shell, pages(mib(2), 0, 0));
    let job = run.wait(10).vfork(shell);
    run.exec(job, &["./job", "x"])
        .level(job, pages(mib(30), 0, 0));
    let child = run.wait(10).vfork(job);
    run.exec(child, &["sort"])
        .level(child, pages(mib(12), 0, 0));
    run.wait(10).exit(child, 0).wait(10).exit(job, 0);
    run.exit(shell, 0).wait(10).exit(1, 0);
    run
}

#[test]
fn only_the_command_and_what_it_started_count_beside_a_tool() {
    let run = wrapped();
    let line = ["tool".to_owned(), "./job x".to_owned()];
    let judge = |words: &[&str]| {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let command = Command::of(&words);
        let others = Others {
            wrapped: Some(Wrapped {
                command: &command,
                line: &line,
            }),
            ..Others::default()
        };
        judged_with(&ending(&run), others)
    };
    let judgement = judge(&["./job", "x"]);
    assert_eq!(judgement.of_target.peak_bytes, bytes(mib(42)));
    let wrap = judgement.wrap.expect("a tool");
    assert_eq!((wrap.times, wrap.processes), (1, 2));
    assert_eq!(wrap.together_peak_bytes, Some(bytes(mib(244))));
    assert_eq!(judgement.processes.len(), 2);
    // Two spaces at once, each told within the quantum.
    let bound = judgement.peak_error_bound_bytes.expect("a bound");
    assert!(bound > 0 && bound <= 2 * 4 * MIB.unsigned_abs(), "{bound}");
    // The path does not matter, the words do.
    assert_eq!(
        judge(&["/usr/bin/job", "x"]).of_target.peak_bytes,
        bytes(mib(42))
    );
    assert_eq!(judge(&["sort"]).of_target.peak_bytes, bytes(mib(12)));
    assert_eq!(judge(&["sort"]).peak_error_bound_bytes, Some(0));
}
