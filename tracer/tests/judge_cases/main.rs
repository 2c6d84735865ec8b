//! Files of other tools: each gives back the peak that the tool itself prints, a broken one is
//! refused with its line, and no bytes at all make an importer panic. `README.md` says who made
//! the files.

use memtrace::judge::import::{
    Asked, Epoch, ImportError, Imported, Measure, Origin, parse, read, recognise,
};
use proptest::prelude::*;

const KIB: u64 = 1 << 10;
const MIB: f64 = (1 << 20) as f64;

fn file(name: &str) -> String {
    format!(
        "{}/tests/judge_cases/files/{name}",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// A file whose origin is to show.
fn import(name: &str) -> Vec<Imported> {
    let asked: Asked = file(name).parse().unwrap();
    read(&asked).unwrap_or_else(|error| panic!("{error}"))
}

/// Names, what is measured and peaks.
fn peaks(name: &str) -> Vec<(String, Measure, u64)> {
    let imported = import(name).into_iter();
    imported
        .map(|told| (told.name, told.measure, told.peak_bytes))
        .collect()
}

fn mib(amount: f64) -> u64 {
    (amount * MIB) as u64
}

#[track_caller]
fn assert_peaks(name: &str, expected: &[(&str, Measure, u64)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, measure, bytes)| ((*name).to_owned(), *measure, *bytes))
        .collect();
    assert_eq!(peaks(name), expected);
}

#[test]
fn mprof() {
    let told = import("mprof.dat");
    let [all, child] = told.as_slice() else {
        panic!("{told:?}");
    };
    // `mprof peak` prints three decimals.
    assert!(all.peak_bytes.abs_diff(mib(42.891)) < KIB, "{all:?}");
    assert!(child.peak_bytes.abs_diff(mib(20.480)) < KIB, "{child:?}");
    assert_eq!((all.epoch, all.pid), (Epoch::Unix, None));
    assert_eq!(child.name, format!("mprof, child {}", child.pid.unwrap()));
    assert_eq!(all.samples[0].0, 1_795_367_090_345_600_000);
    assert_eq!(all.samples[0].1, 6_725_631);
}

#[test]
fn psrecord() {
    assert_peaks(
        "psrecord.log",
        &[("psrecord", Measure::Polled, mib(64.988))],
    );
    assert_peaks(
        "psrecord.csv",
        &[("psrecord", Measure::Polled, mib(65.019_531_25))],
    );
    let told = &import("psrecord.log")[0];
    assert_eq!((told.epoch, told.step_bytes), (Epoch::Own, 1049));
    assert_eq!(import("psrecord.csv")[0].samples[0].0, 67_949);
}

#[test]
fn gnu_time() {
    assert_peaks("time-v.txt", &[("GNU time", Measure::MaxRss, 43724 * KIB)]);
    assert_peaks("time.txt", &[("GNU time", Measure::MaxRss, 43728 * KIB)]);
}

#[test]
fn memray() {
    assert_peaks("memray.json", &[("memray", Measure::Heap, 33_603_088)]);
}

#[test]
fn traceq() {
    assert_peaks(
        "traceq-psutil.prof",
        &[
            ("TraceQ, VmRSS", Measure::Polled, 102_648 * KIB),
            ("TraceQ, psutil", Measure::Polled, 105_111_552),
        ],
    );
    assert_peaks(
        "traceq-tracemalloc.prof",
        &[
            ("TraceQ, ru_maxrss", Measure::MaxRss, 101_884 * KIB),
            ("TraceQ, tracemalloc", Measure::Heap, 33_560_423),
        ],
    );
    let told = &import("traceq-psutil.prof")[0];
    assert_eq!(told.epoch, Epoch::Boot);
    assert_eq!(
        (told.samples.len(), told.samples[0].0),
        (67, 13_102_340_000_000)
    );
}

#[test]
fn snakemake() {
    assert_peaks(
        "snakemake.tsv",
        &[
            ("snakemake, repetition 1", Measure::Polled, mib(66.48)),
            ("snakemake, repetition 2", Measure::Polled, mib(66.51)),
        ],
    );
    assert_peaks(
        "snakemake-extended.tsv",
        &[("snakemake", Measure::Polled, mib(66.42))],
    );
}

#[test]
fn docker() {
    assert_peaks(
        "docker.jsonl",
        &[
            ("docker stats, db", Measure::Container, mib(2.746)),
            ("docker stats, job", Measure::Container, mib(114.5)),
        ],
    );
}

#[test]
fn sacct() {
    assert_peaks(
        "sacct.txt",
        &[
            ("sacct, 4711.batch", Measure::Polled, 10_452 * KIB),
            ("sacct, 4711.0", Measure::Polled, 5_266_672 * KIB),
        ],
    );
}

#[test]
fn nextflow() {
    assert_peaks(
        "nextflow.tsv",
        &[
            ("nextflow, split (1)", Measure::Polled, mib(12.4)),
            ("nextflow, align (ggal_gut)", Measure::Polled, mib(1536.0)),
        ],
    );
}

#[test]
fn any_table_with_its_columns_named() {
    let asked = format!(
        "csv:time=second,rss=memory_kib,unit=KiB:{}",
        file("table.csv")
    );
    let told = &read(&asked.parse().unwrap()).unwrap()[0];
    assert_eq!(told.name, "column memory_kib");
    assert_eq!((told.peak_bytes, told.step_bytes), (52_429_312, 103));
    let times: Vec<_> = told.samples.iter().map(|sample| sample.0).collect();
    assert_eq!(times, [0, 500_000_000, 1_000_000_000]);
}

#[test]
fn what_is_asked_for_is_understood_or_refused() {
    let asked = |text: &str| text.parse::<Asked>();
    let named = asked("mprof=a=b.dat").unwrap();
    assert_eq!(named.origin, Some(Origin::Mprof));
    assert_eq!(named.path, std::path::Path::new("a=b.dat"));
    // No kind: it is part of the name.
    let plain = asked("run=1.dat").unwrap();
    assert_eq!(
        (plain.origin, plain.path.to_str()),
        (None, Some("run=1.dat"))
    );
    for wrong in [
        "",
        "mprof=",
        "csv:x.csv",
        "csv:time=t:x",
        "csv:rss=r,unit=q:x",
        "csv:rss=r,time_unit=h:x",
        "csv:rows=r:x",
    ] {
        assert!(asked(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_broken_file_is_refused_with_its_line() {
    let columns = |text: &str| Origin::Csv(text.parse().unwrap());
    for (origin, text, said) in [
        (
            Origin::Mprof,
            "CMDLINE x\nMEM 1.0 2.0\nMEM 1.0\n",
            "line 3: no line of mprof begins so, or has so many fields",
        ),
        (
            Origin::Mprof,
            "MEM 1.0 2.0\nMEM x 2.0\n",
            "line 2: `x` is no number of MiB",
        ),
        (Origin::Mprof, "CHLD me 1.0 2.0\n", "line 1: `me` is no PID"),
        (
            Origin::Mprof,
            "CMDLINE x\n",
            "there is no figure of mprof in it",
        ),
        (
            Origin::Psrecord,
            "# Elapsed time\n 0.1 0.0 x 4\n",
            "line 2: `x` is no number of MiB",
        ),
        (
            Origin::Psrecord,
            "# Elapsed time\n\n 0.1\n",
            "line 3: it has fewer than four fields",
        ),
        (
            Origin::Psrecord,
            "hello\n",
            "line 1: it does not begin with `# Elapsed time`",
        ),
        (
            Origin::Psrecord,
            "elapsed_time,cpu\n1,2\n",
            "line 1: there is no column `mem_real`",
        ),
        (
            Origin::Time,
            "hello\n",
            "no line of it says `Maximum resident set size (kbytes):` or `maxresident)k`",
        ),
        (
            Origin::Time,
            "\tMaximum resident set size (kbytes): lots\n",
            "line 1: `lots` is no number of KiB",
        ),
        (
            Origin::Memray,
            "{\"metadata\": {}}\n",
            "line 1: missing field `peak_memory` at line 1 column 15",
        ),
        (
            Origin::Memray,
            "",
            "line 1: EOF while parsing a value at line 1 column 0",
        ),
        (
            Origin::Docker,
            "{\"Name\": \"a\"}\n",
            "line 1: missing field `MemUsage` at line 1 column 13",
        ),
        (
            Origin::Docker,
            "\n\n{\"Name\": \"a\", \"MemUsage\": \"much / more\"}\n",
            "line 3: `much` is no amount of memory",
        ),
        (
            Origin::Docker,
            "{\"Name\": \"a\", \"MemUsage\": \"-- / --\"}\n",
            "no line of it tells of a container",
        ),
        (
            Origin::Sacct,
            "JobID|MaxRSS\n1|2K\n2|3K|4\n",
            "line 3: it has 3 fields, and the first line 2",
        ),
        (
            Origin::Sacct,
            "JobID|MaxRSS\n1|0\n2|\n",
            "no step of it has a MaxRSS",
        ),
        (
            Origin::Sacct,
            "JobID|MaxVMSize\n1|0\n",
            "line 1: there is no column `MaxRSS`",
        ),
        (
            Origin::Snakemake,
            "s\tmax_rss\n1\tNA\n",
            "no line of it has a max_rss",
        ),
        (
            Origin::Snakemake,
            "s\tmax_rss\n1\t2.0\n1\t-3\n",
            "line 3: `-3` is no number of MiB",
        ),
        (
            Origin::Nextflow,
            "name\tpeak_rss\na\t1 XB\n",
            "line 2: `1 X` is no amount of memory",
        ),
        (
            columns("rss=r,time=t"),
            "t,r\n1,2\nlate,3\n",
            "line 3: `late` is no time",
        ),
        (columns("rss=r"), "t\n1\n", "line 1: there is no column `r`"),
        (
            columns("rss=r"),
            "r\n",
            "there is no figure of column r in it",
        ),
        (
            Origin::Traceq,
            "hello",
            "it cannot be unpacked: unexpected end of file",
        ),
    ] {
        let refused = parse(&origin, text.as_bytes()).unwrap_err();
        assert_eq!(refused.to_string(), said, "{origin:?} {text:?}");
    }
    let refused = parse(&Origin::Mprof, b"MEM 1.0 2.0\n\xff\xfe\n").unwrap_err();
    assert_eq!(refused.to_string(), "line 2: it is no text (UTF-8)");
}

#[test]
fn a_profile_of_another_shape_is_refused() {
    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;
    use std::io::Write as _;

    let sample = |psutil: serde_json::Value| {
        json!({
            "kernel_memory_usage": 0, "psutil_memory_usage": psutil, "resource_memory_usage": 0,
            "tracemalloc_memory_usage": 0, "unix_timestamp": 5,
        })
    };
    let units = || json!({"psutil_memory_usage_unit": "b"});
    for (profile, said) in [
        (
            json!(null),
            "it is no profile: invalid type: unit value, expected struct Profile",
        ),
        (
            json!({"metadata": units()}),
            "it is no profile: missing field `data`",
        ),
        (
            json!({"data": [sample(json!(7))]}),
            "it names no unit of TraceQ, psutil",
        ),
        (
            json!({"metadata": units(), "data": [sample(json!(7)), {"unix_timestamp": 5}]}),
            "it is no profile: sample 2: missing field `kernel_memory_usage`",
        ),
        (
            json!({"metadata": units(), "data": [sample(json!(7)), sample(json!("x"))]}),
            "it is no profile: sample 2: wrong msgpack marker FixStr(1)",
        ),
        (
            json!({"metadata": units(), "data": [sample(json!(-7.5))]}),
            "sample 1: its figure is no amount of memory",
        ),
        (
            json!({"metadata": units(), "data": [sample(json!(0))]}),
            "no sample in it has a figure above 0",
        ),
    ] {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        let plain = rmp_serde::to_vec_named(&profile).unwrap();
        packed.write_all(&plain).unwrap();
        let refused = parse(&Origin::Traceq, &packed.finish().unwrap()).unwrap_err();
        assert_eq!(refused.to_string(), said);
    }
}

#[test]
fn a_file_of_a_whole_cluster_is_refused() {
    let jobs: String = (0..1_001).map(|job| format!("{job}.0|5K\n")).collect();
    let refused = parse(&Origin::Sacct, format!("JobID|MaxRSS\n{jobs}").as_bytes()).unwrap_err();
    assert!(
        refused.to_string().contains("more than 1000 jobs"),
        "{refused}"
    );
}

#[test]
fn what_shows_no_tool_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "nothing\n").unwrap();
    let asked: Asked = path.to_str().unwrap().parse().unwrap();
    let refused = read(&asked).unwrap_err();
    assert!(matches!(refused, ImportError::Unknown(_)), "{refused}");
    let text = refused.to_string();
    for word in ["notes.txt", "--import KIND=", "snakemake", "csv:"] {
        assert!(text.contains(word), "{text}");
    }
}

const FILES: [&str; 14] = [
    "docker.jsonl",
    "memray.json",
    "mprof.dat",
    "nextflow.tsv",
    "psrecord.csv",
    "psrecord.log",
    "sacct.txt",
    "snakemake-extended.tsv",
    "snakemake.tsv",
    "table.csv",
    "time-v.txt",
    "time.txt",
    "traceq-psutil.prof",
    "traceq-tracemalloc.prof",
];

fn all_origins() -> Vec<Origin> {
    vec![
        Origin::Mprof,
        Origin::Psrecord,
        Origin::Traceq,
        Origin::Memray,
        Origin::Time,
        Origin::Docker,
        Origin::Sacct,
        Origin::Snakemake,
        Origin::Nextflow,
        Origin::Csv("rss=memory_kib,time=second".parse().unwrap()),
    ]
}

fn read_by_all(bytes: &[u8]) {
    recognise(bytes);
    for origin in all_origins() {
        if let Ok(told) = parse(&origin, bytes) {
            assert!(!told.is_empty(), "{origin:?} gives nothing and no reason");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_any_of_them_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_by_all(&bytes);
    }

    #[test]
    fn no_text_makes_any_of_them_panic(text in "[-MECHLDJobIDrss|,\t\n \"{}:.0-9a-zé%]{0,200}") {
        read_by_all(text.as_bytes());
    }

    /// Real files with a stretch replaced, repeated or cut out: most of it still makes sense.
    #[test]
    fn no_damage_makes_any_of_them_panic(
        name in prop::sample::select(&FILES[..]),
        from in any::<prop::sample::Index>(),
        until in any::<prop::sample::Index>(),
        put in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut bytes = std::fs::read(file(name)).unwrap();
        let (from, until) = (from.index(bytes.len()), until.index(bytes.len()));
        bytes.splice(from.min(until)..from.max(until), put);
        read_by_all(&bytes);
    }
}
