//! Any bytes as a file of each tool that `memtrace judge --import` reads: the first one tells which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::judge::import::{Origin, parse, recognise};

fuzz_target!(|bytes: &[u8]| {
    let [which, bytes @ ..] = bytes else {
        return;
    };
    let origin = match which % 11 {
        0 => Origin::Mprof,
        1 => Origin::Psrecord,
        2 => Origin::Traceq,
        3 => Origin::Memray,
        4 => Origin::Time,
        5 => Origin::Docker,
        6 => Origin::Sacct,
        7 => Origin::Snakemake,
        8 => Origin::Nextflow,
        9 => Origin::Csv("time=t,rss=r,unit=KiB".parse().expect("columns")),
        _ => match recognise(bytes) {
            Some(origin) => origin,
            None => return,
        },
    };
    if let Ok(told) = parse(&origin, bytes) {
        assert!(!told.is_empty());
    }
});
