//! Processes as a table: each with its peak while they are few, summed up by name when many.

use std::{collections::BTreeMap, fmt};

use super::{
    command_line,
    page::{LABEL, Look, Page, fit, right},
};
use crate::{
    report::schema::{ProcessRow, Report},
    units::{Bytes, Count, Nanos},
};

/// Lines of the table.
const MOST: usize = 12;
/// Levels of descent that show.
const DEEPEST: usize = 4;

/// Writes the section.
pub(super) fn write(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let target = &report.target;
    let alive = match target.processes_alive {
        0 => String::new(),
        alive => format!(", {} still running", Count(alive)),
    };
    let many = report.processes.len() > MOST || !report.folded.is_empty();
    let order = if many {
        "; by command, the largest first"
    } else {
        ""
    };
    let folded: u64 = report.folded.iter().map(|row| row.rows).sum();
    let rows = report.processes.len() as u64 + folded;
    let execs = if many && rows > target.processes_seen {
        format!(", {} counting execs", Count(rows))
    } else {
        String::new()
    };
    let all = format!(
        "{} in all{alive}{execs}{order}",
        Count(target.processes_seen)
    );
    page.hanging("processes", LABEL, Look::Plain, &all)?;
    match (many, report.processes.is_empty()) {
        (true, _) => by_command(page, report),
        (false, true) => Ok(()),
        (false, false) => one_by_one(page, report),
    }
}

fn one_by_one(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let rows = &report.processes;
    // A column for a class that hardly any program uses is only shown where one does.
    let peaks = || rows.iter().filter_map(|row| row.peak);
    let shared = peaks().any(|peak| peak.shmem_bytes.unwrap_or(0) != 0);
    // So is that of PIDs in containers.
    let inside = rows.iter().any(|row| row.pid_inside.is_some());
    let line = |cells: [&str; 7]| {
        let [peak, anon, file, shmem, at, pid, pid_inside] = cells;
        let mut text = right(peak, 9) + &right(anon, 10) + &right(file, 10);
        if shared {
            text += &right(shmem, 10);
        }
        text += &(right(at, 9) + &right(pid, 8));
        if inside {
            text += &right(pid_inside, 8);
        }
        text + "  "
    };
    let heads = line(["peak", "anon", "files", "shared", "at", "pid", "inside"]);
    page.line(&[(Look::Dim, &heads), (Look::Dim, "command")])?;
    for (depth, row) in tree(rows) {
        let pid = row.pid.map_or("?".to_owned(), |pid| pid.to_string());
        let own = row.pid_inside.map_or("-".to_owned(), |pid| pid.to_string());
        let cells = match &row.peak {
            Some(peak) => {
                let class = |bytes: Option<i64>| bytes.map_or("?".into(), size);
                let at = peak
                    .at_ns
                    .map_or("?".to_owned(), |at_ns| Nanos(at_ns).to_string());
                let [anon, file, shmem] =
                    [peak.anon_bytes, peak.file_bytes, peak.shmem_bytes].map(class);
                line([&size(peak.rss_bytes), &anon, &file, &shmem, &at, &pid, &own])
            }
            None => line(["-", "-", "-", "-", "-", &pid, &own]),
        };
        page.line(&[(Look::Plain, &cells), (Look::Plain, &described(depth, row))])?;
    }
    Ok(())
}

fn size(bytes: i64) -> String {
    Bytes(bytes).to_string()
}

/// The command of a row, indented by descent.
fn described(depth: usize, row: &ProcessRow) -> String {
    let indent = " ".repeat(2 * depth.min(DEEPEST));
    let entered = if row.image > 0 { "exec " } else { "" };
    let what = match (row.argv.is_empty(), row.comm.is_empty()) {
        (false, _) => short_command(&row.argv),
        (true, false) => row.comm.clone(),
        (true, true) => "?".to_owned(),
    };
    let cut = if row.argv_cut { " …" } else { "" };
    let shares = if row.shares_space_with.is_some() {
        " (no memory of its own)"
    } else {
        ""
    };
    // The remark matters more than the end of a long command line.
    let what = if shares.is_empty() {
        what
    } else {
        fit(&what, 8)
    };
    format!("{indent}{entered}{what}{cut}{shares}")
}

