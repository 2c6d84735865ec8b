//! The report out of the model: pages become bytes, clock times count from the start.

use tracer_common::ledger::Peak;

use super::{
    certainty, cgroup, checks, history, oom, phases, pss, refusals,
    schema::{
        Budget, Exit, Faults, FoldedRows, Host, Overhead, ProcessRow, Report, RowPeak, SCHEMA,
        TargetPeak, TargetSection, Tool,
    },
    scope::Scope,
    syscalls, vm,
};
use crate::{
    event::{Reading, TargetAsked},
    model::{Model, process::number, row::Row},
};

impl Report {
    /// The report of a run; `None` if the events lack their beginning.
    pub fn of(model: &Model) -> Option<Self> {
        let scope = Scope::new(model)?;
        let begun = scope.begun;
        let runs = scope.ended.and_then(|ended| ended.runs);
        let (certainty, peak) = (certainty::of(&scope), peak(&scope));
        let budget = begun.max_peak_bytes;

        Some(Self {
            schema: SCHEMA,
            tool: Tool {
                version: begun.tool_version.clone(),
                bpf_sha256: begun.bpf_sha256.clone(),
            },
            host: Host {
                kernel: begun.kernel.clone(),
                arch: begun.arch.clone(),
                cpus: begun.cpus,
                page_bytes: begun.page_bytes,
                cgroup: begun.cgroup.clone(),
            },
            target: target(&scope),
            started_at: begun.started_at.clone(),
            duration_ns: scope.since_start(scope.end_ns()),
            ended_by: scope.ended.map(|ended| ended.reason),
            exit: scope
                .ended
                .and_then(|ended| ended.command_status)
                .map(Exit::of_status),
            budget: budget.map(|bytes| Budget::of(bytes, peak.as_ref(), &certainty)),
            certainty,
            peak,
            counted_once: pss::of(&scope),
            processes: scope
                .rows
                .iter()
                .map(|row| process_row(&scope, row))
                .collect(),
            folded: folded(&scope),
            phases: phases::entries(&scope),
            phase_summary: phases::summary(&scope),
            calls: syscalls::calls(&scope),
            calls_not_kept: scope.model.calls().not_kept(),
            timeline: history::of_target(&scope),
            timeline_by_class: history::of_classes(&scope),
            histograms: history::histograms(&scope),
            cgroup: cgroup::of(&scope),
            oom: oom::kills(&scope),
            refusals: refusals::of(&scope),
            checks: checks::of_target(&scope),
            count_checks: checks::counts(&scope),
            overhead: Overhead {
                hook_runs: runs.map(|runs| runs.count),
                bpf_ns: runs.map(|runs| runs.ns),
                tracer_peak_rss_bytes: scope.ended.and_then(|ended| ended.tracer_peak_rss_bytes),
                tracer_cpu_ns: scope.ended.map(|ended| ended.tracer_cpu_ns),
            },
        })
    }
}

impl Exit {
    /// From a status as `wait` gives it.
    pub fn of_status(status: i32) -> Self {
        match status & 0x7f {
            0 => Self {
                code: Some((status >> 8) & 0xff),
                signal: None,
            },
            signal => Self {
                code: None,
                signal: Some(signal),
            },
        }
    }

    /// The code by which a shell tells of it: 128+n for signal n.
    pub fn shell_code(self) -> u8 {
        match (self.signal, self.code) {
            (Some(signal), _) => 128_u8.wrapping_add(signal as u8),
            (None, Some(code)) => code as u8,
            (None, None) => 0,
        }
    }
}

fn target(scope: &Scope<'_>) -> TargetSection {
    let ledger = scope.ended.map(|ended| &ended.target);
    let ended = scope
        .model
        .processes()
        .filter(|process| process.has_ended())
        .count() as u64;
    let kept = scope.model.processes().count() as u64;
    let own_cgroup = |reading: &Reading| match reading {
        Reading::Cgroup {
            path, strangers: 0, ..
        } => Some(path.clone()),
        _ => None,
    };
    TargetSection {
        asked: scope.begun.target.clone(),
        cgroup: match &scope.begun.target {
            TargetAsked::Cgroup { path, .. } => Some(path.clone()),
            _ => scope.model.readings().iter().find_map(own_cgroup),
        },
        container: match &scope.begun.target {
            TargetAsked::Cgroup { container_name, .. } => container_name.clone(),
            _ => None,
        },
        processes_seen: ledger.map_or(kept + scope.model.fold().processes, |l| l.last_process),
        spaces_seen: ledger.map_or(
            scope.ledgers().count() as u64 + scope.model.fold().ledgers,
            |l| l.last_space,
        ),
        processes_alive: ledger.map_or(kept - ended, |l| l.processes),
        end_rss_bytes: ledger.map(|l| scope.bytes(l.level_rss)),
    }
}

