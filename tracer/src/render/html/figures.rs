//! What the page draws: the report cut down to what can be seen, so that the file stays small.

mod phases;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use serde::Serialize;

use self::phases::Phases;
use crate::{
    judge::schema::{ByError, Interval, Judgement, Need, ToolVerdict},
    model::timeline::{Point, Timeline},
    report::schema::{
        Budget, Certainty, CgroupSection, Check, ClassTimeline, CountCheck, CountedOnce, Exit,
        Histograms, Host, Oom, Overhead, ProcessRow, Refusals, Report, TargetPeak, TargetSection,
        Tool, Verdict, Vm,
    },
};

/// Rows drawn, at most: half of them those with the highest peaks, half those that held the most
/// for the longest time.
const MOST_ROWS: usize = 400;
/// Commands whose processes are summed up, and points of each, at most.
const MOST_COMMANDS: usize = 7;
const COMMAND_POINTS: usize = 3_000;
/// Points of all rows together, at most, as far as each may keep [`LEAST_POINTS`].
const MOST_POINTS: usize = 32_000;
const LEAST_POINTS: usize = 16;
/// Characters of a command line.
const MOST_CHARS: usize = 240;
const NS_PER_US: u64 = 1_000;

/// See the module.
#[derive(Serialize)]
pub(super) struct Figures<'a> {
    tool: &'a Tool,
    host: &'a Host,
    target: &'a TargetSection,
    started_at: &'a str,
    duration_ns: u64,
    exit: Option<Exit>,
    certainty: &'a Certainty,
    peak: Option<&'a TargetPeak>,
    budget: Option<Budget>,
    counted_once: &'a CountedOnce,
    /// Page size in bytes: series are in pages.
    page_bytes: u64,
    /// Microseconds and pages of the target, each as the difference to the one before.
    total: Vec<i64>,
    /// Microseconds, anonymous, file and shared pages, likewise.
    classes: Vec<i64>,
    rows: Vec<Row<'a>>,
    /// The commands that held the most for the longest time.
    commands: Vec<Command<'a>>,
    /// Commands that are not among these.
    commands_left_out: usize,
    /// Rows that are not drawn.
    rows_left_out: u64,
    phases: Phases<'a>,
    histograms: &'a Histograms,
    cgroup: Option<&'a CgroupSection>,
    oom: &'a [Oom],
    refusals: Option<&'a Refusals>,
    checks: &'a [Check],
    count_checks: &'a [CountCheck],
    row_checks: Vec<Judged<'a>>,
    overhead: Overhead,
    /// How wrong other tools are; `None` if that was not judged.
    judged: Option<Pollers<'a>>,
}

/// What the page needs of a judgement.
#[derive(Serialize)]
struct Pollers<'a> {
    intervals: &'a [Interval],
    needs: &'a ByError<Need>,
    tools: &'a [ToolVerdict],
    bound_bytes: Option<u64>,
}

/// A row as it is drawn.
#[derive(Serialize)]
struct Row<'a> {
    pid: Option<u32>,
    pid_inside: Option<u32>,
    image: u32,
    parent_pid: Option<u32>,
    comm: &'a str,
    command: String,
    start_ns: Option<u64>,
    end_ns: Option<u64>,
    exit: Option<Exit>,
    peak_bytes: Option<i64>,
    peak_at_ns: Option<u64>,
    anon_bytes: Option<i64>,
    file_bytes: Option<i64>,
    shmem_bytes: Option<i64>,
    p50_bytes: Option<i64>,
    p99_bytes: Option<i64>,
    /// Calls that changed the virtual size: what, how many, bytes; those that there were.
    calls: Vec<(&'static str, u64, u64)>,
    /// Microseconds and pages, each as the difference to the one before.
    level: Vec<i64>,
}

/// All processes of one name.
#[derive(Serialize)]
struct Command<'a> {
    comm: &'a str,
    /// Microseconds and pages, each as the difference to the one before.
    level: Vec<i64>,
}

/// Verdicts on one instrument over all rows.
#[derive(Serialize)]
struct Judged<'a> {
    against: &'a str,
    verdict: Verdict,
    rows: u64,
    /// The greatest of the differences, with its sign.
    diff_bytes: Option<i64>,
}

