//! Descriptors that the event loop waits for.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// Makes the event loop wait for a descriptor to become readable, by a duplicate of its own.
///
/// # Errors
///
/// If there is no descriptor left, or if this one cannot be waited for.
pub(super) fn watch(fd: &impl AsFd) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = fd.as_fd().try_clone_to_owned()?;
    // SAFETY: the duplicate is owned by what is returned, and an `OwnedFd` stays the same
    // descriptor for its whole life.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(Into::into)
}
