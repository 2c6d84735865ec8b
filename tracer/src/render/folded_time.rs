//! Time at each level as folded stacks, for `flamegraph.pl --countname us` and its like.
//!
//! A stack is the line of descent of a process by name, then one frame for each power of two that
//! its level reached: `make;cc1;1MiB+;2MiB+ 250` says that for 250 µs it held from 2 to 4 MiB. So
//! a frame is as wide as the time for which at least that much was held, and a high tower is a
//! large program. Times of processes that ran side by side add up.
//!
//! While a phase of the process is open, the innermost stands in brackets between the two:
//! `make;cc1;[parse];1MiB+`.

use std::{
    collections::{BTreeMap, HashMap},
    io,
};

use super::phases::Owners;
use crate::{
    report::schema::{ProcessRow, Report},
    units::Bytes,
};

const NS_PER_US: u64 = 1_000;
/// Less than this has no frame of its own.
const LEAST_BYTES: i64 = 1 << 20;
/// Frames of descent; those in the middle of a longer line are left out.
const DEEPEST: usize = 24;

/// Writes a line for each stack, by name.
pub fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    let lines = descents(&report.processes);
    let owners = Owners::of(report);
    let mut stacks: BTreeMap<String, u64> = BTreeMap::new();
    for (row, line) in report.processes.iter().zip(lines) {
        let mut phases = owners.process(row.pid);
        for pair in row.timeline.points.windows(2) {
            let bytes = pair[0].rss_bytes();
            if bytes <= 0 {
                continue;
            }
            let (mut from_ns, to_ns) = (pair[0].at_ns, pair[1].at_ns);
            while from_ns < to_ns {
                let spell = phases.at(from_ns);
                let until_ns = spell.until_ns.min(to_ns);
                let stack = stack(&line, spell.name, bytes);
                *stacks.entry(stack).or_default() += until_ns - from_ns;
                from_ns = until_ns;
            }
        }
    }
    for (stack, ns) in stacks {
        let us = ns / NS_PER_US;
        if us > 0 {
            writeln!(out, "{stack} {us}")?;
        }
    }
    Ok(())
}

fn stack(line: &[&str], phase: Option<&str>, bytes: i64) -> String {
    let mut stack: Vec<String> = line.iter().map(|name| frame(name)).collect();
    stack.extend(phase.map(|name| format!("[{}]", frame(name))));
    let mut level = LEAST_BYTES;
    while level <= bytes {
        stack.push(format!("{}+", Bytes(level)));
        let Some(next) = level.checked_mul(2) else {
            break;
        };
        level = next;
    }
    stack.join(";")
}

/// A name without what has a meaning in the format.
fn frame(name: &str) -> String {
    match name {
        "" => "?".to_owned(),
        _ => name.replace(|c: char| c == ';' || c.is_control(), "?"),
    }
}

/// The names from the first ancestor down to each row.
fn descents(rows: &[ProcessRow]) -> Vec<Vec<&str>> {
    let mut latest: HashMap<u32, usize> = HashMap::new();
    let mut lines: Vec<Vec<&str>> = Vec::with_capacity(rows.len());
    for (i, row) in rows.iter().enumerate() {
        // Rows are by start: a parent stands before its children, as what it was then.
        let parent = row.parent_pid.and_then(|parent| latest.get(&parent));
        let mut line = parent.map_or_else(Vec::new, |parent| lines[*parent].clone());
        if line.len() >= DEEPEST {
            line.pop();
        }
        line.push(&row.comm);
        lines.push(line);
        if let Some(pid) = row.pid {
            latest.insert(pid, i);
        }
    }
    lines
}
