//! Attaches nothing but the empty program `floor` of a BPF object to `rss_stat`, for the
//! benchmarks: what any program on that tracepoint costs.

use std::io::{self, Read};

use aya::{Btf, Ebpf, programs::BtfTracePoint};
use tests::args::Args;

fn main() {
    let mut args = Args::of_program();
    let path = args.word("the BPF object");
    args.finish();

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
}
