//! A parent that holds a lot and starts one small child, in one of the two ways of doing so, and
//! tells what the kernel said of that child when it ended.

use std::{path::PathBuf, process::Command};

use tests::{
    args::{self, Args},
    proc::Reader,
    sys::{
        memory::{self, page_bytes},
        process::{self, Program},
    },
    truth::{self, ProcessTruth, SpawnerTruth},
};

fn main() {
    let mut args = Args::of_program();
    let command = args.command();
    let mib: usize = args.value_or("--mib", 0);
    let via: String = args.value_or("--via", "spawn".to_owned());
    let truth_file: Option<PathBuf> = args.value("--truth");
    args.finish();
    let [path, rest @ ..] = &command[..] else {
        args::usage("no command after --")
    };

    let heap = memory::ballast((mib << 20) / page_bytes() + 1);
    let program = Program::new(&command);
    let peak_rss_bytes = Reader::default().own_rss();
    let child = match via.as_str() {
        // The standard library takes posix_spawn for a command as plain as this.
        "spawn" => Command::new(path)
            .args(rest)
            .spawn()
            .expect("posix_spawn")
            .id(),
        "fork" => process::fork(|| program.exec()),
        other => args::usage(&format!("--via {other}: spawn or fork")),
    };
    let waited = process::wait(child);
    drop(heap);
    let truth = SpawnerTruth {
        parent: ProcessTruth {
            pid: std::process::id(),
            peak_rss_bytes,
        },
        child,
        code: waited.code,
        minor_faults: waited.usage.minor_faults,
        major_faults: waited.usage.major_faults,
        max_rss_bytes: waited.usage.max_rss_bytes,
    };
    truth::write(&truth, truth_file.as_deref());
}
