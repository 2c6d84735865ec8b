//! Kills for want of memory out of the model.

use std::collections::HashMap;

use super::{
    phases,
    schema::{Oom, OomProcess},
    scope::Scope,
};
use crate::{
    event::Reading,
    kmsg::OomReport,
    model::{row::Row, victim::Victim},
};

const SIGKILL: u32 = 9;

/// Whom the kernel chose, in order.
pub(super) fn kills(scope: &Scope<'_>) -> Vec<Oom> {
    let victims = scope.model.victims();
    if victims.is_empty() {
        return Vec::new();
    }
    // A space may have several rows: the first is of the process whose own it is.
    let mut rows = HashMap::new();
    for row in &scope.rows {
        if let Some(space) = row.space {
            rows.entry(space).or_insert(row);
        }
    }
    let log = Log::of(scope);
    let kill = |victim| kill(scope, victim, &rows, &log);
    victims.iter().map(kill).collect()
}

/// What the kernel's log said of kills.
struct Log<'a> {
    kills: &'a [OomReport],
    refused: Option<&'a str>,
}

impl<'a> Log<'a> {
    fn of(scope: &Scope<'a>) -> Option<Self> {
        scope
            .model
            .readings()
            .iter()
            .find_map(|reading| match reading {
                Reading::KernelLog { kills, refused } => Some(Self {
                    kills,
                    refused: refused.as_deref(),
                }),
                _ => None,
            })
    }

    /// What it says of a victim. Its PIDs are those of the initial namespace: seen from another
    /// one, the name has to do.
    fn about(&self, victim: &Victim) -> Option<&'a OomReport> {
        let of = |is_it: &dyn Fn(&(u32, String)) -> bool| {
            let is_it = |kill: &&OomReport| kill.chosen.iter().chain(&kill.killed).any(is_it);
            self.kills.iter().find(is_it)
        };
        let by_pid = of(&|(pid, comm)| Some(*pid) == victim.pid && *comm == victim.comm);
        by_pid.or_else(|| of(&|(_, comm)| *comm == victim.comm))
    }
}

/// What the log says of a kill, or why it says nothing.
fn told(log: Option<&Log<'_>>, victim: &Victim) -> (OomReport, Option<String>) {
    let Some(log) = log else {
        let why = "The record of the run breaks off before the kernel's log was read.";
        return (OomReport::default(), Some(why.to_owned()));
    };
    if let Some(error) = log.refused {
        let why = format!("The kernel's log (/dev/kmsg) could not be read: {error}.");
        return (OomReport::default(), Some(why));
    }
    match log.about(victim) {
        Some(kill) if kill.constraint.is_some() => (kill.clone(), None),
        found => {
            let why = "The kernel's log does not say more: it leaves out what comes too often.";
            (found.cloned().unwrap_or_default(), Some(why.to_owned()))
        }
    }
}

fn kill(
    scope: &Scope<'_>,
    victim: &Victim,
    rows: &HashMap<u32, &Row<'_>>,
    log: &Option<Log<'_>>,
) -> Oom {
    let (said, log_why) = told(log.as_ref(), victim);
    let logged = said.killed.iter().any(|(_, comm)| *comm == victim.comm);
    let own = scope.rows.iter().rfind(|row| {
        let began = row.start_ns.is_some_and(|at_ns| at_ns <= victim.at_ns);
        began && victim.is_own && row.process.pid() == victim.pid
    });
    let exited = own.and_then(|row| row.process.exited.as_ref());
    let levels = victim.levels.iter().take(Oom::MOST);
    Oom {
        at_ns: scope.since_start(victim.at_ns),
        of_target: victim.is_own,
        pid: victim.pid,
        comm: victim.comm.clone(),
        rss_bytes: victim.level.map(|level| scope.rss(&level)),
        anon_bytes: victim.level.map(|level| scope.bytes(level.anon)),
        target_rss_bytes: scope.bytes(victim.target_rss),
        asked_by_pid: victim.asker_pid,
        asked_by: victim.asker_comm.clone(),
        killed: match exited {
            Some(exited) => Some(exited.status & 0x7f == SIGKILL),
            None => (!victim.is_own && logged).then_some(true),
        },
        order: said.order,
        gfp_mask: said.gfp_mask,
        constraint: said.constraint,
        limit_cgroup: said.oom_memcg,
        limit_bytes: said.limit_bytes,
        usage_bytes: said.usage_bytes,
        victim_cgroup: said.task_memcg,
        group: said.group,
        log_why,
        phase: phases::open_at(scope, victim.at_ns),
        processes: levels
            .filter_map(|(space, pages)| {
                let row = rows.get(space)?;
                Some(OomProcess {
                    pid: row.process.pid(),
                    comm: row.comm(),
                    rss_bytes: scope.bytes(*pages),
                    grown_bytes: grown(scope, row, *pages, victim.at_ns),
                })
            })
            .collect(),
    }
}

/// How much a space has grown since the beginning of the time that is looked at.
fn grown(scope: &Scope<'_>, row: &Row<'_>, pages: i64, at_ns: u64) -> Option<i64> {
    let from_ns = at_ns.saturating_sub(Oom::BEFORE_NS);
    let told = scope.history.of(row.space?)?;
    let points = told.timeline.points();
    let before = points.iter().rfind(|point| point.at_ns <= from_ns);
    let start = match before {
        Some(before) => before.pages.rss(),
        // Since it is known.
        None if row.own.is_some_and(|own| own.was_there()) => points.first()?.pages.rss(),
        // One that was not there yet has grown by all that it has.
        None => 0,
    };
    Some(scope.bytes(pages - start))
}
