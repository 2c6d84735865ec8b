//! Other instruments' readings held against the ledgers, each difference with its reason.
//!
//! Why the kernel's own figures differ: it updates its high-water mark only just before memory is
//! given back, from counters without the part that each CPU still holds; `ru_maxrss` is carried
//! over `exec`, and `wait4` covers waited-for descendants too.

mod counts;

use std::borrow::Cow;

use tracer_common::record::{ProcessExited, via};

pub(super) use self::counts::counts;
use super::{
    cgroup,
    schema::{Check, Verdict},
    scope::Scope,
};
use crate::{
    event::{Reading, TargetAsked},
    model::row::Row,
};

const EQUAL: &str = "The same to the byte.";
const LOW_BATCH: &str = "The kernel leaves out what was counted but not yet handed in.";
const LOW_MISSED: &str =
    "The kernel looks only just before memory is given back, and missed the top.";
const HIGH_BATCH: &str = "The kernel leaves out what was taken off but not yet handed in.";
const HIGH_OTHER: &str = "It is more than the kernel's way of counting explains.";
const BEFORE: &str = "It was reached before tracing began.";

/// A reading with its verdict.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) why: Cow<'static, str>,
}

impl Judged {
    pub(super) fn equal() -> Self {
        Self::new(Verdict::Equal, EQUAL)
    }

    pub(super) fn new(verdict: Verdict, why: &'static str) -> Self {
        Self {
            verdict,
            why: why.into(),
        }
    }

    pub(super) fn check(
        self,
        against: impl Into<Cow<'static, str>>,
        bytes: i64,
        ledger: i64,
    ) -> Check {
        Check {
            against: against.into(),
            bytes: u64::try_from(bytes).ok(),
            diff_bytes: Some(bytes - ledger),
            verdict: self.verdict,
            why: self.why,
        }
    }
}

pub(super) fn unavailable(
    against: impl Into<Cow<'static, str>>,
    why: impl Into<Cow<'static, str>>,
) -> Check {
    Check {
        against: against.into(),
        bytes: None,
        diff_bytes: None,
        verdict: Verdict::Unavailable,
        why: why.into(),
    }
}

/// A figure of the kernel with nothing but its own errors in it.
fn kernel(scope: &Scope<'_>, bytes: i64, ledger: i64) -> Judged {
    let within = (bytes - ledger).abs() <= scope.slack_bytes();
    match bytes.cmp(&ledger) {
        std::cmp::Ordering::Equal => Judged::new(Verdict::Equal, EQUAL),
        std::cmp::Ordering::Less if within => Judged::new(Verdict::KernelLow, LOW_BATCH),
        std::cmp::Ordering::Less => Judged::new(Verdict::KernelLow, LOW_MISSED),
        std::cmp::Ordering::Greater if within => Judged::new(Verdict::KernelHigh, HIGH_BATCH),
        std::cmp::Ordering::Greater => Judged::new(Verdict::KernelHigh, HIGH_OTHER),
    }
}

/// Checks of a row; none without a ledger to hold readings against.
pub(super) fn of_row(scope: &Scope<'_>, row: &Row<'_>) -> Vec<Check> {
    let Some(highest) = row.highest() else {
        return Vec::new();
    };
    let peak = scope.bytes(highest.rss);
    let mut checks = vec![vm_hwm(scope, row, peak)];
    if let Some(Reading::Proc {
        vm_rss_bytes,
        statm_rss_bytes,
        ledger_before_bytes,
        ledger_after_bytes,
        ..
    }) = scope.living(row)
    {
        let level = (*ledger_before_bytes, *ledger_after_bytes);
        checks.push(standing(scope, "VmRSS", *vm_rss_bytes, level));
        checks.push(standing(scope, "statm", *statm_rss_bytes, level));
    }
    if let Some(exited) = row.exited() {
        checks.push(approximate(scope, exited));
        let own = scope.bytes(signed(exited.maxrss));
        checks.push(max_rss(scope, row, own, peak).check("ru_maxrss", own, peak));
        checks.extend(wait4(scope, row, exited, peak));
    }
    checks
}

