//! Maps, remaps, moves the break, lays over and unmaps known sizes many times, and keeps a log.
//! What counts lies in a phase `work`; the log is of that alone.

use std::{fs, hint::black_box, path::PathBuf};

use tests::{
    args::Args,
    sys::{
        mark::{Mark, mark},
        memory::{Break, Kind, Map},
    },
    truth::{self, MapperTruth},
};

fn main() {
    let mut args = Args::of_program();
    let rounds: usize = args.value_or("--rounds", 10_000);
    let overlays = args.flag("--overlays");
    let refused = args.flag("--refused");
    let stack_pages: usize = args.value_or("--stack", 0);
    let truth_file: Option<PathBuf> = args.value("--truth");
    args.finish();

    let mut log = MapperTruth {
        pid: std::process::id(),
        ..MapperTruth::default()
    };
    let stack_before = status("VmStk:");
    mark(Mark::Begin, "work", 0);
    for round in 0..rounds {
        let size = 3 + round % 61;
        let mut map = Map::mapped(Kind::Private, size);
        log.mmap.add(size);
        if overlays {
            map.overlay(1, 1);
            log.overlays += 1;
        }
        if round % 3 == 0 {
            let more = size + 1 + round % 5;
            map.resize(more);
            log.grown.add(more - size);
            map.resize(size - 2);
            log.shrunk.add(more - (size - 2));
        }
        if round % 4 == 0 {
            let up = 1 + round % 7;
            drop(Break::grow_exactly(up));
            log.brk_up.add(up);
            log.brk_down.add(up);
        }
        if refused {
            Map::refused();
            log.refused += 1;
        }
        log.munmap.add(map.pages());
    }
    dig(stack_pages);
    mark(Mark::End, "work", 0);
    log.stack_bytes = status("VmStk:") - stack_before;
    log.vm_peak_bytes = status("VmPeak:");
    truth::write(&log, truth_file.as_deref());
}

/// Uses so many pages of the stack, from the top down.
fn dig(pages: usize) {
    let mut page = [0_u8; 4096];
    black_box(&mut page);
    if pages > 0 {
        dig(pages - 1);
    }
    black_box(&mut page);
}

/// A size of `/proc/self/status`, bytes.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kib: u64 = kib.and_then(|kib| kib.parse().ok()).expect("a size in kB");
    kib * 1024
}
