//! The status line: what a run has come to so far, for whoever looks at the terminal. Knows the
//! terminal and the target's ledger; no report depends on it.
//!
//! A terminal has one cursor. What another program writes there lands in the line, and the next
//! line erases what that program had begun; when it will write is not to be known. So hyperfine
//! draws nothing while it hands its output on to the commands, and cargo nothing once what it has
//! built runs. Here, too, the target comes first: the line is there only while neither stdout nor
//! stderr of what was asked about is this terminal. A command inherits both, and so has no line
//! unless it leads them elsewhere; a process in another terminal or without one has it.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::getpgrp,
    termios::{tcgetpgrp, tcgetwinsize},
};
use tracer_common::ledger::Target;

use crate::{
    kernel::ledgers::Ledgers,
    units::{Bytes, Count, Nanos},
};

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(250);

/// `/dev/tty`: whichever terminal controls the process that opened it.
const CONTROLLING_TERMINAL: u64 = libc::makedev(5, 0);

/// Goes to the start of the line and erases the rest of it.
const ERASE: &str = "\r\x1b[K";

/// See the module. Erases itself when dropped.
pub(super) struct Status {
    began: Instant,
    drawn_at: Instant,
    is_drawn: bool,
    /// Device number of the terminal.
    terminal: u64,
    /// What was asked about, and whether it uses the terminal. Of one that has ended the last
    /// that was known stays: what it wrote last still stands there.
    pids: Vec<(u32, bool)>,
    page_bytes: u64,
}

impl Status {
    /// `None` if stderr is no terminal, or one that cannot erase.
    pub(super) fn start(pids: Vec<u32>, page_bytes: u64) -> Option<Self> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
        let terminal = tcgetwinsize(io::stderr())
            .ok()
            .and_then(|_| fs::metadata("/proc/self/fd/2").ok())?
            .rdev();
        // By this name nothing tells whether a process has the same one.
        let is_nameless = terminal == CONTROLLING_TERMINAL;
        let now = Instant::now();
        (!is_dumb && !is_nameless).then_some(Self {
            began: now,
            drawn_at: now,
            is_drawn: false,
            terminal,
            pids: pids.into_iter().map(|pid| (pid, true)).collect(),
            page_bytes,
        })
    }

    /// Draws the line if it is time to, and if it harms nothing.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub(super) fn tick(&mut self, ledgers: &Ledgers) -> anyhow::Result<()> {
        if self.drawn_at.elapsed() < EVERY {
            return Ok(());
        }
        self.drawn_at = Instant::now();
        if !is_foreground() || self.is_used_by_target() || !takes_text() {
            return Ok(());
        }
        const UNREAD: &str = "the ledger cannot be read";
        let target = ledgers.target().context(UNREAD)?;
        let lost = ledgers.stats().context(UNREAD)?.1.iter().sum();
        let mut text = line(self.began.elapsed(), &target, lost, self.page_bytes);
        // A line that wraps could not be erased. All of it is ASCII.
        let columns = tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
        text.truncate(columns.saturating_sub(1));
        write(&format!("\r{text}\x1b[K"));
        self.is_drawn = true;
        Ok(())
    }

    /// Whether what was asked about writes to this terminal, or may.
    fn is_used_by_target(&mut self) -> bool {
        let terminal = self.terminal;
        for (pid, uses) in &mut self.pids {
            let was = *uses;
            *uses = [1, 2]
                .into_iter()
                .any(|fd| leads_to(terminal, *pid, fd).unwrap_or(was));
        }
        self.pids.iter().any(|(_, uses)| *uses)
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        if self.is_drawn && is_foreground() {
            write(ERASE);
        }
    }
}

/// Whether a descriptor of a process leads to the terminal; `None` if that cannot be known.
fn leads_to(terminal: u64, pid: u32, fd: u32) -> Option<bool> {
    let link = format!("/proc/{pid}/fd/{fd}");
    // Only devices are looked at: the look at a file can hang with the server it is on.
    if !fs::read_link(&link).ok()?.starts_with("/dev") {
        return Some(false);
    }
    let found = fs::metadata(&link).ok()?;
    let is_it = [terminal, CONTROLLING_TERMINAL].contains(&found.rdev());
    Some(found.file_type().is_char_device() && is_it)
}

/// Whether the terminal is this job's at the moment, and not the shell's or another's.
fn is_foreground() -> bool {
    tcgetpgrp(io::stderr()).is_ok_and(|group| group == getpgrp())
}

/// Whether the terminal takes text now. One that is held (Ctrl-S, a connection that hangs) would
/// hold memtrace too, and the ring would run over.
fn takes_text() -> bool {
    let stderr = io::stderr();
    let mut polled = [PollFd::new(&stderr, PollFlags::OUT)];
    poll(&mut polled, Some(&Timespec::default())).is_ok() && polled[0].revents() == PollFlags::OUT
}

/// A terminal that is gone takes nothing: nobody misses the line then.
fn write(text: &str) {
    let _ = io::Write::write_all(&mut io::stderr(), text.as_bytes());
}

fn line(elapsed: Duration, target: &Target, lost: u64, page_bytes: u64) -> String {
    let size = |pages: i64| Bytes(pages * page_bytes.cast_signed());
    let (processes, noun) = match target.processes {
        1 => (1, "process"),
        more => (more, "processes"),
    };
    let mut text = format!(
        "memtrace: {}, now {}, peak {}, {} {noun}",
        Nanos(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)),
        size(target.level_rss),
        size(target.peak.rss.max(target.late_rss)),
        Count(processes),
    );
    if lost > 0 {
        text += &format!(", records lost: {}", Count(lost));
    }
    text
}

#[cfg(test)]
mod tests {
    use tracer_common::ledger::Peak;

    use super::*;

    #[test]
    fn the_line_tells_what_the_ledger_has() {
        let mut target = Target {
            processes: 1,
            level_rss: 256,
            peak: Peak {
                rss: 1024,
                ..Peak::default()
            },
            ..Target::default()
        };
        let elapsed = Duration::from_millis(12_340);
        assert_eq!(
            line(elapsed, &target, 0, 4096),
            "memtrace: 12.3 s, now 1MiB, peak 4MiB, 1 process"
        );
        (target.processes, target.late_rss) = (1_200, 2048);
        assert_eq!(
            line(elapsed, &target, 3_456, 4096),
            "memtrace: 12.3 s, now 1MiB, peak 8MiB, 1,200 processes, records lost: 3,456"
        );
    }
}
