//! Signals that are to end a run with a report, instead of memtrace.

use anyhow::Context as _;
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};

/// Holds back the signals by which people end a program: SIGINT and SIGTERM, in this thread and
/// those that it starts from here on.
///
/// # Errors
///
/// If the kernel refuses.
pub fn hold_back() -> anyhow::Result<SigSet> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGINT);
    mask.add(Signal::SIGTERM);
    mask.thread_block().context("signals cannot be held back")?;
    Ok(mask)
}

/// Holds them back, to be read from a descriptor that never waits.
///
/// # Errors
///
/// If the kernel refuses.
pub fn wait_for() -> anyhow::Result<SignalFd> {
    SignalFd::with_flags(
        &hold_back()?,
        SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC,
    )
    .context("signals cannot be waited for")
}
