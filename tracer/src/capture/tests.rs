//! A capture gives back what went in; cut or broken bytes give the beginning of it, and a word on
//! how they ended.

use proptest::prelude::*;
use tracer_common::{
    ledger::{Space, Split, Target},
    record::{Header, Level, kind},
};

use super::{
    block::Filling,
    preamble::Origin,
    reader::{End, OpenError, Reader},
};
use crate::{
    decode::{decode, value},
    event::{Begun, Doubt, EndReason, Ended, Event, Reading, TargetAsked},
};

fn begun(argv: Vec<String>) -> Event {
    Event::Begun(Box::new(Begun {
        tells_syscalls: false,
        counts_once: false,
        max_peak_bytes: None,
        fault_latency: crate::latency::FaultLatency::Unavailable {
            why: "no".to_owned(),
        },
        functions: vec!["solve".to_owned()],
        tool_version: "0.1.0".into(),
        bpf_sha256: "00".into(),
        kernel: "6.18.0".into(),
        arch: "x86_64".into(),
        cpus: 2,
        page_bytes: 4096,
        cgroup: "v2".into(),
        target: TargetAsked::Command {
            argv,
            pid: 1,
            follow: true,
        },
        started_at: "2025-11-22T13:40:00Z".into(),
        start_ns: u64::MAX,
        quantum_bytes: 0,
        quantum_grows: true,
        hooks: Vec::new(),
        doubts: Vec::new(),
    }))
}

/// The end of a run of which nothing else is known.
pub(super) fn ended() -> Ended {
    Ended {
        at_ns: 0,
        target: Target::default(),
        reason: EndReason::Interrupted,
        command_status: None,
        emitted: [0; kind::COUNT],
        lost: [0; kind::COUNT],
        lost_by_cpu: vec![0, 0],
        read: [0; kind::COUNT],
        undecoded: 0,
        missed_runs: None,
        runs: None,
        fault_latencies: None,
        tracer_peak_rss_bytes: None,
        tracer_cpu_ns: 0,
        doubts: Vec::new(),
    }
}

/// Any record of any kind, levels with any numbers too.
fn any_record() -> impl Strategy<Value = Event> {
    let bytes = prop::collection::vec(any::<u8>(), 1024..=1024);
    (0..=kind::SPACE_CLOSED, bytes).prop_map(|(kind, mut bytes)| {
        bytes[..4].copy_from_slice(&kind.to_ne_bytes());
        decode(&bytes).expect("there are enough bytes of a known kind")
    })
}

/// A level among others that resemble it.
fn any_level() -> impl Strategy<Value = Event> {
    let split = (0..9_i64, -3..900_i64, 0..2_i64, 0..2_i64);
    (0..3_u32, 0..9_000_u64, 1..5_u64, split, -9..9_i64).prop_map(
        |(cpu, at_ns, space, (file, anon, shmem, swap), more)| {
            Event::Level(Level {
                header: Header {
                    kind: kind::LEVEL,
                    cpu,
                    at_ns: (1 << 40) + at_ns,
                },
                space,
                split: Split {
                    file,
                    anon,
                    shmem,
                    swap,
                },
                target_rss: anon + more,
            })
        },
    )
}

fn any_told() -> impl Strategy<Value = Event> {
    let ledger = prop::collection::vec(any::<u8>(), size_of::<Space>())
        .prop_map(|bytes| value::<Space>(&bytes).expect("enough bytes"));
    let text = any::<String>();
    prop_oneof![
        ledger.prop_map(|ledger| Event::SpaceAlive(Box::new(ledger))),
        (text, any::<Option<u64>>()).prop_map(|(path, peak_bytes)| {
            Event::Reading(Reading::Cgroup {
                file: path.clone(),
                path,
                peak_bytes,
                strangers: 1,
                start_peak_bytes: Some(1 << 20),
            })
        }),
        any::<(u32, u64, u64, u64)>().prop_map(|(pid, max_rss_bytes, minor, major)| {
            Event::Reading(Reading::Wait4 {
                pid,
                max_rss_bytes,
                minor_faults: minor,
                major_faults: major,
            })
        }),
    ]
}

fn any_ended() -> impl Strategy<Value = Event> {
    let bytes = prop::collection::vec(any::<u8>(), 1024..=1024);
    (
        bytes,
        any::<[u64; kind::COUNT]>(),
        any::<Option<i32>>(),
        any::<String>(),
    )
        .prop_map(|(bytes, counts, command_status, text)| {
            Event::Ended(Box::new(Ended {
                at_ns: counts[0],
                target: value(&bytes).expect("enough bytes"),
                command_status,
                emitted: counts,
                missed_runs: command_status.map(|_| [(text.clone(), counts[2])].into()),
                doubts: vec![Doubt {
                    id: text.clone(),
                    text,
                    remedy: String::new(),
                }],
                ..ended()
            }))
        })
}

