//! What the numbers are worth: every weakness of the run as a doubt, and whether it touches a
//! peak.
//!
//! Peaks live in ledgers that lost records cannot touch, so a loss of history leaves them exact.

mod defects;
mod engines;
mod latency;
mod losses;
mod phases;

use tracer_common::record::kind;

use super::{
    schema::{Absent, Certainty, StreamCheck},
    scope::Scope,
    vm,
};
use crate::{
    event::{Doubt, EndReason, Ended, TargetAsked},
    units::{Bytes, Count},
};

/// Doubts of the plan that speak against the target's peak: what an exec prepares is not counted
/// while the old space is still there.
const OF_TARGET: [&str; 2] = ["late-exec", "pid-not-found"];

const DEFECT: &str = "This is a defect of memtrace: please report it.";
const RUN_AGAIN: &str = "Run again.";

/// What a doubt speaks against.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touches {
    /// History, names, times; no peak.
    NoPeak,
    /// Peaks of single processes.
    Rows,
    /// The target's peak too, by this many bytes at most.
    TargetBy(u64),
    /// The target's peak too, by nobody knows how much.
    Target,
}

/// Doubts with what they touch, in the order in which they are told.
#[derive(Default)]
struct Doubts(Vec<(Touches, Doubt)>);

impl Doubts {
    fn add(&mut self, touches: Touches, id: &str, text: String, remedy: &str) {
        let doubt = Doubt {
            id: id.to_owned(),
            text,
            remedy: remedy.to_owned(),
        };
        self.0.push((touches, doubt));
    }

    /// No peak is touched.
    fn leave_peaks(&self) -> bool {
        self.0
            .iter()
            .all(|(touches, _)| *touches == Touches::NoPeak)
    }

    /// By how much the target's peak can be wrong, bytes; `None` if nobody knows.
    fn bound(&self) -> Option<u64> {
        self.0
            .iter()
            .try_fold(0, |bound: u64, (touches, _)| match touches {
                Touches::Target => None,
                Touches::TargetBy(bytes) => Some(bound.max(*bytes)),
                Touches::Rows | Touches::NoPeak => Some(bound),
            })
    }
}

/// The section of a run.
pub(super) fn of(scope: &Scope<'_>) -> Certainty {
    let mut doubts = Doubts::default();
    let stream = stream(scope);
    match scope.ended {
        Some(ended) => {
            losses::limits(&mut doubts, ended);
            losses::readings_of_counters(&mut doubts, scope, ended);
            losses::ledgers(&mut doubts, scope, ended);
            defects::find(&mut doubts, scope, ended, &stream);
            losses::records(&mut doubts, ended);
            latency::find(&mut doubts, scope, ended);
            survivors(&mut doubts, scope, ended);
        }
        None => {
            let least = stream.max_rss_bytes.map_or_else(String::new, |least| {
                format!(" It was at least {}.", Bytes(least))
            });
            doubts.add(
                Touches::Target,
                "cut-short",
                format!(
                    "The record of this run breaks off, so the target's peak is not in it.{least}"
                ),
                RUN_AGAIN,
            );
        }
    }
    before_attach(&mut doubts, scope);
    unsplit(&mut doubts, scope);
    folded(&mut doubts, scope);
    phases::find(&mut doubts, scope);
    engines::find(&mut doubts, scope);
    let given = scope
        .begun
        .doubts
        .iter()
        .chain(scope.ended.iter().flat_map(|e| &e.doubts));
    for doubt in given {
        let touches = if OF_TARGET.contains(&doubt.id.as_str()) {
            Touches::Target
        } else {
            Touches::NoPeak
        };
        doubts.0.push((touches, doubt.clone()));
    }
    let (exact, bound) = (doubts.leave_peaks(), doubts.bound());
    // What speaks against the peaks comes first.
    doubts.0.sort_by_key(|(touches, _)| match touches {
        Touches::Target | Touches::TargetBy(_) => 0,
        Touches::Rows => 1,
        Touches::NoPeak => 2,
    });
    Certainty {
        exact,
        peak_error_bound_bytes: bound,
        events: scope.ended.map_or(0, |ended| ended.emitted.iter().sum()),
        events_lost: scope.ended.map_or(0, |ended| ended.lost.iter().sum()),
        records: scope.ended.map(losses::by_kind).unwrap_or_default(),
        lost_by_cpu: scope
            .ended
            .map(|ended| ended.lost_by_cpu.clone())
            .filter(|lost| lost.iter().any(|lost| *lost > 0))
            .unwrap_or_default(),
        quantum_bytes: scope.begun.quantum_bytes,
        stream,
        hooks: scope.begun.hooks.clone(),
        doubts: doubts.0.into_iter().map(|(_, doubt)| doubt).collect(),
        absent: absent(scope),
        sampled: None,
    }
}

