//! What other instruments say of the same run: those of the target and of the program that was
//! asked about one by one, all others in one line for each instrument. What could not be read is
//! told in JSON alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::page::{Look, Page, left, right};
use crate::{
    report::schema::{Check, CountCheck, ProcessRow, Report, Verdict},
    units::{Bytes, Count},
};

/// Columns up to where the verdicts of many stand.
const NAMES: usize = 26;

/// Writes the section; nothing if no reading was taken.
pub(super) fn write(page: &mut Page<'_>, report: &Report) -> fmt::Result {
    let main = main_row(report);
    let others = report
        .processes
        .iter()
        .filter(|row| !main.is_some_and(|m| std::ptr::eq(m, *row)));
    let others: Vec<_> = others.flat_map(|row| &row.checks).collect();
    let is_told = |line: &Line<'_>| line.verdict != Verdict::Unavailable;
    let of_all: Vec<_> = report
        .checks
        .iter()
        .map(Line::of)
        .chain(report.count_checks.iter().map(Line::of_count))
        .filter(is_told)
        .collect();
    // Of a single process most is the same twice.
    let is_told_above = |line: &Line<'_>| {
        let mut above = of_all.iter();
        report.processes.len() == 1 && above.any(|it| (it.name, &it.why) == (line.name, &line.why))
    };
    let of_main: Vec<_> = main
        .iter()
        .flat_map(|row| row.checks.iter().map(Line::of))
        .filter(|line| is_told(line) && !is_told_above(line))
        .collect();
    let mut said = BTreeSet::new();
    if of_all.is_empty() && of_main.is_empty() && others.is_empty() {
        return Ok(());
    }
    page.gap()?;
    page.labelled(
        "other tools",
        &[(Look::Plain, "what they say of the same run")],
    )?;
    if !of_all.is_empty() {
        page.line(&[(Look::Dim, "  of all together")])?;
        group(page, &of_all, &mut said)?;
    }
    if let Some(row) = main.filter(|_| !of_main.is_empty()) {
        let pid = row.pid.map_or("?".to_owned(), |pid| pid.to_string());
        page.line(&[(Look::Dim, &format!("  of PID {pid}, {}", row.comm))])?;
        group(page, &of_main, &mut said)?;
    }
    if others.is_empty() {
        return Ok(());
    }
    page.line(&[(Look::Dim, "  of the other processes")])?;
    summed(page, &others)
}

/// The program that the user asked about: of those that no other one of the target started, the
/// row with the highest peak.
fn main_row(report: &Report) -> Option<&ProcessRow> {
    let roots = report
        .processes
        .iter()
        .filter(|row| row.parent_pid.is_none());
    roots.max_by_key(|row| row.peak.map(|peak| peak.rss_bytes))
}

/// A reading in words.
struct Line<'a> {
    name: &'a str,
    figure: String,
    diff: String,
    verdict: Verdict,
    why: &'a str,
}

impl<'a> Line<'a> {
    fn of(check: &'a Check) -> Self {
        let bytes = check
            .bytes
            .map_or("-".to_owned(), |b| Bytes(b.cast_signed()).to_string());
        let diff = check
            .diff_bytes
            .map_or(String::new(), |diff| format!("{:+}", Bytes(diff)));
        Self {
            name: &check.against,
            figure: bytes,
            diff,
            verdict: check.verdict,
            why: &check.why,
        }
    }

    fn of_count(check: &'a CountCheck) -> Self {
        let diff = check.diff.map_or(String::new(), |diff| {
            let sign = if diff < 0 { "-" } else { "+" };
            format!("{sign}{}", Count(diff.unsigned_abs()))
        });
        Self {
            name: check.against,
            figure: Count(check.count).to_string(),
            diff,
            verdict: check.verdict,
            why: &check.why,
        }
    }
}

/// Those that differ one by one, each reason once; then those that do not, in one line.
fn group<'a>(page: &mut Page<'_>, lines: &[Line<'a>], said: &mut BTreeSet<&'a str>) -> fmt::Result {
    let (equal, differ): (Vec<_>, Vec<_>) = lines
        .iter()
        .partition(|line| line.verdict == Verdict::Equal);
    for (i, line) in differ.iter().enumerate() {
        let name = left(line.name, NAMES - 4);
        let figures = right(&line.figure, 10) + &right(&line.diff, 12) + "  ";
        let (look, word) = worded(line.verdict);
        page.line(&[
            (Look::Plain, "    "),
            (Look::Plain, &name),
            (Look::Plain, &figures),
            (look, word),
        ])?;
        let is_last = differ.get(i + 1).is_none_or(|next| next.why != line.why);
        if is_last && said.insert(line.why) {
            page.wrapped(8, Look::Dim, line.why)?;
        }
    }
    if equal.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = equal.iter().map(|line| line.name).collect();
    page.hanging("    equal", NAMES, Look::Good, &names.join(", "))
}

fn worded(verdict: Verdict) -> (Look, &'static str) {
    match verdict {
        Verdict::Equal => (Look::Good, "equal"),
        Verdict::KernelLow => (Look::Bad, "too low"),
        Verdict::KernelHigh => (Look::Bad, "too high"),
        Verdict::Inherited => (Look::Bad, "inherited"),
        Verdict::CoversMore => (Look::Plain, "covers more"),
        Verdict::CoversLess => (Look::Plain, "covers less"),
        Verdict::BeforeAttach => (Look::Plain, "from before"),
        Verdict::Unavailable => (Look::Dim, "not known"),
    }
}

/// One line for each instrument: how many of each verdict, and the largest difference.
fn summed(page: &mut Page<'_>, checks: &[&Check]) -> fmt::Result {
    let mut instruments: BTreeMap<&str, Vec<(Verdict, u64, i64)>> = BTreeMap::new();
    for check in checks {
        if check.verdict == Verdict::Unavailable {
            continue;
        }
        let diff = check.diff_bytes.unwrap_or(0);
        let verdicts = instruments.entry(&check.against).or_default();
        match verdicts
            .iter_mut()
            .find(|(verdict, ..)| *verdict == check.verdict)
        {
            Some((_, count, widest)) => {
                *count += 1;
                if diff.unsigned_abs() > widest.unsigned_abs() {
                    *widest = diff;
                }
            }
            None => verdicts.push((check.verdict, 1, diff)),
        }
    }
    for (name, mut verdicts) in instruments {
        verdicts.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
        let parts = verdicts.iter().map(|(verdict, count, widest)| {
            let word = worded(*verdict).1;
            let most = match widest {
                0 => String::new(),
                _ => format!(" (up to {:+})", Bytes(*widest)),
            };
            format!("{} {word}{most}", Count(*count))
        });
        let parts: Vec<_> = parts.collect();
        page.hanging(
            &format!("    {name}"),
            NAMES,
            Look::Plain,
            &parts.join(", "),
        )?;
    }
    Ok(())
}
