//! The command among the processes of a tool that ran it: found by its exec, with all that came
//! from it. What is left of a report is that of the command alone.

use std::{
    collections::{BTreeSet, HashSet},
    ffi::OsString,
    fs::File,
    io::Read,
};

use anyhow::Context as _;

use super::{pass::Follows, track::Whose};
use crate::{
    event::TargetAsked,
    model::timeline::{MAX_POINTS, Point, Timeline},
    report::schema::{PhaseScope, ProcessRow, Report, TargetPeak},
};

/// The command, as an exec of it would look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// As it was typed.
    pub argv: Vec<String>,
    /// What the kernel puts before it, if it is a script: the interpreter and its argument.
    interpreter: Vec<String>,
}

/// The first line of a script is no longer (`BINPRM_BUF_SIZE`).
const FIRST_LINE: u64 = 256;

impl Command {
    /// Of these arguments; looks at the file that they name.
    pub fn of(command: &[OsString]) -> Self {
        let argv = command.iter();
        Self {
            argv: argv
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            interpreter: command.first().map_or_else(Vec::new, |program| {
                let file = which::which(program).map(File::open);
                let mut line = Vec::new();
                if let Ok(Ok(file)) = file {
                    let _ = file.take(FIRST_LINE).read_to_end(&mut line);
                }
                interpreter(&String::from_utf8_lossy(&line))
            }),
        }
    }

    /// A row is of it, by its arguments: the program's folder may be told or not.
    fn is_of(&self, row: &ProcessRow) -> bool {
        let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
        let expected = self.interpreter.iter().chain(&self.argv);
        let expected: Vec<_> = expected.collect();
        let (told, program) = (row.argv.as_slice(), self.interpreter.len());
        let is_cut = row.argv_cut && !told.is_empty() && told.len() <= expected.len();
        if told.len() != expected.len() && !is_cut {
            return false;
        }
        let last = told.len() - 1;
        let mut words = told.iter().zip(&expected).enumerate();
        words.all(|(i, (told, expected))| match i {
            _ if is_cut && i == last => expected.starts_with(told.as_str()),
            _ if i == program => name(told) == name(expected),
            _ => told == *expected,
        })
    }
}

/// What the kernel makes of the first line of a script: two words at most.
fn interpreter(text: &str) -> Vec<String> {
    let Some(line) = text.strip_prefix("#!").and_then(|text| text.lines().next()) else {
        return Vec::new();
    };
    let (program, argument) = line
        .trim()
        .split_once([' ', '\t'])
        .unwrap_or((line.trim(), ""));
    let words = [program, argument.trim()].into_iter();
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The command's part of a run.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its spaces.
    pub spaces: HashSet<u32>,
    /// Its first process.
    pub root: u32,
    /// How often the tool ran it, one after the other or side by side.
    pub times: usize,
    /// Places of its rows among those of the whole run.
    rows: BTreeSet<usize>,
}

impl Part {
    /// Finds it.
    ///
    /// # Errors
    ///
    /// If there was no exec of it.
    pub fn find(report: &Report, command: &Command) -> anyhow::Result<Self> {
        let mut order: Vec<_> = report.processes.iter().enumerate().collect();
        order.sort_by_key(|(_, row)| row.start_ns);
        // PIDs that are the command's now.
        let mut own: HashSet<u32> = HashSet::new();
        let mut part = Self {
            spaces: HashSet::new(),
            root: 0,
            times: 0,
            rows: BTreeSet::new(),
        };
        for (place, row) in order {
            let Some(pid) = row.pid else { continue };
            if row.image == 0 {
                // A PID may come again.
                own.remove(&pid);
                if row.parent_pid.is_some_and(|parent| own.contains(&parent)) {
                    own.insert(pid);
                }
            }
            // A forked copy has its parent's arguments; that of the command is its own anyway.
            if !own.contains(&pid) && command.is_of(row) {
                own.insert(pid);
                part.times += 1;
                if part.root == 0 {
                    part.root = pid;
                }
            }
            if own.contains(&pid) {
                part.rows.insert(place);
                part.spaces.extend(row.space);
            }
        }
        anyhow::ensure!(
            part.times > 0,
            "none of the {} processes of the tool executed the command ({}), so that nothing can \
             be held against it. Does {{}} stand where the tool takes a command?",
            report.processes.len(),
            command.argv.join(" ")
        );
        Ok(part)
    }

