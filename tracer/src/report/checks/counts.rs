//! Counts of faults that other instruments give, held against ours.

use std::{borrow::Cow, cmp::Ordering};

use crate::report::{
    schema::{CountCheck, Verdict},
    scope::{Scope, Waited},
};

/// Faults as `wait4` sums them over the command and the descendants that were waited for.
pub(in crate::report) fn counts(scope: &Scope<'_>) -> Vec<CountCheck> {
    let Some(Waited {
        minor_faults: minor,
        major_faults: major,
        ..
    }) = scope.waited
    else {
        return Vec::new();
    };
    let command = scope.model.command();
    // The holder's own faults are in the kernel's figure for the PID, so they are in both.
    let first = command.and_then(|command| command.execs.first());
    let before = first.map_or((0, 0), |exec| exec.faults);
    let known = command.is_some_and(|command| command.faults().is_some());
    let fold = scope.model.fold();
    let (mut sum, mut open) = (fold.faults, fold.faults_open);
    for process in scope.model.processes() {
        if let Some(((minor, major), is_final)) = process.faults() {
            sum = (sum.0 + minor, sum.1 + major);
            open += u64::from(!is_final);
        }
    }
    let count = |against, count: u64, counted: u64, before: u64| {
        let counted = known.then_some(counted);
        let (verdict, why) = judge_count(count, counted, before, open);
        let diff = counted.map(|counted| count.cast_signed().wrapping_sub_unsigned(counted));
        CountCheck {
            against,
            count,
            counted,
            diff,
            verdict,
            why,
        }
    };
    vec![
        count("ru_minflt", minor, sum.0, before.0),
        count("ru_majflt", major, sum.1, before.1),
    ]
}

fn judge_count(
    count: u64,
    counted: Option<u64>,
    before: u64,
    open: u64,
) -> (Verdict, Cow<'static, str>) {
    let Some(counted) = counted else {
        return (
            Verdict::Unavailable,
            "The command's own count is not known.".into(),
        );
    };
    match count.cmp(&counted) {
        Ordering::Equal if before == 0 => (Verdict::Equal, "The same.".into()),
        Ordering::Equal => {
            let why = format!("The same, with {before} before the command's exec, in no row.");
            (Verdict::Equal, why.into())
        }
        Ordering::Less => (
            Verdict::CoversLess,
            "It leaves out descendants that nobody waited for.".into(),
        ),
        Ordering::Greater if open > 0 => {
            let why = format!(
                "It has the faults of the exit itself, which are missing here for {open} of the \
                 processes."
            );
            (Verdict::CoversMore, why.into())
        }
        Ordering::Greater => (
            Verdict::CoversMore,
            "It counts processes that are missing here.".into(),
        ),
    }
}