fn absent(scope: &Scope<'_>) -> Vec<Absent> {
    let mut absent = Vec::new();
    absent.extend(latency::absent(scope));
    if !vm::is_seen(scope) {
        let why = "This kernel does not tell who changed the size of an address space.";
        let keys = [
            "processes.vm",
            "processes.peak_vm_bytes",
            "histograms.mmap_bytes",
        ];
        absent.extend(keys.map(|key| Absent {
            key,
            why: why.into(),
        }));
    }
    absent
}

/// The stream's highest level held against the ledger's.
fn stream(scope: &Scope<'_>) -> StreamCheck {
    let told = scope
        .history
        .target()
        .greatest()
        .map(|point| scope.bytes(point.pages));
    let peak = scope
        .highest()
        .map_or(0, |highest| scope.bytes(highest.rss));
    let allowed = scope.quantum_bytes();
    let complete = scope
        .ended
        .is_some_and(|ended| losses::missing(ended, kind::LEVEL) == 0);
    let highest = told.unwrap_or(0);
    StreamCheck {
        max_rss_bytes: told,
        allowed_bytes: allowed.unsigned_abs(),
        agrees: complete.then_some(highest <= peak && peak - highest <= allowed),
    }
}

/// What lived on when the command ended: it may still grow.
fn survivors(doubts: &mut Doubts, scope: &Scope<'_>, ended: &Ended) {
    let alive = ended.target.processes;
    if alive == 0 || !scope.is_command() {
        return;
    }
    let (processes, verb) = if alive == 1 {
        ("process", "was")
    } else {
        ("processes", "were")
    };
    let (when, remedy) = match ended.reason {
        EndReason::TargetEnded => (
            "the command ended",
            "Let the command wait for its children.",
        ),
        EndReason::Duration => ("tracing ended, as asked", ""),
        EndReason::Interrupted => ("tracing was interrupted", ""),
    };
    doubts.add(
        Touches::NoPeak,
        "still-running",
        format!(
            "{} {processes} of the target {verb} still running when {when}; what came later is \
             not in here.",
            Count(alive),
        ),
        remedy,
    );
}

/// A process that was attached to may have needed more before.
fn before_attach(doubts: &mut Doubts, scope: &Scope<'_>) {
    let mut own = scope.rows.iter().filter_map(|row| row.own);
    let some_joined = own.any(|own| own.was_there());
    match scope.begun.target {
        TargetAsked::Command { .. } => return,
        TargetAsked::Cgroup { .. } if !some_joined => return,
        TargetAsked::Pids { .. } | TargetAsked::Cgroup { .. } => {}
    }
    let mut higher: Vec<(i64, String)> = scope
        .rows
        .iter()
        .filter(|row| row.own.is_some_and(|own| own.was_there()))
        .filter_map(|row| {
            let marked = i64::try_from(row.own?.opened?.hiwater).unwrap_or(i64::MAX);
            let who = row
                .process
                .pid()
                .map_or("?".to_owned(), |pid| pid.to_string());
            (marked > row.highest()?.rss)
                .then(|| (marked, format!("PID {who}: {}", Bytes(scope.bytes(marked)))))
        })
        .collect();
    higher.sort_by_key(|(marked, _)| std::cmp::Reverse(*marked));
    let more = higher.len().saturating_sub(3);
    let shown: Vec<_> = higher.into_iter().take(3).map(|(_, text)| text).collect();
    let text = if shown.is_empty() {
        "What was needed before tracing began is not in here. The kernel's own mark (VmHWM) was \
         then not above the peaks found since."
            .to_owned()
    } else {
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!(
            "What was needed before tracing began is not in here, and it was more. The kernel's \
             own mark (VmHWM, approximate) was then: {}{more}.",
            shown.join(", "),
        )
    };
    doubts.add(
        Touches::NoPeak,
        "peak-before-attach",
        text,
        "Start the program under memtrace: memtrace -- CMD.",
    );
}

/// Peaks whose height is known, but not their time and classes.
fn unsplit(doubts: &mut Doubts, scope: &Scope<'_>) {
    let rows = scope.rows.iter().filter_map(|row| row.highest());
    let rows = rows.filter(|highest| highest.peak.is_none()).count() as u64;
    let target = scope
        .highest()
        .is_some_and(|highest| highest.peak.is_none());
    if rows > 0 || target {
        let whose = match (target, rows) {
            (true, _) => "The target's peak".to_owned(),
            (false, 1) => "The peak of one process".to_owned(),
            (false, _) => format!("The peaks of {} processes", Count(rows)),
        };
        doubts.add(
            Touches::NoPeak,
            "peak-unsplit",
            format!(
                "{whose} came while a CPU that did not run held the ledger: only the height is \
                 known, not the time nor what it was made of.",
            ),
            RUN_AGAIN,
        );
    }
}

/// Rows that were summed up.
fn folded(doubts: &mut Doubts, scope: &Scope<'_>) {
    let processes = scope.model.fold().processes;
    if processes > 0 {
        doubts.add(
            Touches::NoPeak,
            "rows-folded",
            format!(
                "Finished processes with lower peaks that are summed up by name: {}.",
                Count(processes),
            ),
            "",
        );
    }
}
