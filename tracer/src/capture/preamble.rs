//! The first bytes of a capture: that it is one, and what wrote it.

use std::io::{self, Read};

use tracer_common::{
    ledger,
    limits::{ARGV_BYTES, COMM_BYTES},
    record,
};

/// Version of the format, and of what the events in it mean.
pub(super) const FORMAT: u32 = 1;

/// Not text, and broken by whatever takes it for text.
const MAGIC: [u8; 8] = *b"\x8dmtrc\r\n\n";

/// Changes with the layout of the records, so that bytes are never read as something else.
const RECORDS: u64 = {
    let parts = [
        record::LAYOUT,
        ledger::LAYOUT,
        ARGV_BYTES as u64,
        COMM_BYTES as u64,
        record::kind::COUNT as u64,
        // The other order of bytes gives another number.
        u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8]),
    ];
    let (mut sum, mut at) = (0, 0);
    while at < parts.len() {
        sum = (parts[at] ^ sum)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(31);
        at += 1;
    }
    sum
};

/// What wrote a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Version of memtrace.
    pub version: String,
    /// Version of the format.
    pub format: u32,
    /// Fingerprint of the records' layout.
    pub records: u64,
}

impl Origin {
    /// This memtrace.
    pub fn own() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            format: FORMAT,
            records: RECORDS,
        }
    }

    /// What it wrote can be read here. The version of memtrace itself does not matter.
    pub(super) fn is_readable(&self) -> bool {
        (self.format, self.records) == (FORMAT, RECORDS)
    }

    /// The first bytes of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let len = self.version.len().min(u8::MAX.into());
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.format.to_le_bytes());
        bytes.extend(self.records.to_le_bytes());
        bytes.push(len as u8);
        bytes.extend(&self.version.as_bytes()[..len]);
        bytes
    }

    /// Reads it; `None` if these bytes are none of ours.
    ///
    /// # Errors
    ///
    /// If nothing can be read; `UnexpectedEof` if there is too little.
    pub(super) fn read(source: &mut impl Read) -> io::Result<Option<Self>> {
        let mut magic = [0; MAGIC.len()];
        source.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Ok(None);
        }
        let (mut format, mut records, mut len) = ([0; 4], [0; 8], [0; 1]);
        source.read_exact(&mut format)?;
        source.read_exact(&mut records)?;
        source.read_exact(&mut len)?;
        let mut version = vec![0; len[0].into()];
        source.read_exact(&mut version)?;
        // It is shown to the user.
        let version = String::from_utf8(version).ok();
        let version = version.filter(|version| version.bytes().all(|byte| byte.is_ascii_graphic()));
        Ok(version.map(|version| Self {
            version,
            format: u32::from_le_bytes(format),
            records: u64::from_le_bytes(records),
        }))
    }
}
