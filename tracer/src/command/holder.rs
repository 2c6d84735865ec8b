//! The holder: a child forked before anything else of memtrace exists, which waits until the hooks
//! are on and then becomes the command. What it held before its exec is not the command's.

use std::{
    ffi::{CString, NulError, OsString},
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
};

use nix::{
    errno::Errno,
    sys::signal::{SigSet, SigmaskHow, sigprocmask},
    unistd::{ForkResult, Pid, fork, pipe2, setgid, setgroups, setuid},
};

use super::identity::Identity;

/// Why the command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A name or argument holds a zero byte.
    #[error("the command cannot be passed on: {0}")]
    Argument(#[from] NulError),
    /// No child could be made.
    #[error("no process could be made for the command: {0}")]
    Fork(#[source] io::Error),
    /// The child could not become the user.
    #[error("the command cannot be run as the user {user}: {error}")]
    Identity {
        /// User id.
        user: u32,
        /// Why.
        error: io::Error,
    },
    /// The program is not there.
    #[error("{program}: command not found. Check the name, or give its path")]
    NotFound {
        /// As given.
        program: String,
    },
    /// The program is there and cannot be run.
    #[error("{program}: cannot be executed: {error}")]
    NotExecutable {
        /// As given.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// The holder died before it could become the command.
    #[error("the process that was to become the command ended before its time")]
    Vanished,
}

/// Steps of the holder that can fail, as one byte in its answer.
const STEP_IDENTITY: u8 = 1;
const STEP_EXEC: u8 = 2;

/// A child that waits to become the command.
pub struct Holder {
    /// Its PID, and later the command's.
    pub pid: Pid,
    program: String,
    user: Option<u32>,
    go: std::fs::File,
    answer: std::fs::File,
}

impl Holder {
    /// Forks the holder. Must be called while the process has one thread.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the arguments cannot be passed on or no process can be made.
    pub fn fork(argv: &[OsString], identity: Option<&Identity>) -> Result<Self, StartError> {
        let arguments: Vec<CString> = argv
            .iter()
            .map(|argument| CString::new(argument.clone().into_vec()))
            .collect::<Result<_, _>>()?;
        let environment = environment(identity)?;
        let pipe =
            || pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|error| StartError::Fork(error.into()));
        let (go_read, go_write) = pipe()?;
        let (answer_read, answer_write) = pipe()?;
        // SAFETY: the process has one thread (the caller's promise), so the child may do anything
        // that the parent might.
        match unsafe { fork() }.map_err(|error| StartError::Fork(error.into()))? {
            ForkResult::Parent { child } => Ok(Self {
                pid: child,
                program: argv[0].to_string_lossy().into_owned(),
                user: identity.map(|identity| identity.uid.as_raw()),
                go: go_write.into(),
                answer: answer_read.into(),
            }),
            ForkResult::Child => {
                drop((go_write, answer_read));
                let (step, errno) = become_command(go_read, &arguments, &environment, identity);
                let mut message = [step, 0, 0, 0, 0];
                message[1..].copy_from_slice(&(errno as i32).to_ne_bytes());
                let _ = std::fs::File::from(answer_write).write_all(&message);
                // SAFETY: ends the child at once, without the parent's destructors.
                unsafe { libc::_exit(127) }
            }
        }
    }

    /// Lets the holder become the command, and waits until it has.
    ///
    /// # Errors
    ///
    /// [`StartError`] if it could not; the holder is gone then.
    pub fn release(mut self) -> Result<Pid, StartError> {
        self.go.write_all(&[1]).map_err(|_| StartError::Vanished)?;
        drop(self.go);
        let mut message = Vec::new();
        // The pipe closes by itself when the exec succeeds.
        self.answer
            .read_to_end(&mut message)
            .map_err(StartError::Fork)?;
        let [step, errno @ ..] = message.as_slice() else {
            return Ok(self.pid);
        };
        let errno = errno.try_into().map_or(0, i32::from_ne_bytes);
        let error = io::Error::from_raw_os_error(errno);
        let program = self.program;
        Err(match (*step, error.kind()) {
            (STEP_IDENTITY, _) => StartError::Identity {
                user: self.user.unwrap_or_default(),
                error,
            },
            (_, io::ErrorKind::NotFound) => StartError::NotFound { program },
            _ => StartError::NotExecutable { program, error },
        })
    }
}

/// The command's environment: memtrace's own, with what `sudo` replaced put right for the user,
/// and the sign by which a program's markers know that somebody listens.
fn environment(identity: Option<&Identity>) -> Result<Vec<CString>, NulError> {
    let mut variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let mut set = |name: &str, value: &str| {
        variables.retain(|(known, _)| known != name);
        variables.push((name.into(), value.into()));
    };
    set("MEMTRACE", "1");
    if let Some(identity) = identity {
        if let Some(home) = &identity.home {
            set("HOME", home);
        }
        if let Some(name) = identity.name.as_ref().and_then(|name| name.to_str().ok()) {
            set("USER", name);
            set("LOGNAME", name);
        }
    }
    variables
        .into_iter()
        .map(|(name, value)| {
            let mut line = name.into_vec();
            line.push(b'=');
            line.extend(value.into_vec());
            CString::new(line)
        })
        .collect()
}

/// In the child: waits for the word, becomes the user, then the command. Returns only on failure.
fn become_command(
    go: OwnedFd,
    arguments: &[CString],
    environment: &[CString],
    identity: Option<&Identity>,
) -> (u8, Errno) {
    let mut word = [0];
    if !matches!(std::fs::File::from(go).read(&mut word), Ok(1)) {
        // memtrace died: the command must not run untraced.
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(127) }
    }
    if let Some(identity) = identity
        && let Err(errno) = become_user(identity)
    {
        return (STEP_IDENTITY, errno);
    }
    // The Rust runtime ignores SIGPIPE; a command expects the default, and an empty mask.
    // SAFETY: sets a disposition, no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    let Err(errno) = nix::unistd::execvpe(&arguments[0], arguments, environment);
    (STEP_EXEC, errno)
}

fn become_user(identity: &Identity) -> Result<(), Errno> {
    match &identity.name {
        Some(name) => nix::unistd::initgroups(name, identity.gid)?,
        None => setgroups(&[identity.gid])?,
    }
    setgid(identity.gid)?;
    setuid(identity.uid)
}
