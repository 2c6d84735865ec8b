//! The capture file: a run's events without loss, written while it runs, from which the same
//! report comes again.
//!
//! ```text
//! preamble   what wrote this: magic, format, fingerprint of the records' layout, version
//! block ...  lengths, counts and a checksum, then events, compressed by zstd
//! ```
//!
//! A block stands for itself: nothing in it refers to another one. So a file that breaks off
//! anywhere is good up to the end of its last whole block. Inside a block the levels, of which
//! there are very many, lie in columns of small differences ([`levels`]); every other event lies
//! behind them with the number of levels that came before it ([`others`]), so that the order stays
//! what it was. The first event is always [`Begun`](crate::event::Begun), the last one of a run
//! that was not cut short is [`Ended`](crate::event::Ended).
//!
//! Who changes what an event means, and not only its layout, raises [`preamble::FORMAT`].

mod block;
mod column;
mod levels;
mod others;
mod preamble;
mod reader;
#[cfg(test)]
mod tests;
mod varint;
mod writer;

pub use self::{
    preamble::Origin,
    reader::{End, OpenError, Reader},
    writer::{Destination, Writer, doubt as failed},
};