impl<'a> Figures<'a> {
    pub(super) fn of(report: &'a Report, judgement: Option<&'a Judgement>) -> Self {
        let page_bytes = report.host.page_bytes.max(1);
        let kept = kept(&report.processes);
        let (commands, commands_left_out) = commands(&report.processes, page_bytes);
        let each = (MOST_POINTS / kept.len().max(1)).max(LEAST_POINTS);
        let folded: u64 = report.folded.iter().map(|folded| folded.rows).sum();
        let total = report.timeline.points.iter();
        Self {
            tool: &report.tool,
            host: &report.host,
            target: &report.target,
            started_at: &report.started_at,
            duration_ns: report.duration_ns,
            exit: report.exit,
            certainty: &report.certainty,
            peak: report.peak.as_ref(),
            budget: report.budget,
            counted_once: &report.counted_once,
            page_bytes,
            total: differences(total.map(|(at_ns, bytes)| [us(*at_ns), pages(*bytes, page_bytes)])),
            classes: by_class(&report.timeline_by_class, page_bytes),
            rows_left_out: (report.processes.len() - kept.len()) as u64 + folded,
            rows: kept
                .iter()
                .map(|i| Row::of(&report.processes[*i], each, page_bytes))
                .collect(),
            commands,
            commands_left_out: commands_left_out + report.folded.len(),
            phases: Phases::of(report, page_bytes),
            histograms: &report.histograms,
            cgroup: report.cgroup.as_ref(),
            oom: &report.oom,
            refusals: report.refusals.as_ref(),
            checks: &report.checks,
            count_checks: &report.count_checks,
            row_checks: judged(&report.processes),
            overhead: report.overhead,
            judged: judgement.map(|judgement| Pollers {
                intervals: &judgement.of_target.intervals,
                needs: &judgement.of_target.needs,
                tools: &judgement.tools,
                bound_bytes: judgement.bound_bytes,
            }),
        }
    }
}

impl<'a> Row<'a> {
    fn of(row: &'a ProcessRow, most_points: usize, page_bytes: u64) -> Self {
        let mut level = Timeline::new(most_points);
        for point in &row.timeline.points {
            level.add(Point {
                at_ns: point.at_ns,
                pages: pages(point.rss_bytes(), page_bytes),
            });
        }
        let level = level.points();
        // Folders say little and take the room.
        let mut argv = row.argv.iter().map(String::as_str);
        let program = argv
            .next()
            .map(|name| name.rsplit('/').next().unwrap_or(name));
        let argv: Vec<_> = program.into_iter().chain(argv).collect();
        let mut command = argv.join(" ");
        if let Some((end, _)) = command.char_indices().nth(MOST_CHARS) {
            command.truncate(end);
            command.push('…');
        }
        let peak = row.peak.as_ref();
        Self {
            pid: row.pid,
            image: row.image,
            pid_inside: row.pid_inside,
            parent_pid: row.parent_pid,
            comm: &row.comm,
            command,
            start_ns: row.start_ns,
            end_ns: row.end_ns,
            exit: row.exit,
            peak_bytes: peak.map(|peak| peak.rss_bytes),
            peak_at_ns: peak.and_then(|peak| peak.at_ns),
            anon_bytes: peak.and_then(|peak| peak.anon_bytes),
            file_bytes: peak.and_then(|peak| peak.file_bytes),
            shmem_bytes: peak.and_then(|peak| peak.shmem_bytes),
            p50_bytes: row.time_at_level.map(|held| held.p50_bytes),
            p99_bytes: row.time_at_level.map(|held| held.p99_bytes),
            calls: row.vm.as_ref().map_or_else(Vec::new, calls),
            level: differences(level.iter().map(|point| [us(point.at_ns), point.pages])),
        }
    }
}

fn calls(vm: &Vm) -> Vec<(&'static str, u64, u64)> {
    let all = [
        ("mmap", vm.mmap.count, vm.mmap.bytes),
        ("munmap", vm.munmap.count, vm.munmap.bytes),
        ("mremap", vm.mremap.count, vm.mremap.bytes),
        ("brk", vm.brk.count, vm.brk.bytes),
        ("stack", vm.stack.count, vm.stack.bytes),
    ];
    all.into_iter().filter(|(_, count, _)| *count > 0).collect()
}

/// How much for how long, bytes times nanoseconds.
fn held(row: &ProcessRow) -> i128 {
    let pairs = row.timeline.points.windows(2);
    pairs
        .map(|pair| {
            let ns = pair[1].at_ns.saturating_sub(pair[0].at_ns);
            i128::from(pair[0].rss_bytes()) * i128::from(ns)
        })
        .sum()
}

