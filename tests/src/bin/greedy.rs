//! Asks for more memory than it can have, twice, and lives on for a while.

use std::{thread, time::Duration};

use tests::{args::Args, sys::memory::Map};

fn main() {
    let mut args = Args::of_program();
    let mib: usize = args.value_or("--mib", 0);
    args.finish();
    Map::beyond(mib << 19);
    Map::beyond(mib << 20);
    thread::sleep(Duration::from_millis(500));
}
