//! Writing a capture while the run goes on: a thread of its own encodes, compresses and writes, so
//! that a slow disk does not hold up the rings.
//!
//! Memory is bounded: a few batches of events wait for that thread. If the disk cannot keep up for
//! long, or fails, the capture is given up and the run goes on without it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::sys::signal::SigSet;

use super::{block::Filling, preamble::Origin};
use crate::{
    event::{Doubt, Ended, Event},
    output::Place,
};

/// Weight of a batch at most: so many levels, some 300 KiB.
const BATCH_WEIGHT: usize = 4_096;
/// Weight of any other event, in levels: it has up to half a KiB in a box.
const OTHER_WEIGHT: usize = 10;
/// Batches that wait for the disk at most: with those being filled and written three megabytes.
const BATCHES: usize = 8;
/// What has happened is in the file after this time, whatever becomes of memtrace.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// The disk may keep a full queue waiting this long. The rings fill meanwhile, and lose history.
const STALL: Duration = Duration::from_secs(2);
/// What is left at the end may take this long.
const LAST_WRITES: Duration = Duration::from_secs(60);

/// Where a capture will go: the file is open and holds what it held until the run begins.
#[derive(Debug)]
pub struct Destination {
    path: PathBuf,
    file: File,
    /// The file was made for this and is still empty.
    unused: bool,
}

impl Destination {
    /// Opens the place. Nothing in it is lost yet.
    ///
    /// # Errors
    ///
    /// With what is wrong and what to do.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if let Place::Stdout = Place::check(path)? {
            anyhow::bail!("a capture cannot go to stdout, which is the command's. Name a file");
        }
        let mut options = OpenOptions::new();
        options.write(true);
        let (opened, unused) = match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                (options.open(path), false)
            }
            made => (made, true),
        };
        let file = opened.with_context(|| format!("{} cannot be written to", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            unused,
        })
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if self.unused {
            // Left over, it would only be an empty file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What goes to the thread.
struct Batch {
    events: Vec<Event>,
    /// All that was handed over is to be in the file now.
    flush: bool,
}

/// A capture that is being written.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    batch: Vec<Event>,
    weight: usize,
    /// `None` once the capture is given up.
    to_thread: Option<SyncSender<Batch>>,
    outcome: Receiver<anyhow::Result<()>>,
    /// When all was last in the file.
    flushed: Instant,
    /// Something was handed over since.
    unflushed: bool,
    failed: Option<anyhow::Error>,
}

