//! A process that the kernel chose to be killed for want of memory.

use tracer_common::{ledger::Split, record};

use super::process::{name, number};

/// What was known of it, and of the target, at that moment.
#[derive(Clone, Debug)]
pub struct Victim {
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
    /// It is a process of the target.
    pub is_own: bool,
    /// Its PID in memtrace's namespace; `None` if it has none there.
    pub pid: Option<u32>,
    /// Its name.
    pub comm: String,
    /// PID of whoever asked for the page that was not to be had.
    pub asker_pid: Option<u32>,
    /// Its name.
    pub asker_comm: String,
    /// Exact level of its space, pages; `None` if that has no ledger.
    pub level: Option<Split>,
    /// Level of the target, pages.
    pub target_rss: i64,
    /// What the stream had last told of each space: number and resident pages, the largest first.
    pub levels: Vec<(u32, i64)>,
}

impl Victim {
    /// Of a record, with the levels of that time.
    pub fn of(record: &record::Victim, levels: Vec<(u32, i64)>) -> Self {
        Self {
            at_ns: record.header.at_ns,
            is_own: record.process != 0,
            pid: number(record.pid),
            comm: name(&record.comm),
            asker_pid: number(record.asker_pid),
            asker_comm: name(&record.asker_comm),
            level: (record.space != 0).then_some(record.level),
            target_rss: record.target_rss,
            levels,
        }
    }
}
