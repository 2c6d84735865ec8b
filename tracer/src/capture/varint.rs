//! Numbers in as few bytes as they need: seven bits a byte, the lowest first.

/// Bytes that a number can take.
const MAX_BYTES: usize = 10;

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A signed number as one that is small when it is near 0.
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The signed number again.
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Bytes that are read from the front. Whatever asks for more than there is gets `None`.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// The next so many bytes.
    pub(super) fn bytes(&mut self, len: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The next number; `None` also if it does not fit into 64 bits.
    #[inline]
    pub(super) fn number(&mut self) -> Option<u64> {
        // Nearly all are of one or two bytes.
        match *self.0 {
            [low @ ..0x80, ref rest @ ..] => {
                self.0 = rest;
                Some(low.into())
            }
            [low, high @ ..0x80, ref rest @ ..] => {
                self.0 = rest;
                Some(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Option<u64> {
        let mut value = 0;
        for index in 0..MAX_BYTES {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * index as u32;
            let placed = bits << shift;
            if placed >> shift != bits {
                return None;
            }
            value |= placed;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(values: Vec<u64>, shifts: Vec<u8>) {
            // Small ones too, not only those that fill all bits.
            let values: Vec<u64> = values
                .iter()
                .zip(shifts.iter().chain(std::iter::repeat(&0)))
                .map(|(value, shift)| value >> (shift % 64))
                .collect();
            let mut out = Vec::new();
            for value in &values {
                put(&mut out, *value);
            }
            let mut input = Input::new(&out);
            for value in &values {
                prop_assert_eq!(input.number(), Some(*value));
            }
            prop_assert!(input.is_empty());
            prop_assert_eq!(input.number(), None);
        }

        #[test]
        fn signs_come_back(value: i64) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn small_numbers_are_short() {
        for (value, len) in [
            (0, 1),
            (-64, 1),
            (64, 2),
            (-8192, 2),
            (8192, 3),
            (i64::MIN, 10),
        ] {
            let mut out = Vec::new();
            put(&mut out, zigzag(value));
            assert_eq!(out.len(), len, "{value}");
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        let mut bytes = [0xff; 10];
        bytes[9] = 0x02;
        assert_eq!(Input::new(&bytes).number(), None);
        bytes[9] = 0x01;
        assert_eq!(Input::new(&bytes).number(), Some(u64::MAX));
        assert_eq!(Input::new(&[0xff; 11]).number(), None);
    }
}