/// A run, and after how many events a block ends.
fn any_run(events: usize) -> impl Strategy<Value = (Vec<Event>, usize)> {
    let event = prop_oneof![8 => any_level(), 1 => any_record(), 1 => any_told()];
    let events = prop::collection::vec(event, 0..events);
    let argv = prop::collection::vec(any::<String>(), 0..3);
    (argv, events, any_ended(), 1..40_usize).prop_map(|(argv, events, ended, block)| {
        let mut all = vec![begun(argv)];
        all.extend(events);
        all.push(ended);
        (all, block)
    })
}

/// The file of a run, and the length of what comes before its first block.
fn written(events: &[Event], block: usize) -> (Vec<u8>, usize) {
    let mut bytes = Origin::own().to_bytes();
    let start = bytes.len();
    let mut filling = Filling::new().unwrap();
    for events in events.chunks(block) {
        for event in events {
            filling.push(event).unwrap();
        }
        filling.write(&mut bytes).unwrap();
    }
    (bytes, start)
}

fn read(bytes: &[u8]) -> Result<(Vec<String>, End), OpenError> {
    let mut reader = Reader::new(bytes)?;
    let events = told(reader.by_ref());
    Ok((events, reader.end()))
}

fn told(events: impl IntoIterator<Item = Event>) -> Vec<String> {
    events
        .into_iter()
        .map(|event| format!("{event:?}"))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everything_comes_back((events, block) in any_run(300)) {
        let (bytes, _) = written(&events, block);
        let (read, end) = read(&bytes).unwrap();
        prop_assert_eq!(read, told(events));
        prop_assert_eq!(end, End::Whole);
    }

    #[test]
    fn broken_bytes_give_the_beginning(
        (events, block) in any_run(60),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), 1..=u8::MAX), 1..4),
    ) {
        let (mut bytes, start) = written(&events, block);
        let whole = bytes.clone();
        for (place, bits) in breaks {
            let place = start + place.index(bytes.len() - start);
            bytes[place] ^= bits;
        }
        prop_assume!(bytes != whole);
        let events = told(events);
        if let Ok((read, end)) = read(&bytes) {
            prop_assert!(read.len() < events.len());
            prop_assert_eq!(&read[..], &events[..read.len()]);
            prop_assert!(matches!(end, End::Cut(_)));
        }
    }

    #[test]
    fn any_bytes_are_borne(bytes: Vec<u8>) {
        let mut file = Origin::own().to_bytes();
        file.extend(bytes);
        prop_assert!(matches!(read(&file), Err(OpenError::NothingInIt)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_file_cut_anywhere_gives_the_beginning((events, block) in any_run(40)) {
        let (bytes, _) = written(&events, block);
        let events = told(events);
        let mut most = 0;
        for len in 0..bytes.len() {
            let Ok((read, end)) = read(&bytes[..len]) else {
                prop_assert_eq!(most, 0, "cut at {}", len);
                continue;
            };
            prop_assert!(most <= read.len() && read.len() < events.len());
            prop_assert_eq!(&read[..], &events[..read.len()]);
            prop_assert!(matches!(end, End::Cut(_)));
            most = read.len();
        }
        // All but the last block.
        prop_assert_eq!(most, (events.len() - 1) / block * block);
    }
}

#[test]
fn what_is_appended_is_not_the_run() {
    let end = Event::Ended(Box::new(ended()));
    let (mut bytes, _) = written(&[begun(Vec::new()), end], 1);
    assert!(matches!(read(&bytes), Ok((_, End::Whole))));
    bytes.push(0);
    let (events, end) = read(&bytes).unwrap();
    assert_eq!(events.len(), 2);
    assert!(matches!(end, End::Cut(_)));
}

#[test]
fn other_versions_are_named() {
    let mut theirs = Origin::own();
    theirs.version = "9.9.9".into();
    let (bytes, start) = written(&[begun(Vec::new())], 1);
    // The same format, whoever wrote it, is read.
    let mut file = theirs.to_bytes();
    file.extend(&bytes[start..]);
    assert_eq!(Reader::new(&file[..]).unwrap().origin(), &theirs);
    for change in [
        |origin: &mut Origin| origin.format += 1,
        |origin: &mut Origin| origin.records ^= 1,
    ] {
        let mut theirs = theirs.clone();
        change(&mut theirs);
        let mut file = theirs.to_bytes();
        file.extend(&bytes[start..]);
        let error = Reader::new(&file[..]).err().unwrap().to_string();
        for version in ["9.9.9", env!("CARGO_PKG_VERSION")] {
            assert!(error.contains(version), "{error}");
        }
    }
}

#[test]
fn what_is_no_capture_is_refused() {
    for bytes in [&b""[..], b"{}", b"#!/bin/sh\nexit 0\n", &[0; 4096]] {
        assert!(matches!(Reader::new(bytes), Err(OpenError::NotACapture)));
    }
    let (bytes, _) = written(&[begun(Vec::new())], 1);
    assert!(Reader::new(&bytes[..bytes.len() - 1]).is_err());
}
