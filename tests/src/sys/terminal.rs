//! A terminal of its own for a program, and what the program writes to it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, Stdio},
};

use super::done;

/// A terminal of 120 columns, as the one who looks at it has it.
#[derive(Debug)]
pub struct Terminal {
    screen: File,
    /// What programs open; kept only until they have.
    line: Option<OwnedFd>,
    seen: Vec<u8>,
}

impl Default for Terminal {
    fn default() -> Self {
        let size = libc::winsize {
            ws_row: 40,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        // SAFETY: the descriptors are new and owned by what is made of them here; the kernel reads
        // `size` and a number.
        let (screen, line) = unsafe {
            let screen = File::from_raw_fd(done(libc::posix_openpt(flags), "posix_openpt"));
            let fd = screen.as_raw_fd();
            done(libc::unlockpt(fd), "unlockpt");
            let line = done(libc::ioctl(fd, libc::TIOCGPTPEER, flags), "TIOCGPTPEER");
            done(
                libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size),
                "TIOCSWINSZ",
            );
            (screen, OwnedFd::from_raw_fd(line))
        };
        Self {
            screen,
            line: Some(line),
            seen: Vec::new(),
        }
    }
}

impl Terminal {
    /// Its device, for a program's stream.
    pub fn line(&self) -> OwnedFd {
        let line = self.line.as_ref().expect("still open");
        line.try_clone().expect("a descriptor")
    }

    /// Starts a command in its foreground, with all three streams on it.
    pub fn start(&self, command: &mut Command) -> Child {
        command
            .stdin(self.line())
            .stdout(self.line())
            .stderr(self.line())
            .env("TERM", "xterm");
        // SAFETY: between fork and exec only system calls are made.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(2, libc::TIOCSCTTY, 0) < 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn();
        // The end of what is written is seen only when nobody else holds the line.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Types an empty line.
    pub fn nudge(&mut self) {
        self.screen.write_all(b"\n").expect("a terminal");
    }

    /// Looks on until `text` has been written, or whoever has the terminal is gone.
    #[track_caller]
    pub fn await_text(&mut self, text: &str) {
        while !self.seen().contains(text) {
            assert!(
                self.read(),
                "{text:?} was never written, only {:?}",
                self.seen()
            );
        }
    }

    /// All that was written until everybody had closed it.
    pub fn finish(mut self) -> String {
        while self.read() {}
        self.seen()
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    fn read(&mut self) -> bool {
        self.line = None;
        let mut bytes = [0; 4096];
        // The kernel tells of the last one's leaving by an error.
        let read = self.screen.read(&mut bytes).unwrap_or(0);
        self.seen.extend(&bytes[..read]);
        read > 0
    }
}