    /// The report of the command alone, and the tool's own rows. What is told of all together only
    /// is not in it.
    ///
    /// # Errors
    ///
    /// If the command held nothing.
    pub fn of(
        &self,
        mut report: Report,
        command: &Command,
        level: Highest,
    ) -> anyhow::Result<(Report, Vec<ProcessRow>)> {
        let rows = std::mem::take(&mut report.processes)
            .into_iter()
            .enumerate();
        let (own, tools): (Vec<_>, Vec<_>) = rows.partition(|(i, _)| self.rows.contains(i));
        report.processes = own.into_iter().map(|(_, row)| row).collect();
        let tools = tools.into_iter().map(|(_, row)| row).collect();
        report.target.asked = TargetAsked::Command {
            argv: command.argv.clone(),
            pid: self.root,
            follow: true,
        };
        let alive = report
            .processes
            .iter()
            .filter(|row| row.end_ns.is_none())
            .count();
        report.target.processes_alive = alive as u64;
        report.phases.retain(|phase| {
            let is_own = report.processes.iter().any(|row| {
                row.pid == phase.pid && row.start_ns.is_some_and(|at_ns| at_ns <= phase.start_ns)
            });
            phase.scope != PhaseScope::Target && is_own
        });
        report.checks.clear();
        let peak = self.peak(&report, &level)?;
        let certainty = &mut report.certainty;
        let is_whole = certainty.stream.agrees == Some(true) && report.folded.is_empty();
        certainty.peak_error_bound_bytes = match self.spaces.len() {
            _ if !certainty.exact => None,
            1 => Some(0),
            _ if !is_whole => None,
            // Each of them may have moved by less than that since the history told of it.
            _ => Some(
                certainty
                    .stream
                    .allowed_bytes
                    .saturating_mul(at_once(&report.processes)),
            ),
        };
        report.peak = Some(peak);
        report.timeline.points = level.points();
        Ok((report, tools))
    }

    /// The peak of all of it at once. Of one space the ledger has it; of several it is the highest
    /// sum in the history, or the peak of one if that is more.
    fn peak(&self, report: &Report, level: &Highest) -> anyhow::Result<TargetPeak> {
        let ledgers = report.processes.iter().filter_map(|row| row.peak);
        let highest = ledgers.max_by_key(|peak| peak.rss_bytes);
        let highest = highest.context("the command held no memory of its own")?;
        let mut peak = TargetPeak {
            rss_bytes: level.bytes,
            at_ns: Some(level.at_ns),
            anon_bytes: None,
            file_bytes: None,
            shmem_bytes: None,
            swap_bytes: None,
            pagetable_bytes: None,
            hugetlb_bytes: None,
            processes: None,
            spaces: None,
            phase: None,
        };
        if self.spaces.len() == 1 || highest.rss_bytes >= level.bytes {
            (peak.rss_bytes, peak.at_ns) = (highest.rss_bytes, highest.at_ns);
        }
        Ok(peak)
    }
}

/// Spaces that lived at the same time, at most.
fn at_once(rows: &[ProcessRow]) -> u64 {
    let own = rows.iter().filter(|row| row.space.is_some());
    let mut moments: Vec<(u64, i64)> = own
        .flat_map(|row| {
            let (begin_ns, end_ns) = (row.start_ns.unwrap_or(0), row.end_ns.unwrap_or(u64::MAX));
            [(begin_ns, 1), (end_ns, -1)]
        })
        .collect();
    // Of equal times beginnings first, as for the kernel in an exec.
    moments.sort_by_key(|(at_ns, by)| (*at_ns, -by));
    let (mut now, mut most) = (0_i64, 0);
    for (_, by) in moments {
        now += by;
        most = most.max(now);
    }
    most.unsigned_abs()
}

/// The highest level of a part of the run, and its history.
#[derive(Clone, Debug)]
pub struct Highest {
    bytes: i64,
    at_ns: u64,
    history: Timeline<i64>,
}

impl Default for Highest {
    fn default() -> Self {
        Self {
            bytes: 0,
            at_ns: 0,
            history: Timeline::new(MAX_POINTS),
        }
    }
}

impl Highest {
    fn points(&self) -> Vec<(u64, i64)> {
        let points = self.history.points();
        points
            .iter()
            .map(|point| (point.at_ns, point.pages))
            .collect()
    }
}

impl Follows for Highest {
    fn whose(&self) -> Whose {
        Whose::Target
    }

    fn end_ns(&self) -> u64 {
        // Memory that is being torn down counts: nothing is hidden from it.
        0
    }

    fn level(&mut self, at_ns: u64, bytes: i64, _hidden_bytes: i64) {
        if bytes > self.bytes {
            (self.bytes, self.at_ns) = (bytes, at_ns);
        }
        self.history.add(Point {
            at_ns,
            pages: bytes,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_known_by_what_the_kernel_makes_of_its_first_line() {
        assert_eq!(interpreter("#! /bin/sh -e x \necho"), ["/bin/sh", "-e x"]);
        assert_eq!(
            interpreter("#!/usr/bin/env python3\n"),
            ["/usr/bin/env", "python3"]
        );
        assert!(interpreter("\x7fELF").is_empty());
    }
}
