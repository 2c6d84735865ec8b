//! memtrace: the exact peak memory of a command, a process tree or a PID.
//!
//! Data flows one way: `kernel` (rings, ledgers) and `readings` make [`event::Event`]s, `model`
//! applies them, `report` sums the model up, `render` formats the report. Only `kernel` talks to
//! BPF, only `session` knows time, signals and children.

pub mod capture;
pub mod cgroup;
pub mod check;
pub mod cli;
pub mod command;
pub mod copies;
pub mod decode;
pub mod event;
pub mod failure;
pub mod functions;
pub mod host;
pub mod judge;
pub mod kernel;
pub mod kmsg;
pub mod latency;
pub mod mark;
pub mod model;
pub mod output;
pub mod readings;
pub mod render;
pub mod replay;
pub mod report;
pub mod sampler;
pub mod session;
pub mod signals;
pub mod units;
pub mod unprivileged;