/// The rows to draw, in their order.
fn kept(rows: &[ProcessRow]) -> BTreeSet<usize> {
    let peak = |i: &usize| Reverse(rows[*i].peak.map(|peak| peak.rss_bytes));
    let mut by_peak: Vec<usize> = (0..rows.len()).collect();
    let mut by_held = by_peak.clone();
    by_peak.sort_by_key(peak);
    by_held.sort_by_cached_key(|i| Reverse(held(&rows[*i])));
    let half = MOST_ROWS / 2;
    let largest = by_peak.iter().take(half);
    let mut kept: BTreeSet<usize> = largest.chain(by_held.iter().take(half)).copied().collect();
    // Where both say the same there is room for more.
    let mut more = by_peak.into_iter().skip(half);
    while kept.len() < MOST_ROWS.min(rows.len()) {
        kept.extend(more.next());
    }
    kept
}

/// The commands to tell apart, and how many there are besides.
fn commands(rows: &[ProcessRow], page_bytes: u64) -> (Vec<Command<'_>>, usize) {
    let mut totals: BTreeMap<&str, i128> = BTreeMap::new();
    for row in rows {
        *totals.entry(&row.comm).or_default() += held(row);
    }
    let mut ranked: Vec<_> = totals.into_iter().collect();
    ranked.sort_by_key(|(comm, held)| (Reverse(*held), *comm));
    let left_out = ranked.len().saturating_sub(MOST_COMMANDS);
    ranked.truncate(MOST_COMMANDS);
    let commands = ranked.into_iter().map(|(comm, _)| Command {
        comm,
        level: sum(rows.iter().filter(|row| row.comm == comm), page_bytes),
    });
    (commands.collect(), left_out)
}

/// The level of several rows together.
fn sum<'a>(rows: impl Iterator<Item = &'a ProcessRow>, page_bytes: u64) -> Vec<i64> {
    let mut moves: Vec<(u64, i64)> = Vec::new();
    for row in rows {
        let mut before = 0;
        for point in &row.timeline.points {
            let now = pages(point.rss_bytes(), page_bytes);
            moves.push((point.at_ns, now.wrapping_sub(before)));
            before = now;
        }
    }
    moves.sort_unstable();
    let mut level = Timeline::new(COMMAND_POINTS);
    let mut now = 0_i64;
    for at_once in moves.chunk_by(|a, b| a.0 == b.0) {
        now = at_once.iter().fold(now, |sum, m| sum.wrapping_add(m.1));
        level.add(Point {
            at_ns: at_once[0].0,
            pages: now,
        });
    }
    let level = level.points();
    differences(level.iter().map(|point| [us(point.at_ns), point.pages]))
}

fn us(at_ns: u64) -> i64 {
    (at_ns / NS_PER_US).cast_signed()
}

fn pages(bytes: i64, page_bytes: u64) -> i64 {
    bytes / page_bytes.cast_signed()
}

fn by_class(timeline: &ClassTimeline, page_bytes: u64) -> Vec<i64> {
    let pages = |bytes| pages(bytes, page_bytes);
    differences(timeline.points.iter().map(|point| {
        [
            us(point.at_ns),
            pages(point.anon_bytes),
            pages(point.file_bytes),
            pages(point.shmem_bytes),
        ]
    }))
}

/// Points as differences to the point before, one after the other: small numbers, few bytes.
fn differences<const N: usize>(points: impl Iterator<Item = [i64; N]>) -> Vec<i64> {
    let mut before = [0; N];
    let mut all = Vec::new();
    for point in points {
        all.extend((0..N).map(|i| point[i].wrapping_sub(before[i])));
        before = point;
    }
    all
}

fn judged(rows: &[ProcessRow]) -> Vec<Judged<'_>> {
    let mut groups: BTreeMap<(&str, String), Judged<'_>> = BTreeMap::new();
    for check in rows.iter().flat_map(|row| &row.checks) {
        let group = groups
            .entry((&check.against, format!("{:?}", check.verdict)))
            .or_insert(Judged {
                against: &check.against,
                verdict: check.verdict,
                rows: 0,
                diff_bytes: None,
            });
        group.rows += 1;
        group.diff_bytes = [group.diff_bytes, check.diff_bytes]
            .into_iter()
            .flatten()
            .max_by_key(|diff| diff.unsigned_abs());
    }
    groups.into_values().collect()
}