/// The command line with the program's name without its directory.
fn short_command(argv: &[String]) -> String {
    let mut argv = argv.to_vec();
    if let Some(name) = argv.first_mut() {
        let end = name
            .trim_end_matches('/')
            .rfind('/')
            .map_or(0, |slash| slash + 1);
        name.drain(..end);
    }
    command_line(&argv)
}

/// Rows with their depth: children below the program that started them, execs after those.
fn tree(rows: &[ProcessRow]) -> Vec<(usize, &ProcessRow)> {
    let anchors: Vec<Option<usize>> = (0..rows.len()).map(|i| anchor(rows, i)).collect();
    let mut ordered = Vec::with_capacity(rows.len());
    let roots = (0..rows.len()).filter(|i| anchors[*i].is_none());
    // A stack of what is still to be written, the next one last.
    let mut open: Vec<(usize, usize)> = roots.map(|i| (0, i)).rev().collect();
    while let Some((depth, i)) = open.pop() {
        ordered.push((depth, &rows[i]));
        let followers = || (0..rows.len()).rev().filter(|j| anchors[*j] == Some(i));
        open.extend(
            followers()
                .filter(|j| rows[*j].image > 0)
                .map(|j| (depth, j)),
        );
        open.extend(
            followers()
                .filter(|j| rows[*j].image == 0)
                .map(|j| (depth + 1, j)),
        );
    }
    ordered
}

/// Row below which a row stands: the program before its exec, or the one that started it. It is
/// always an earlier one, so that there is no way round in a circle.
fn anchor(rows: &[ProcessRow], i: usize) -> Option<usize> {
    let row = &rows[i];
    let earlier = || rows[..i].iter().enumerate().rev();
    if row.image > 0 {
        let before = (row.pid, row.image - 1);
        return earlier()
            .find(|(_, other)| (other.pid, other.image) == before)
            .map(|(j, _)| j);
    }
    let parent = row.parent_pid?;
    earlier()
        .find(|(_, other)| other.pid == Some(parent))
        .map(|(j, _)| j)
}

/// Rows of one name.
#[derive(Default)]
struct Group {
    rows: u64,
    largest: Option<i64>,
    sum: i64,
}

impl Group {
    fn add(&mut self, rows: u64, largest: Option<i64>, sum: i64) {
        self.rows += rows;
        self.largest = self.largest.max(largest);
        self.sum = self.sum.saturating_add(sum);
    }
}

fn by_command(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for row in &report.processes {
        let peak = row.peak.map(|peak| peak.rss_bytes);
        groups
            .entry(&row.comm)
            .or_default()
            .add(1, peak, peak.unwrap_or(0));
    }
    for row in &report.folded {
        let group = groups.entry(&row.comm).or_default();
        group.add(row.rows, row.peak_max_bytes, row.peak_sum_bytes);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(comm, group)| (std::cmp::Reverse(group.largest), *comm));
    let line = |count: &str, largest: &str, sum: &str| {
        right(largest, 11) + &right(count, 11) + &right(sum, 15) + "  "
    };
    page.line(&[
        (Look::Dim, &line("count", "largest", "sum of peaks")),
        (Look::Dim, "command"),
    ])?;
    // One more fits where the line that sums up the rest would be.
    let shown = if groups.len() > MOST {
        MOST - 1
    } else {
        groups.len()
    };
    let rest = groups.split_off(shown);
    for (comm, group) in &groups {
        let comm = if comm.is_empty() { "?" } else { comm };
        let largest = group.largest.map_or("-".to_owned(), size);
        let cells = line(&Count(group.rows).to_string(), &largest, &size(group.sum));
        page.line(&[(Look::Plain, &cells), (Look::Plain, comm)])?;
    }
    if rest.is_empty() {
        return Ok(());
    }
    let mut others = Group::default();
    for (_, group) in &rest {
        others.add(group.rows, group.largest, group.sum);
    }
    let largest = others.largest.map_or("-".to_owned(), size);
    let cells = line(&Count(others.rows).to_string(), &largest, &size(others.sum));
    let names = format!("{} other commands", Count(rest.len() as u64));
    page.line(&[(Look::Plain, &cells), (Look::Dim, &names)])
}