pub(super) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// `VmHWM`, as `/proc/PID/status` says it or would have said it at the end of the row: since
/// 6.12.39 and 6.16 the higher of the mark and the exact level.
fn vm_hwm(scope: &Scope<'_>, row: &Row<'_>, peak: i64) -> Check {
    const NAME: &str = "VmHWM";
    let left = row
        .left_by()
        .map(|(exec, before)| (exec.before_hiwater, before));
    let exited = row.exited().filter(|exited| exited.end_known != 0);
    let at_end = left.or_else(|| exited.map(|exited| (exited.hiwater, exited.end)));
    let said = match (scope.living(row), at_end) {
        (Some(Reading::Proc { vm_hwm_bytes, .. }), _) => signed(*vm_hwm_bytes),
        (_, Some((hiwater, end))) => scope.bytes(signed(hiwater).max(end.rss())),
        _ if row.is_alive() => return unavailable(NAME, "It could not be read."),
        _ => return unavailable(NAME, "The memory was gone before it could be read."),
    };
    let judged = if said > peak && reached_before(scope, row, said) {
        Judged::new(Verdict::BeforeAttach, BEFORE)
    } else {
        kernel(scope, said, peak)
    };
    judged.check(NAME, said, peak)
}

/// The row's space had its mark at this height, as far as is known, when tracing began.
fn reached_before(scope: &Scope<'_>, row: &Row<'_>, bytes: i64) -> bool {
    row.own.is_some_and(|own| {
        let marked = own.opened.is_none_or(|opened| {
            scope.bytes(signed(opened.hiwater).max(opened.split.rss())) >= bytes
        });
        own.via() == via::CENSUS && marked
    })
}

/// An exact reading of a process that lives, if it stood still meanwhile.
fn standing(scope: &Scope<'_>, name: &'static str, said: u64, level: (u64, u64)) -> Check {
    let (said, before, after) = (signed(said), signed(level.0), signed(level.1));
    let judged = if before == after {
        kernel(scope, said, after)
    } else {
        Judged::new(
            Verdict::Unavailable,
            "The process was running, its level moved meanwhile.",
        )
    };
    judged.check(name, said, after)
}

/// The level as most of the kernel reads it, just before the exit.
fn approximate(scope: &Scope<'_>, exited: &ProcessExited) -> Check {
    if exited.end_known == 0 {
        return unavailable("VmRSS", "The memory was gone before it could be read.");
    }
    let (said, end) = (scope.bytes(exited.plain_rss), scope.rss(&exited.end));
    let judged = kernel(scope, said, end);
    // What `/proc/PID/stat` and, before 6.12.39 and 6.16, all of `/proc` say.
    judged.check("VmRSS at its end", said, end)
}

/// `ru_maxrss` of one process.
fn max_rss(scope: &Scope<'_>, row: &Row<'_>, said: i64, peak: i64) -> Judged {
    if said <= peak {
        return kernel(scope, said, peak);
    }
    if row
        .exec
        .is_some_and(|exec| scope.bytes(signed(exec.inherited_maxrss)) >= said)
    {
        return Judged::new(Verdict::Inherited, inherited(row));
    }
    // `setmax_mm_hiwater_rss` (mm.h): the mark, or the level as most of the kernel reads it.
    let at_exit = row
        .exited()
        .map(|exited| scope.bytes(signed(exited.hiwater).max(exited.plain_rss)));
    let by_census = row.own.is_some_and(|own| own.via() == via::CENSUS);
    if by_census && (at_exit != Some(said) || reached_before(scope, row, said)) {
        return Judged::new(
            Verdict::BeforeAttach,
            "It was reached, or carried over by exec, before tracing began.",
        );
    }
    kernel(scope, said, peak)
}

