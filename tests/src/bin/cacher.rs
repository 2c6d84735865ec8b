//! A file's worth of page cache and next to no memory of its own: writes a file through one small
//! buffer, and keeps it for a while.

use std::{io::Write, path::PathBuf, thread, time::Duration};

use tests::{
    args::Args,
    sys::{file, process},
};

fn main() {
    let mut args = Args::of_program();
    let mib: usize = args.value_or("--mib", 64);
    let hold = Duration::from_millis(args.value_or("--hold-ms", 200));
    let directory: PathBuf = args.word("a folder on a disk").into();
    args.finish();
    process::refuse_huge_pages();

    let mut file = file::unnamed_file(&directory);
    assert!(!file::is_on_tmpfs(&file), "a file in memory is no cache");
    let buffer = vec![1; 1 << 16];
    for _ in 0..mib << 4 {
        file.write_all(&buffer).expect("writing a file");
    }
    thread::sleep(hold);
}