fn peak(scope: &Scope<'_>) -> Option<TargetPeak> {
    let highest = scope.highest()?;
    let target = &scope.ended?.target;
    let peak = highest.peak.as_ref();
    let bytes = |class: fn(&Peak) -> i64| peak.map(|peak| scope.bytes(class(peak)));
    // With one space alive, what was not resident can be taken from that space's own peak.
    let same = |peak: &Peak| (peak.at_ns, peak.rss) == (target.peak.at_ns, target.peak.rss);
    let alone = peak
        .filter(|_| target.peak_spaces == 1)
        .and_then(|_| scope.ledgers().find(|ledger| same(&ledger.peak)));
    Some(TargetPeak {
        rss_bytes: scope.bytes(highest.rss),
        at_ns: peak.map(|peak| scope.since_start(peak.at_ns)),
        anon_bytes: bytes(|peak| peak.split.anon),
        file_bytes: bytes(|peak| peak.split.file),
        shmem_bytes: bytes(|peak| peak.split.shmem),
        swap_bytes: alone.map(|ledger| scope.bytes(ledger.peak.split.swap)),
        pagetable_bytes: alone.map(|ledger| ledger.peak_pagetable_bytes),
        hugetlb_bytes: alone.map(|ledger| scope.bytes_unsigned(ledger.peak_hugetlb)),
        processes: peak.map(|_| target.peak_processes),
        spaces: peak.map(|_| target.peak_spaces),
        phase: peak.and_then(|peak| phases::open_at(scope, peak.at_ns)),
    })
}

fn process_row(scope: &Scope<'_>, row: &Row<'_>) -> ProcessRow {
    let process = row.process;
    let started = process.started.filter(|started| started.parent != 0);
    let command_line = row.command_line();
    ProcessRow {
        pid: process.pid(),
        pid_inside: process.pid_inside,
        image: row.image,
        space: row.space,
        shares_space_with: row.shares(),
        parent_pid: started.and_then(|started| number(started.parent_pid)),
        comm: row.comm(),
        argv: command_line
            .map(|line| line.argv.clone())
            .unwrap_or_default(),
        argv_cut: command_line.is_some_and(|line| line.cut),
        start_ns: row.start_ns.map(|at_ns| scope.since_start(at_ns)),
        end_ns: row.end_ns().map(|at_ns| scope.since_start(at_ns)),
        exit: row
            .exited()
            .map(|exited| Exit::of_status(exited.status.cast_signed())),
        start_rss_bytes: row.start().map(|split| scope.rss(&split)),
        end_rss_bytes: row.end().map(|split| scope.rss(&split)),
        peak: row_peak(scope, row),
        peak_vm_bytes: row
            .ledger()
            .filter(|_| vm::is_seen(scope))
            .map(|ledger| scope.bytes_unsigned(ledger.vm.peak)),
        vm: row
            .ledger()
            .and_then(|ledger| vm::of(scope, &ledger.vm.calls, Some(ledger.vm.unsure))),
        syscalls: row
            .ledger()
            .and_then(|ledger| syscalls::of(scope, &ledger.made)),
        faults: row.faults().map(|((minor, major), is_final)| Faults {
            minor,
            major,
            is_final,
        }),
        time_at_level: history::time_at_level(scope, row),
        timeline: history::of_row(scope, row),
        checks: checks::of_row(scope, row),
    }
}

fn row_peak(scope: &Scope<'_>, row: &Row<'_>) -> Option<RowPeak> {
    let highest = row.highest()?;
    let ledger = row.ledger()?;
    let peak = highest.peak.as_ref();
    let bytes = |class: fn(&Peak) -> i64| peak.map(|peak| scope.bytes(class(peak)));
    Some(RowPeak {
        rss_bytes: scope.bytes(highest.rss),
        at_ns: peak.map(|peak| scope.since_start(peak.at_ns)),
        anon_bytes: bytes(|peak| peak.split.anon),
        file_bytes: bytes(|peak| peak.split.file),
        shmem_bytes: bytes(|peak| peak.split.shmem),
        swap_bytes: bytes(|peak| peak.split.swap),
        pagetable_bytes: peak.map(|_| ledger.peak_pagetable_bytes),
        hugetlb_bytes: peak.map(|_| scope.bytes_unsigned(ledger.peak_hugetlb)),
    })
}

fn folded(scope: &Scope<'_>) -> Vec<FoldedRows> {
    let rows = scope.model.fold().by_comm.iter();
    rows.map(|(comm, folded)| FoldedRows {
        comm: comm.clone(),
        rows: folded.rows,
        without_peak: folded.without_peak,
        peak_max_bytes: folded.peak_max.map(|pages| scope.bytes(pages)),
        peak_sum_bytes: scope.bytes(folded.peak_sum),
    })
    .collect()
}
