//! The kernel's own marks of a run's processes (`ru_maxrss`), as figures to be judged: nobody has to
//! look for them, the report has them already.

use super::{
    import::{Epoch, Imported, Measure},
    sampled::Looked,
};
use crate::{
    event::TargetAsked,
    report::schema::{ProcessRow, Report, Verdict},
};

/// PID of the command's first process; 0 if the run was of something else.
pub fn root(report: &Report) -> u32 {
    match &report.target.asked {
        TargetAsked::Command { pid, .. } => *pid,
        _ => 0,
    }
}

/// The marks, where they are to be judged: what `wait4` said of the
/// command, and the process that inherited most from the program before.
pub fn of(report: &Report, looked: &Looked) -> Vec<Imported> {
    if !looked.judges_max_rss {
        return Vec::new();
    }
    let figure = |name: String, pid: Option<u32>, bytes: u64| Imported {
        name,
        measure: Measure::MaxRss,
        pid,
        peak_bytes: bytes,
        step_bytes: 1024,
        nominal_ns: None,
        epoch: Epoch::Own,
        samples: Vec::new(),
    };
    let waited = report
        .checks
        .iter()
        .find(|check| check.against == "ru_maxrss (wait4)");
    let waited = waited.and_then(|check| check.bytes);
    let waited = waited.map(|bytes| figure("rusage".to_owned(), None, bytes));
    let of_row = |row: &ProcessRow| {
        let mut checks = row.checks.iter();
        let check = checks.find(|check| check.against == "ru_maxrss")?;
        let inherited = check
            .diff_bytes
            .filter(|_| check.verdict == Verdict::Inherited)?;
        let name = format!("rusage, PID {} ({})", row.pid?, row.comm);
        Some((inherited, figure(name, row.pid, check.bytes?)))
    };
    // Of the command's own process `wait4` tells already.
    let rows = report
        .processes
        .iter()
        .filter(|row| row.pid != Some(root(report)));
    let most = rows
        .filter_map(of_row)
        .max_by_key(|(inherited, _)| *inherited);
    waited
        .into_iter()
        .chain(most.map(|(_, figure)| figure))
        .collect()
}
