//! The cgroup that is the target, out of what its files said, held against the ledgers.

use super::{
    checks::{Judged, signed, unavailable},
    schema::{Absent, CgroupSection, Check, Verdict},
    scope::Scope,
};
use crate::{
    cgroup::{Pressure, State},
    event::Reading,
    units::Bytes,
};

/// Pages that each CPU charges ahead (`MEMCG_CHARGE_BATCH`).
const BATCH_PAGES: u64 = 64;
/// A limit is full at this part of it.
const FULL: u64 = 16;

/// What was read of it.
struct Said<'a> {
    path: &'a str,
    state: &'a State,
    neediest: Option<&'a State>,
    pressure: Option<Pressure>,
}

impl<'a> Said<'a> {
    fn of(scope: &Scope<'a>) -> Option<Self> {
        scope
            .model
            .readings()
            .iter()
            .find_map(|reading| match reading {
                Reading::CgroupState {
                    path,
                    state,
                    neediest,
                    pressure,
                } => Some(Self {
                    path,
                    state,
                    neediest: neediest.as_deref(),
                    pressure: *pressure,
                }),
                _ => None,
            })
    }
}

/// The section; `None` if no cgroup is the target.
pub(super) fn of(scope: &Scope<'_>) -> Option<CgroupSection> {
    let said = Said::of(scope)?;
    let target = scope.ended.map(|ended| &ended.target);
    Some(CgroupSection {
        path: said.path.to_owned(),
        state: said.state.clone(),
        needed_bytes: said.neediest.and_then(State::needed_bytes),
        charged_ahead_bytes: charged_ahead(scope),
        pressure: said.pressure,
        anon_peak_bytes: target.map(|target| scope.bytes(target.anon_peak)),
        anon_peak_at_ns: target.map(|target| scope.since_start(target.anon_peak_ns)),
        limit_hit_by: hit_by(&said),
        absent: absent(scope, &said),
    })
}

/// What the usage may hold beyond what is used.
fn charged_ahead(scope: &Scope<'_>) -> u64 {
    scope.bytes_unsigned(BATCH_PAGES.saturating_mul(scope.begun.cpus.into()))
}

fn size(bytes: u64) -> Bytes {
    Bytes(bytes.cast_signed())
}

/// Which memory filled the limit, as far as it was seen: the files are read fifty times a second.
/// What the kernel can give up at any time does not count if the rest would have fitted.
fn hit_by(said: &Said<'_>) -> Option<String> {
    let state = said.state;
    let (limit, hits) = (state.limit_bytes?, state.limit_hits?);
    if hits == 0 {
        return None;
    }
    let neediest = said.neediest.unwrap_or(state);
    let needed = neediest.needed_bytes()?;
    let kills = state.oom_kills.unwrap_or(0);
    let what = if kills > 0 {
        "memory that could not be given up"
    } else if needed < limit - limit / FULL {
        "page cache of files, which the kernel gives up again: it cost time, not processes"
    } else {
        "memory of the processes, for which the kernel could still make room"
    };
    let times = if hits == 1 {
        "once"
    } else {
        &format!("{hits} times")
    };
    Some(format!(
        "The limit of {} was hit {times}, by {what}. At most {} could not be given up: anonymous \
         {}, shared {}, kernel {}.",
        size(limit),
        size(needed),
        size(neediest.anon_bytes?),
        size(neediest.shmem_bytes?),
        size(neediest.kernel_bytes?),
    ))
}

/// Which keys are `None`, and why.
fn absent(scope: &Scope<'_>, said: &Said<'_>) -> Vec<Absent> {
    const NO_FILE: &str = "This kernel has no file for it in a cgroup of this version.";
    const NO_CONTROLLER: &str = "The hugetlb controller is not on in this cgroup.";
    let state = said.state;
    let is_v1 = scope.begun.cgroup == "v1";
    let swap = if is_v1 {
        "This kernel does not count it in a cgroup of this version."
    } else {
        NO_FILE
    };
    let keys = [
        ("usage_bytes", state.usage_bytes.is_none(), NO_FILE),
        ("peak_bytes", state.peak_bytes.is_none(), NO_FILE),
        (
            "limit_bytes",
            state.limit_bytes.is_none(),
            "There is no limit.",
        ),
        ("thp_bytes", state.thp_bytes.is_none(), NO_FILE),
        ("kernel_bytes", state.kernel_bytes.is_none(), NO_FILE),
        ("slab_bytes", state.slab_bytes.is_none(), NO_FILE),
        ("swap_bytes", state.swap_bytes.is_none(), swap),
        (
            "hugetlb_bytes",
            state.hugetlb_bytes.is_none(),
            if is_v1 { NO_FILE } else { NO_CONTROLLER },
        ),
        ("high_hits", state.high_hits.is_none(), NO_FILE),
        ("ooms", state.ooms.is_none(), NO_FILE),
        ("oom_group", state.oom_group.is_none(), NO_FILE),
        (
            "pressure",
            said.pressure.is_none(),
            "This kernel does not sum up waits for memory (CONFIG_PSI), or was told not to.",
        ),
    ];
    let absent = keys.into_iter().filter(|(_, is_absent, _)| *is_absent);
    let absent = absent.map(|(key, _, why)| Absent {
        key,
        why: why.into(),
    });
    absent.collect()
}