/// From whom `ru_maxrss` was carried over by exec.
fn inherited(row: &Row<'_>) -> &'static str {
    let started = row.process.started;
    if row.image > 0 {
        "Carried over by exec from the program that this process ran before."
    } else if row.process.was_holder() {
        "Carried over by exec from memtrace's own process that started the command."
    } else if started.is_some_and(|started| started.shares_space != 0) {
        "Carried over by exec from the parent, in whose memory this process began."
    } else {
        "Carried over by exec from what this process was before."
    }
}

/// `ru_maxrss` of `wait4`, for the last program of the command.
fn wait4(scope: &Scope<'_>, row: &Row<'_>, exited: &ProcessExited, peak: i64) -> Option<Check> {
    let waited = scope
        .waited
        .filter(|waited| row.process.pid() == Some(waited.pid))?;
    let said = signed(waited.max_rss_bytes);
    let judged = if said > peak && is_of_child(scope, exited, said) {
        Judged::new(
            Verdict::CoversMore,
            "It is that of the largest descendant waited for, not of this process.",
        )
    } else {
        max_rss(scope, row, said, peak)
    };
    Some(judged.check("ru_maxrss (wait4)", said, peak))
}

/// What `wait4` said is of a descendant that was waited for, not of the process itself.
fn is_of_child(scope: &Scope<'_>, exited: &ProcessExited, said: i64) -> bool {
    exited.children_maxrss > exited.maxrss && scope.bytes(signed(exited.children_maxrss)) == said
}

/// Checks of the whole target.
pub(super) fn of_target(scope: &Scope<'_>) -> Vec<Check> {
    let Some(highest) = scope.highest() else {
        return Vec::new();
    };
    let peak = scope.bytes(highest.rss);
    let mut checks = Vec::new();
    for reading in scope.model.readings() {
        match reading {
            Reading::Proc { .. }
            | Reading::Pss(_)
            | Reading::PssRefused
            | Reading::KernelLog { .. }
            | Reading::Limits { .. }
            | Reading::PhaseCharge { .. }
            | Reading::CommandLine { .. }
            | Reading::Inside { .. } => {}
            Reading::CgroupState { .. } => checks.extend(cgroup::checks(scope, peak)),
            Reading::Wait4 { max_rss_bytes, .. } => {
                let said = signed(*max_rss_bytes);
                checks.push(largest(scope, said, peak).check("ru_maxrss (wait4)", said, peak));
            }
            Reading::Cgroup {
                file,
                peak_bytes,
                strangers,
                start_peak_bytes,
                ..
            } => {
                checks.push(shared_cgroup(
                    file,
                    *peak_bytes,
                    *strangers,
                    *start_peak_bytes,
                    peak,
                ));
            }
        }
    }
    checks
}

/// What `time -v` says of the command, held against the whole target.
fn largest(scope: &Scope<'_>, said: i64, peak: i64) -> Judged {
    let last = scope
        .model
        .command()
        .and_then(|command| command.execs.last());
    let several = scope.ended.is_some_and(|ended| ended.target.last_space > 1);
    if said > peak && last.is_some_and(|e| scope.bytes(signed(e.inherited_maxrss)) >= said) {
        Judged::new(
            Verdict::Inherited,
            "Carried over by exec from what the command's process was before.",
        )
    } else if said > peak && is_of_stranger(scope, said) {
        Judged::new(
            Verdict::CoversMore,
            "It is that of the largest descendant waited for, which was not followed.",
        )
    } else if said < peak && several && peak - said > scope.slack_bytes() {
        Judged::new(
            Verdict::CoversLess,
            "It is the largest single process's, as `time -v` shows it; never a sum.",
        )
    } else {
        kernel(scope, said, peak)
    }
}

/// What `wait4` said is of a descendant that does not belong to the target.
fn is_of_stranger(scope: &Scope<'_>, said: i64) -> bool {
    let is_followed = matches!(
        scope.begun.target,
        TargetAsked::Command { follow: true, .. }
    );
    let mut exits = scope.rows.iter().filter_map(|row| row.exited());
    !is_followed && exits.any(|exited| is_of_child(scope, exited, said))
}

pub(super) fn shared_cgroup(
    file: &str,
    said: Option<u64>,
    strangers: u32,
    at_start: Option<u64>,
    peak: i64,
) -> Check {
    let file = file.to_owned();
    if strangers > 0 {
        let others = if strangers == 1 {
            "process is"
        } else {
            "processes are"
        };
        let why = format!("{strangers} other {others} in the same cgroup.");
        return unavailable(file, why);
    }
    let is_old = said == at_start;
    let Some(said) = said.map(signed) else {
        return unavailable(file, "The cgroup's file could not be read.");
    };
    let judged = match said.cmp(&peak) {
        std::cmp::Ordering::Equal => Judged::new(Verdict::Equal, EQUAL),
        std::cmp::Ordering::Less => Judged::new(
            Verdict::CoversLess,
            "A cgroup counts a shared page once, and for whoever touched it first.",
        ),
        std::cmp::Ordering::Greater if is_old => Judged::new(
            Verdict::BeforeAttach,
            "The cgroup has not been higher since tracing began than it was before.",
        ),
        std::cmp::Ordering::Greater => Judged::new(
            Verdict::CoversMore,
            "A cgroup counts cache and kernel memory too.",
        ),
    };
    judged.check(file, said, peak)
}
