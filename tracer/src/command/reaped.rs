//! The end of the command: waiting for it without missing it, and what the kernel says it used.

use std::{io, os::fd::OwnedFd};

use nix::unistd::Pid;

use crate::event::Reading;

/// A command that ended.
#[derive(Clone, Debug)]
pub struct Reaped {
    /// Wait status.
    pub status: i32,
    /// What `wait4` says it used.
    pub reading: Reading,
}

/// A descriptor that becomes readable when the process ends.
///
/// # Errors
///
/// If the kernel does not give one.
pub fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::pidfd_open(
        pid,
        rustix::process::PidfdFlags::empty(),
    )?)
}

/// Takes the status of a child that has ended, or waits until it has.
///
/// # Errors
///
/// If it is no child of this process.
pub fn reap(pid: Pid) -> io::Result<Reaped> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both places are valid for writes; `rusage` is plain numbers, zeroed above.
        let reaped = unsafe { libc::wait4(pid.as_raw(), &mut status, 0, usage.as_mut_ptr()) };
        if reaped == pid.as_raw() {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: zeroed, then filled by the kernel; any bits are a value.
    let usage = unsafe { usage.assume_init() };
    Ok(Reaped {
        status,
        reading: Reading::Wait4 {
            pid: pid.as_raw() as u32,
            max_rss_bytes: usage.ru_maxrss as u64 * 1024,
            minor_faults: usage.ru_minflt as u64,
            major_faults: usage.ru_majflt as u64,
        },
    })
}
