//! Protocol buffers on the wire, as much of it as a trace needs.

const VARINT: u32 = 0;
const LENGTH: u32 = 2;

/// A message that is being put together.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A number; signed ones as two's complement, as `int64` has it.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.varint((field << 3 | VARINT).into());
        self.varint(value);
    }

    /// A text.
    pub(super) fn text(&mut self, field: u32, text: &str) {
        self.piece(field, text.as_bytes());
    }

    /// A message within.
    pub(super) fn message(&mut self, field: u32, message: &Self) {
        self.piece(field, &message.0);
    }

    /// What it is on the wire.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn piece(&mut self, field: u32, bytes: &[u8]) {
        self.varint((field << 3 | LENGTH).into());
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_format_says() {
        let mut inner = Message::default();
        inner.number(1, 150);
        inner.text(2, "testing");
        let mut outer = Message::default();
        outer.message(3, &inner);
        outer.number(60, u64::MAX);
        let expected =
            b"\x1a\x0c\x08\x96\x01\x12\x07testing\xe0\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(outer.bytes(), expected);
    }
}
