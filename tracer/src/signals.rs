//! Signals that are to end a run with a report, instead of memtrace.

use anyhow::Context as _;
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};

use crate::host;

/// Holds back the signals by which people end a program: SIGINT, SIGTERM and, unless memtrace was
/// started to ignore it (`nohup`), SIGHUP; in this thread and those that it starts from here on.
///
/// # Errors
///
/// If the kernel refuses.
pub fn hold_back() -> anyhow::Result<SigSet> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGINT);
    mask.add(Signal::SIGTERM);
    // Held back, even a signal that is ignored would be read.
    if !is_ignored(Signal::SIGHUP) {
        mask.add(Signal::SIGHUP);
    }
    mask.thread_block().context("signals cannot be held back")?;
    Ok(mask)
}

/// Whether this process ignores a signal, as `/proc` tells.
fn is_ignored(signal: Signal) -> bool {
    host::own_mask("SigIgn:") >> (signal as i32 - 1) & 1 != 0
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
