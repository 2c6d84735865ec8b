//! The programs, one file per subject. Each finds out whom an event concerns and leaves the rest
//! to the ledger.

mod census;
mod exec;
mod floor;
mod function;
mod mark;
mod probe;
mod process;
mod rss;
mod syscalls;
mod vm;
