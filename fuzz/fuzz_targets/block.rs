//! Any bytes as the inside of a block that is whole: the first two tell how many levels and other
//! events its head claims.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::capture::{Origin, Reader};

/// The least that a run begins with.
const BEGUN: &[u8] = br#"{"tool_version":"","bpf_sha256":"","kernel":"","arch":"","cpus":1,
"page_bytes":4096,"cgroup":"","target":{"kind":"pids","pids":[],"follow":true},"started_at":"",
"start_ns":0,"quantum_bytes":0,"quantum_grows":false,"hooks":[],"doubts":[]}"#;

/// See `tracer/src/capture/block.rs`.
fn block(plain: &[u8], levels: u32, others: u32) -> Vec<u8> {
    let stored = zstd::bulk::compress(plain, 1).expect("zstd compresses anything");
    let mut head = Vec::new();
    for field in [stored.len() as u32, plain.len() as u32, levels, others] {
        head.extend(field.to_le_bytes());
    }
    let mut sum = crc32fast::Hasher::new();
    sum.update(&head);
    sum.update(&stored);
    head.extend(sum.finalize().to_le_bytes());
    head.extend(stored);
    head
}

fuzz_target!(|bytes: &[u8]| {
    let [levels, others, plain @ ..] = bytes else {
        return;
    };
    let mut file = Origin::own().to_bytes();
    // No levels before it, the tag of a beginning, its length in two bytes.
    let (low, high) = (BEGUN.len() as u8 | 0x80, (BEGUN.len() >> 7) as u8);
    file.extend(block(&[&[0, 1, low, high], BEGUN].concat(), 0, 1));
    file.extend(block(plain, (*levels).into(), (*others).into()));
    let mut reader = Reader::new(&file[..]).expect("it has a beginning");
    reader.by_ref().for_each(drop);
    reader.end();
});
