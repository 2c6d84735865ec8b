//! Bytes to records: the only place where they meet. Knows the wire, not where bytes come from.

use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};
use tracer_common::{
    WireSafe,
    record::{Header, kind},
};

use crate::event::Event;

/// Reads a record's bytes; `None` if they are fewer than it has, or of an unknown kind.
pub fn decode(bytes: &[u8]) -> Option<Event> {
    let header: Header = value(bytes)?;
    Some(match header.kind {
        kind::LEVEL => Event::Level(value(bytes)?),
        kind::PROCESS_STARTED => Event::ProcessStarted(Box::new(value(bytes)?)),
        kind::SPACE_OPENED => Event::SpaceOpened(Box::new(value(bytes)?)),
        kind::EXECED => Event::Execed(Box::new(value(bytes)?)),
        kind::PROCESS_EXITED => Event::ProcessExited(Box::new(value(bytes)?)),
        kind::PROCESS_FREED => Event::ProcessFreed(Box::new(value(bytes)?)),
        kind::SPACE_CLOSED => Event::SpaceClosed(Box::new(value(bytes)?)),
        kind::PROCESS_LEFT => Event::ProcessLeft(Box::new(value(bytes)?)),
        kind::VICTIM => Event::Victim(Box::new(value(bytes)?)),
        kind::VM_CHANGED => Event::VmChanged(value(bytes)?),
        kind::CALLED => Event::Called(value(bytes)?),
        kind::MARKED => Event::Marked(Box::new(value(bytes)?)),
        _ => return None,
    })
}

/// Reads a value from the start of `bytes`; `None` if they are too few.
pub(crate) fn value<T: WireSafe>(bytes: &[u8]) -> Option<T> {
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: there are enough bytes, and `WireSafe` says that any of them make a value.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// The bytes of a value.
pub(crate) fn bytes<T: WireSafe>(value: &T) -> &[u8] {
    // SAFETY: `WireSafe` says that nothing in a value is padding, so all of its bytes are
    // initialised; they live as long as the value is borrowed.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// For `#[serde(with)]`: a value of the wire as its bytes.
pub(crate) mod as_bytes {
    use super::*;

    pub(crate) fn serialize<T: WireSafe, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes(value).serialize(serializer)
    }

    pub(crate) fn deserialize<'a, T: WireSafe, D: Deserializer<'a>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let whole = bytes.len() == size_of::<T>();
        let value = value(&bytes).filter(|_| whole);
        value.ok_or_else(|| D::Error::invalid_length(bytes.len(), &"the bytes of a ledger"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1024)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn a_record_that_is_cut_off_is_none() {
        let mut bytes = vec![0; size_of::<tracer_common::record::ProcessExited>()];
        bytes[..4].copy_from_slice(&kind::PROCESS_EXITED.to_ne_bytes());
        assert!(matches!(decode(&bytes), Some(Event::ProcessExited(_))));
        bytes.pop();
        assert!(decode(&bytes).is_none());
    }
}
