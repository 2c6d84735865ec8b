//! The report: a plain value that says everything memtrace found out, in bytes and nanoseconds.
//!
//! `schema` is the shape that the outside sees, `build` makes it from the model
//! (`history` what it says over time, `phases`, `vm` and `syscalls` of those), `checks` holds
//! other instruments' readings against the ledger, `certainty` says what the numbers are worth.
//! `sampled` makes it from looks at `/proc`, where nothing could be traced.

mod budget;
mod build;
pub mod certainty;
mod cgroup;
mod checks;
mod history;
mod oom;
mod phases;
mod pss;
mod refusals;
pub mod sampled;
pub mod schema;
mod scope;
mod syscalls;
mod vm;
