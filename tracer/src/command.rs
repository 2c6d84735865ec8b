//! The command that memtrace runs: held back until the hooks are on, then exec'ed as its user.
//!
//! Knows processes and users, nothing of BPF.

pub mod holder;
pub mod identity;
pub mod reaped;
