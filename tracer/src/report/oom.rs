//! Cgroups and kills for want of memory out of the model.

use super::{
    phases,
    schema::{CgroupSection, Oom, OomProcess},
    scope::Scope,
};
use crate::{
    cgroup::State,
    event::Reading,
    model::{row::Row, victim::Victim},
    units::Bytes,
};

const SIGKILL: u32 = 9;

/// The cgroup that is the target; `None` if it is none.
pub(super) fn cgroup(scope: &Scope<'_>) -> Option<CgroupSection> {
    let mut readings = scope.model.readings().iter();
    let (path, state) = readings.find_map(|reading| match reading {
        Reading::CgroupState { path, state } => Some((path, state)),
        _ => None,
    })?;
    let target = scope.ended.map(|ended| &ended.target);
    Some(CgroupSection {
        path: path.clone(),
        state: state.clone(),
        anon_peak_bytes: target.map(|target| scope.bytes(target.anon_peak)),
        anon_peak_at_ns: target.map(|target| scope.since_start(target.anon_peak_ns)),
        limit_hit_by: hit_by(state),
    })
}

/// Which memory stood against the limit when there was most of it, as far as it was seen: the files
/// are read fifty times a second.
fn hit_by(state: &State) -> Option<String> {
    let (limit, hits) = (state.limit_bytes?, state.limit_hits?);
    if hits == 0 {
        return None;
    }
    let size = |bytes: u64| Bytes(bytes.cast_signed());
    let (anon, cache) = (state.anon_bytes?, state.cache_bytes?);
    let shmem = state.shmem_bytes.unwrap_or(0);
    let files = cache.saturating_sub(shmem);
    let kills = state.oom_kills.unwrap_or(0);
    let what = if files > anon.saturating_add(shmem) && kills == 0 {
        "mostly page cache, which the kernel gives up again: the limit cost time, not processes"
    } else if kills == 0 {
        "mostly memory of the processes, of which the kernel could still make room"
    } else {
        "memory that could not be given up"
    };
    Some(format!(
        "The limit of {} was hit {hits} times, by {what}. At the fullest seen: anonymous {}, shared {}, page \
         cache of files {}.",
        size(limit),
        size(anon),
        size(shmem),
        size(files),
    ))
}

/// Whom the kernel chose, in order.
pub(super) fn kills(scope: &Scope<'_>) -> Vec<Oom> {
    let victims = scope.model.victims().iter();
    victims.map(|victim| kill(scope, victim)).collect()
}

fn kill(scope: &Scope<'_>, victim: &Victim) -> Oom {
    let rows = || scope.rows.iter();
    let own = rows().rfind(|row| {
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
        killed: exited.map(|exited| exited.status & 0x7f == SIGKILL),
        phase: phases::open_at(scope, victim.at_ns),
        processes: levels
            .filter_map(|(space, pages)| {
                let row = rows().find(|row| row.space == Some(*space))?;
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
    // One that was not there yet has grown by all that it has.
    let start = before.map_or(0, |point| point.pages.rss());
    Some(scope.bytes(pages - start))
}
