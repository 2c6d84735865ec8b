//! Any bytes behind a preamble that is right half of the time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::capture::{Origin, Reader};

fuzz_target!(|bytes: &[u8]| {
    let mut file = match bytes.first() {
        Some(byte) if byte % 2 == 0 => Origin::own().to_bytes(),
        _ => Vec::new(),
    };
    file.extend(bytes.get(1..).unwrap_or_default());
    if let Ok(mut reader) = Reader::new(&file[..]) {
        reader.by_ref().for_each(drop);
        reader.end();
    }
});