impl Writer {
    /// Starts writing, over what was in the place.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub fn start(mut destination: Destination) -> anyhow::Result<Self> {
        let (to_thread, batches) = mpsc::sync_channel(BATCHES);
        let (tell, outcome) = mpsc::sync_channel(1);
        let path = destination.path.clone();
        thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || {
                destination.unused = false;
                // Signals are the run's. A limit on file sizes comes as an error instead.
                let masked = SigSet::all().thread_block();
                let masked = masked.context("signals cannot be held back");
                let result = masked.and_then(|()| write(&destination.file, &batches));
                // Who gave the capture up does not listen any more.
                let _ = tell.send(result);
            })
            .context("no thread can be started")?;
        Ok(Self {
            path,
            batch: Vec::new(),
            weight: 0,
            to_thread: Some(to_thread),
            outcome,
            flushed: Instant::now(),
            unflushed: false,
            failed: None,
        })
    }

    /// Takes an event in. The first one must be [`Event::Begun`].
    pub fn push(&mut self, event: &Event) {
        if self.to_thread.is_none() {
            return;
        }
        self.weight += match event {
            Event::Level(_) => 1,
            _ => OTHER_WEIGHT,
        };
        self.batch.push(event.clone());
        if self.weight >= BATCH_WEIGHT {
            self.hand_over(false);
        }
    }

    /// Sees to it that what has happened is in the file, if it has been a while.
    pub fn flush_if_due(&mut self) {
        let news = self.unflushed || !self.batch.is_empty();
        if news && self.flushed.elapsed() >= FLUSH_EVERY {
            self.hand_over(true);
        }
    }

    fn hand_over(&mut self, flush: bool) {
        let Some(to_thread) = &self.to_thread else {
            return;
        };
        let events = std::mem::take(&mut self.batch);
        self.weight = 0;
        let mut batch = Batch { events, flush };
        let began = Instant::now();
        loop {
            match to_thread.try_send(batch) {
                Ok(()) => break,
                Err(TrySendError::Full(same)) if began.elapsed() < STALL => {
                    batch = same;
                    thread::sleep(Duration::from_millis(1));
                }
                Err(TrySendError::Full(_)) => {
                    return self.give_up(anyhow::anyhow!("the disk did not keep up"));
                }
                Err(TrySendError::Disconnected(_)) => {
                    let outcome = self.outcome.recv();
                    let error = outcome
                        .map_or_else(|_| broken(), |result| result.err().unwrap_or_else(broken));
                    return self.give_up(error);
                }
            }
        }
        self.unflushed = !flush;
        if flush {
            self.flushed = began;
        }
    }

    fn give_up(&mut self, error: anyhow::Error) {
        self.to_thread = None;
        self.failed = Some(error);
    }

    /// Writes the end and waits until all is in the file.
    ///
    /// # Errors
    ///
    /// With the reason why the file does not hold the whole run.
    pub fn finish(mut self, ended: &Ended) -> anyhow::Result<()> {
        self.push(&Event::Ended(Box::new(ended.clone())));
        self.hand_over(true);
        let result = match self.failed.take() {
            Some(error) => Err(error),
            None => {
                // Without a sender the thread comes to its end.
                self.to_thread = None;
                match self.outcome.recv_timeout(LAST_WRITES) {
                    Ok(result) => result,
                    Err(RecvTimeoutError::Timeout) => {
                        Err(anyhow::anyhow!("the disk did not keep up"))
                    }
                    Err(RecvTimeoutError::Disconnected) => Err(broken()),
                }
            }
        };
        result.with_context(|| format!("the capture {} is not whole", self.path.display()))
    }
}

/// The doubt of a run whose capture failed.
pub fn doubt(error: &anyhow::Error) -> Doubt {
    Doubt {
        id: "capture-failed".to_owned(),
        text: format!("In this run, {error:#}. This report itself lacks nothing."),
        remedy: "Capture to another disk, or make room on this one.".to_owned(),
    }
}

fn broken() -> anyhow::Error {
    anyhow::anyhow!("the thread that writes it broke down")
}

/// The thread's work.
fn write(mut file: &File, batches: &Receiver<Batch>) -> anyhow::Result<()> {
    let is_file = file.metadata().is_ok_and(|found| found.is_file());
    if is_file {
        file.set_len(0)?;
    }
    file.write_all(&Origin::own().to_bytes())?;
    let mut block = Filling::new()?;
    for Batch { events, flush } in batches {
        for event in &events {
            block.push(event)?;
            // The beginning makes the file readable: it does not wait for others.
            if block.is_full() || matches!(event, Event::Begun(_)) {
                block.write(&mut file)?;
            }
        }
        if flush {
            block.write(&mut file)?;
        }
    }
    block.write(&mut file)?;
    if is_file {
        file.sync_data()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_to(path: &Path) -> anyhow::Result<()> {
        let mut writer = Writer::start(Destination::open(path)?)?;
        // Enough that the queue is full while the thread is failing.
        for _ in 0..20 * BATCH_WEIGHT {
            writer.push(&Event::Level(Default::default()));
        }
        writer.flush_if_due();
        writer.finish(&super::super::tests::ended())
    }

    #[test]
    fn a_full_disk_is_told_and_waited_for_by_nobody() {
        let error = write_to(Path::new("/dev/full")).unwrap_err();
        let text = doubt(&error).text;
        assert!(
            text.contains("/dev/full") && text.contains("No space left"),
            "{text}"
        );
    }

    #[test]
    fn what_was_there_is_kept_until_the_run_begins() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        fs::write(&old, [1; 1 << 20]).unwrap();
        for path in [&new, &old] {
            drop(Destination::open(path).unwrap());
        }
        assert!(!new.exists());
        assert_eq!(fs::metadata(&old).unwrap().len(), 1 << 20);
        for path in [&new, &old] {
            write_to(path).unwrap();
        }
        assert_eq!(fs::read(&new).unwrap(), fs::read(&old).unwrap());
    }
}
