//! The programs, one file per subject. Each finds out whom an event concerns and leaves the rest
//! to the ledger.

mod again;
mod cache;
mod census;
mod cgroup;
mod exec;
mod fault;
mod floor;
mod function;
mod mark;
mod oom;
mod probe;
pub mod process;
mod rss;
mod syscalls;
mod vm;
mod vm_function;
