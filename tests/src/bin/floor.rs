//! Attaches nothing but the empty program `floor` of a BPF object to `rss_stat`, for the
//! benchmarks: what any program on that tracepoint costs. At the end, if asked, it prints `ns=N`: the
//! time that the program took, by the kernel's clock.

use std::{
    fs,
    io::{self, Read},
    os::fd::{AsFd, AsRawFd},
};

use aya::{
    Btf, Ebpf,
    programs::BtfTracePoint,
    sys::{Stats, enable_stats},
};
use tests::args::Args;

fn main() {
    let mut args = Args::of_program();
    let path = args.word("the BPF object");
    let timed = args.flag("--timed");
    args.finish();
    let timed = timed.then(|| enable_stats(Stats::RunTime).expect("taking programs' time"));

    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut object = Ebpf::load(&bytes).expect("loading the object");
    let btf = Btf::from_sys_fs().expect("the kernel's BTF");
    let program = object.program_mut("floor").expect("a program named floor");
    let program: &mut BtfTracePoint = program.try_into().expect("floor is a BTF tracepoint");
    program.load("rss_stat", &btf).expect("loading floor");
    program.attach().expect("attaching floor");
    println!("ready");
    io::stdin()
        .read_to_end(&mut Vec::new())
        .expect("reading stdin");
    if timed.is_some() {
        let program = program.fd().expect("a loaded program").as_fd().as_raw_fd();
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{program}"));
        let text = text.expect("a description of the program");
        let line = |line: &str| Some(line.strip_prefix("run_time_ns:")?.trim().to_owned());
        println!("ns={}", text.lines().find_map(line).expect("its time"));
    }
}
