//! Events other than levels, each as bytes behind a tag.

use tracer_common::{WireSafe, ledger::Space, record::Level};

use crate::{
    decode::{self, decode},
    event::Event,
};

/// A record as it came from the kernel.
const RECORD: u8 = 0;
/// [`Event::Begun`] in JSON.
const BEGUN: u8 = 1;
/// [`Event::SpaceAlive`]: the ledger's bytes.
const SPACE_ALIVE: u8 = 2;
/// [`Event::Reading`] in JSON.
const READING: u8 = 3;
/// [`Event::Ended`] in JSON.
const ENDED: u8 = 4;

/// An event taken apart: a level goes into columns, anything else is a tag and bytes.
pub(super) enum Parts<'a> {
    Level(&'a Level),
    Bytes(u8, &'a [u8]),
    Json(u8, Vec<u8>),
}

/// Takes an event apart.
///
/// # Errors
///
/// If it cannot be put into JSON.
pub(super) fn parts(event: &Event) -> serde_json::Result<Parts<'_>> {
    fn record<T: WireSafe>(record: &T) -> Parts<'_> {
        Parts::Bytes(RECORD, decode::bytes(record))
    }
    Ok(match event {
        Event::Level(level) => Parts::Level(level),
        Event::ProcessStarted(of) => record(&**of),
        Event::SpaceOpened(of) => record(&**of),
        Event::Execed(of) => record(&**of),
        Event::ProcessExited(of) => record(&**of),
        Event::ProcessFreed(of) => record(&**of),
        Event::ProcessLeft(of) => record(&**of),
        Event::Victim(of) => record(&**of),
        Event::SpaceClosed(of) => record(&**of),
        Event::VmChanged(of) => record(of),
        Event::Called(of) => record(of),
        Event::Marked(of) => record(&**of),
        Event::SpaceAlive(ledger) => Parts::Bytes(SPACE_ALIVE, decode::bytes(&**ledger)),
        Event::Begun(begun) => Parts::Json(BEGUN, serde_json::to_vec(begun)?),
        Event::Reading(reading) => Parts::Json(READING, serde_json::to_vec(reading)?),
        Event::Ended(ended) => Parts::Json(ENDED, serde_json::to_vec(ended)?),
    })
}

/// Puts an event that is no level together again; `None` if that does not give back these bytes.
pub(super) fn event(tag: u8, bytes: &[u8]) -> Option<Event> {
    let event = match tag {
        RECORD => {
            let event = decode(bytes)?;
            // A record that is longer than its kind is not one.
            return match parts(&event) {
                Ok(Parts::Bytes(_, own)) if own.len() == bytes.len() => Some(event),
                _ => None,
            };
        }
        SPACE_ALIVE if bytes.len() == size_of::<Space>() => {
            Event::SpaceAlive(Box::new(decode::value(bytes)?))
        }
        BEGUN => Event::Begun(serde_json::from_slice(bytes).ok()?),
        READING => Event::Reading(serde_json::from_slice(bytes).ok()?),
        ENDED => Event::Ended(serde_json::from_slice(bytes).ok()?),
        _ => return None,
    };
    Some(event)
}
