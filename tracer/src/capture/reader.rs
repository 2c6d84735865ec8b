//! Reading a capture: events come out in the order in which they went in, up to the end or to
//! where the file is no longer what was written.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use super::{
    block::{Emptying, Stop},
    preamble::Origin,
};
use crate::{event::Event, units::Bytes};

/// Why a capture cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system does not give it.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is not a capture of memtrace. One is made by: memtrace -o FILE -- CMD")]
    NotACapture,
    /// It breaks off too early, or is damaged there.
    #[error("it breaks off before it tells of a run")]
    NothingInIt,
    /// Its format, its records or its events are those of another version.
    #[error(
        "it was written by memtrace {} (format {}, records {:016x}); this is memtrace {} (format \
         {}, records {:016x}). Read it with memtrace {}",
        .theirs.version, .theirs.format, .theirs.records,
        .own.version, .own.format, .own.records, .theirs.version
    )]
    OtherVersion {
        /// What wrote it.
        theirs: Origin,
        /// What reads it.
        own: Origin,
    },
}

/// How a capture ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It is whole.
    Whole,
    /// It breaks off or is damaged: a sentence that says how and where.
    Cut(String),
}

/// A capture that is being read.
pub struct Reader<R = BufReader<File>> {
    from: R,
    block: Emptying,
    /// What wrote it.
    origin: Origin,
    /// Bytes before the block at hand's end.
    read_bytes: u64,
    /// The run's end was given.
    ended: bool,
    /// Why there are no more blocks.
    stopped: Option<Stop>,
}

impl Reader {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// If not even the beginning of a run can be read from it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Reader::new(BufReader::with_capacity(1 << 16, File::open(path)?))
    }
}

impl<R: Read> Reader<R> {
    /// Reads from anywhere; small reads should be cheap there.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn new(mut from: R) -> Result<Self, OpenError> {
        let origin = Origin::read(&mut from).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => OpenError::NotACapture,
            _ => OpenError::Io(error),
        })?;
        let origin = origin.ok_or(OpenError::NotACapture)?;
        let own = Origin::own();
        if !origin.is_readable() {
            return Err(OpenError::OtherVersion {
                theirs: origin,
                own,
            });
        }
        let mut reader = Self {
            from,
            block: Emptying::new()?,
            read_bytes: origin.to_bytes().len() as u64,
            origin,
            ended: false,
            stopped: None,
        };
        if !reader.load() {
            return Err(match reader.stopped {
                Some(Stop::Unreadable(kind)) => OpenError::Io(kind.into()),
                // Whole, but not understood: another version means something else by it.
                Some(Stop::Strange) if reader.origin != own => OpenError::OtherVersion {
                    theirs: reader.origin,
                    own,
                },
                _ => OpenError::NothingInIt,
            });
        }
        if !reader.block.begins_run() {
            return Err(OpenError::NothingInIt);
        }
        Ok(reader)
    }

    /// What wrote it.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Reads a block; false if there is none.
    fn load(&mut self) -> bool {
        if self.stopped.is_some() {
            return false;
        }
        match self.block.read(&mut self.from) {
            Ok(bytes) => self.read_bytes += bytes,
            Err(stop) => self.stopped = Some(stop),
        }
        self.stopped.is_none()
    }

    /// How the capture ended; to be asked once all events are out.
    pub fn end(&self) -> End {
        let size = Bytes(self.read_bytes.try_into().unwrap_or(i64::MAX));
        let how = match self.stopped {
            Some(Stop::End) if self.ended => return End::Whole,
            Some(Stop::End | Stop::Cut) | None => format!("breaks off after {size}"),
            Some(Stop::Damaged) => format!("is damaged after {size}"),
            Some(Stop::Strange) => format!(
                "goes on after {size} with what memtrace {} does not understand; memtrace {} \
                 wrote it",
                Origin::own().version,
                self.origin.version
            ),
            Some(Stop::Unreadable(kind)) => format!("cannot be read after {size} ({kind})"),
        };
        End::Cut(format!(
            "The capture {how}; what came later is not in this report."
        ))
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.block.next() {
                self.ended = matches!(event, Event::Ended(_));
                return Some(event);
            }
            if !self.load() {
                return None;
            }
        }
    }
}