/// What the files say, held against the sum of the processes.
pub(super) fn checks(scope: &Scope<'_>, peak: i64) -> Vec<Check> {
    let Some(said) = Said::of(scope) else {
        return Vec::new();
    };
    let anon_peak = scope.ended.map(|ended| scope.bytes(ended.target.anon_peak));
    let anon = said.neediest.and_then(|neediest| neediest.anon_bytes);
    let anon = anon.zip(anon_peak);
    let anon = anon.map(|(anon, exact)| whole_anon(signed(anon), exact));
    let mut checks = vec![whole_peak(scope, said.state, peak)];
    checks.extend(anon);
    checks.extend(working_set(said.state, peak));
    checks
}

/// What a usage has that the sum of the processes does not.
fn beyond(scope: &Scope<'_>, state: &State) -> String {
    let files = state.cache_bytes.zip(state.shmem_bytes);
    let parts = [
        (
            "page cache of files",
            files.map(|(all, shared)| all.saturating_sub(shared)),
        ),
        ("kernel memory", state.kernel_bytes),
    ];
    let parts = parts.into_iter().map(|(name, bytes)| match bytes {
        Some(bytes) => format!("{name} ({})", size(bytes)),
        None => name.to_owned(),
    });
    let parts: Vec<_> = parts.collect();
    format!(
        "It counts {} too, pages that nobody has mapped, and what each CPU charges ahead (64 pages, \
         {} in all).",
        parts.join(" and "),
        size(charged_ahead(scope)),
    )
}

const FIRST: &str = "A cgroup counts a shared page once, and for whoever touched it first, perhaps \
                     in another cgroup; the sum of the processes counts it for each.";

/// The highest usage.
fn whole_peak(scope: &Scope<'_>, state: &State, peak: i64) -> Check {
    const NAME: &str = "cgroup peak";
    let Some(said) = state.peak_bytes.map(signed) else {
        return unavailable(NAME, "The cgroup has no file for it.");
    };
    let judged = match said.cmp(&peak) {
        std::cmp::Ordering::Equal => Judged::equal(),
        std::cmp::Ordering::Less => Judged::new(Verdict::CoversLess, FIRST),
        std::cmp::Ordering::Greater => Judged {
            verdict: Verdict::CoversMore,
            why: beyond(scope, state).into(),
        },
    };
    judged.check(NAME, said, peak)
}

/// Anonymous memory when the most was needed, as far as seen, against the exact peak of the sum.
fn whole_anon(said: i64, exact: i64) -> Check {
    let judged = match said.cmp(&exact) {
        std::cmp::Ordering::Equal => Judged::equal(),
        std::cmp::Ordering::Less => Judged::new(
            Verdict::CoversLess,
            "It counts a page that is shared copy-on-write once, and was read fifty times a second: \
             this is the highest reading.",
        ),
        std::cmp::Ordering::Greater => Judged::new(
            Verdict::CoversMore,
            "It counts anonymous pages of processes that have left, and those that the kernel has \
             not yet freed.",
        ),
    };
    judged.check("cgroup anon", said, exact)
}

/// The usage less the page cache that was not used for a while.
fn working_set(state: &State, peak: i64) -> Option<Check> {
    let (usage, inactive) = (state.usage_bytes?, state.inactive_file_bytes?);
    let said = signed(usage.saturating_sub(inactive));
    let judged = match said.cmp(&peak) {
        std::cmp::Ordering::Equal => Judged::equal(),
        std::cmp::Ordering::Less => Judged::new(
            Verdict::CoversLess,
            "It counts shared pages once and leaves files out that were not used for a while, mapped \
             or not; and it was read fifty times a second.",
        ),
        std::cmp::Ordering::Greater => Judged::new(
            Verdict::CoversMore,
            "As the kubelet and `docker stats` have it: usage less inactive files. Active page cache \
             and kernel memory are still in it.",
        ),
    };
    Some(judged.check("cgroup working set", said, peak))
}
