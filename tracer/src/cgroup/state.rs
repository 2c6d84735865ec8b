//! What the files of a cgroup say of its memory. Reads files, judges nothing.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use super::hierarchy::number;

/// What the files of a cgroup say: in a report, the amounts of when there was most. What a kernel
/// does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `memory.current`, `memory.usage_in_bytes`.
    pub usage_bytes: Option<u64>,
    /// `memory.peak`, `memory.max_usage_in_bytes`.
    pub peak_bytes: Option<u64>,
    /// `memory.max`, `memory.limit_in_bytes`; `None` if there is no limit.
    pub limit_bytes: Option<u64>,
    /// Anonymous memory (`anon`; `total_rss` of v1).
    pub anon_bytes: Option<u64>,
    /// The part of it in huge pages (`anon_thp`; `total_rss_huge` of v1).
    pub thp_bytes: Option<u64>,
    /// Page cache (`file`; `total_cache` of v1).
    pub cache_bytes: Option<u64>,
    /// The part of it that was not used for a while (`inactive_file`): what the kubelet and
    /// `docker stats` take off the usage.
    pub inactive_file_bytes: Option<u64>,
    /// Shared memory and tmpfs, part of the cache.
    pub shmem_bytes: Option<u64>,
    /// Kernel memory (`kernel`; `memory.kmem.usage_in_bytes`).
    pub kernel_bytes: Option<u64>,
    /// The part of it in the slab allocator (`slab`).
    pub slab_bytes: Option<u64>,
    /// In swap, not part of the usage (`memory.swap.current`; `total_swap` of v1).
    pub swap_bytes: Option<u64>,
    /// Huge pages of hugetlb, not part of the usage (`hugetlb.SIZE.current`).
    pub hugetlb_bytes: Option<u64>,
    /// Times that the limit was hit (`max` of `memory.events`; `memory.failcnt`).
    pub limit_hits: Option<u64>,
    /// Times that `memory.high` was passed (`high` of `memory.events`).
    pub high_hits: Option<u64>,
    /// Times that no memory could be had (`oom` of `memory.events`).
    pub ooms: Option<u64>,
    /// Processes killed for want of memory.
    pub oom_kills: Option<u64>,
    /// All processes of the cgroup are killed together (`memory.oom.group`).
    pub oom_group: Option<bool>,
}

/// Sizes of huge pages, as the files of the hugetlb controller are named.
const HUGETLB: [&str; 2] = ["hugetlb.2MB.current", "hugetlb.1GB.current"];

impl State {
    /// Reads a cgroup's files. The usage is the lesser of what it was before and after the rest.
    pub fn read(directory: &Path) -> Self {
        let text = |file: &str| fs::read_to_string(directory.join(file)).unwrap_or_default();
        let usage = |file: &str| number(&directory.join(file));
        let before = usage("memory.current").or_else(|| usage("memory.usage_in_bytes"));
        let stat = text("memory.stat");
        let state = if key(&stat, "total_rss").is_some() {
            Self::read_v1(directory, &stat, &text("memory.oom_control"))
        } else {
            Self::read_v2(directory, &stat, &text("memory.events"))
        };
        // The files are read one after the other. What came meanwhile is not what the amounts are of.
        Self {
            usage_bytes: before
                .zip(state.usage_bytes)
                .map(|(one, other)| one.min(other)),
            ..state
        }
    }

    fn read_v1(directory: &Path, stat: &str, oom: &str) -> Self {
        let number = |file: &str| number(&directory.join(file));
        // Without a limit there stands the largest multiple of a page.
        let is_limit = |limit: &u64| *limit < i64::MAX as u64 / 2;
        Self {
            usage_bytes: number("memory.usage_in_bytes"),
            peak_bytes: number("memory.max_usage_in_bytes"),
            limit_bytes: number("memory.limit_in_bytes").filter(is_limit),
            anon_bytes: key(stat, "total_rss"),
            thp_bytes: key(stat, "total_rss_huge"),
            cache_bytes: key(stat, "total_cache"),
            inactive_file_bytes: key(stat, "total_inactive_file"),
            shmem_bytes: key(stat, "total_shmem"),
            kernel_bytes: number("memory.kmem.usage_in_bytes"),
            slab_bytes: None,
            swap_bytes: key(stat, "total_swap"),
            hugetlb_bytes: None,
            limit_hits: number("memory.failcnt"),
            high_hits: None,
            ooms: None,
            oom_kills: key(oom, "oom_kill"),
            oom_group: None,
        }
    }

    fn read_v2(directory: &Path, stat: &str, events: &str) -> Self {
        let number = |file: &str| number(&directory.join(file));
        let hugetlb: Vec<u64> = HUGETLB.into_iter().filter_map(number).collect();
        Self {
            usage_bytes: number("memory.current"),
            peak_bytes: number("memory.peak"),
            limit_bytes: number("memory.max"),
            anon_bytes: key(stat, "anon"),
            thp_bytes: key(stat, "anon_thp"),
            cache_bytes: key(stat, "file"),
            inactive_file_bytes: key(stat, "inactive_file"),
            shmem_bytes: key(stat, "shmem"),
            kernel_bytes: key(stat, "kernel"),
            slab_bytes: key(stat, "slab"),
            swap_bytes: number("memory.swap.current"),
            hugetlb_bytes: (!hugetlb.is_empty()).then(|| hugetlb.iter().sum()),
            limit_hits: key(events, "max"),
            high_hits: key(events, "high"),
            ooms: key(events, "oom"),
            oom_kills: key(events, "oom_kill"),
            oom_group: number("memory.oom.group").map(|group| group != 0),
        }
    }

    /// What the kernel cannot give up without swap: anonymous, shared and kernel memory; `None` if
    /// it does not tell all three.
    pub fn needed_bytes(&self) -> Option<u64> {
        let (anon, shmem, kernel) = (self.anon_bytes?, self.shmem_bytes?, self.kernel_bytes?);
        Some(anon.saturating_add(shmem).saturating_add(kernel))
    }

    /// This one's counts with another one's amounts.
    pub fn with_amounts_of(self, other: &Self) -> Self {
        Self {
            peak_bytes: self.peak_bytes,
            limit_bytes: self.limit_bytes,
            limit_hits: self.limit_hits,
            high_hits: self.high_hits,
            ooms: self.ooms,
            oom_kills: self.oom_kills,
            oom_group: self.oom_group,
            ..other.clone()
        }
    }
}

/// The number behind a name at the beginning of a line.
fn key(text: &str, name: &str) -> Option<u64> {
    let of = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(of)
}

/// How long tasks waited for memory, as the kernel sums it up (PSI).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressure {
    /// Of the whole machine, for want of a file for the cgroup.
    pub of_machine: bool,
    /// At least one task waited, nanoseconds.
    pub some_ns: u64,
    /// All that could have run waited, nanoseconds.
    pub full_ns: u64,
}

impl Pressure {
    /// Reads it of a cgroup, else of the machine; `None` if the kernel does not sum it up.
    pub fn read(directory: &Path) -> Option<Self> {
        let of = |file: &Path, of_machine| Self::parse(&fs::read_to_string(file).ok()?, of_machine);
        let own = of(&directory.join("memory.pressure"), false);
        own.or_else(|| of(Path::new("/proc/pressure/memory"), true))
    }

    fn parse(text: &str, of_machine: bool) -> Option<Self> {
        let total = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            let us: u64 = line.rsplit_once("total=")?.1.trim().parse().ok()?;
            Some(us.saturating_mul(1_000))
        };
        Some(Self {
            of_machine,
            some_ns: total("some ")?,
            full_ns: total("full ")?,
        })
    }

    /// What came since.
    pub fn since(self, before: Self) -> Self {
        Self {
            of_machine: self.of_machine,
            some_ns: self.some_ns.saturating_sub(before.some_ns),
            full_ns: self.full_ns.saturating_sub(before.full_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cgroup(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    #[test]
    fn files_that_are_not_there_say_nothing() {
        assert_eq!(State::read(Path::new("/no/such/cgroup")), State::default());
    }

    #[test]
    fn the_files_of_v2_are_read() {
        let directory = cgroup(&[
            (
                "memory.stat",
                "anon 10\nfile 20\nkernel 30\nshmem 5\ninactive_file 7\nanon_thp 8\nslab 9\nslab_reclaimable 4\n",
            ),
            ("memory.current", "61\n"),
            ("memory.peak", "70\n"),
            ("memory.max", "max\n"),
            ("memory.swap.current", "0\n"),
            (
                "memory.events",
                "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 0\n",
            ),
            ("memory.oom.group", "1\n"),
            ("hugetlb.2MB.current", "2097152\n"),
            (
                "memory.pressure",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=12\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n",
            ),
        ]);
        let state = State::read(directory.path());
        let told = State {
            usage_bytes: Some(61),
            peak_bytes: Some(70),
            limit_bytes: None,
            anon_bytes: Some(10),
            thp_bytes: Some(8),
            cache_bytes: Some(20),
            inactive_file_bytes: Some(7),
            shmem_bytes: Some(5),
            kernel_bytes: Some(30),
            slab_bytes: Some(9),
            swap_bytes: Some(0),
            hugetlb_bytes: Some(2 << 20),
            limit_hits: Some(2),
            high_hits: Some(1),
            ooms: Some(3),
            oom_kills: Some(4),
            oom_group: Some(true),
        };
        assert_eq!(state, told);
        assert_eq!(state.needed_bytes(), Some(45));
        let pressure = Pressure::read(directory.path()).unwrap();
        let own = (pressure.of_machine, pressure.some_ns, pressure.full_ns);
        assert_eq!(own, (false, 12_000, 3_000));
    }

    #[test]
    fn the_files_of_v1_are_read() {
        let directory = cgroup(&[
            (
                "memory.stat",
                "cache 1\nrss 2\ntotal_cache 20\ntotal_rss 10\ntotal_rss_huge 8\ntotal_shmem 5\ntotal_inactive_file 7\n",
            ),
            ("memory.usage_in_bytes", "61\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.kmem.usage_in_bytes", "30\n"),
            ("memory.failcnt", "2\n"),
            (
                "memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
            ),
        ]);
        let state = State::read(directory.path());
        let told = State {
            usage_bytes: Some(61),
            anon_bytes: Some(10),
            thp_bytes: Some(8),
            cache_bytes: Some(20),
            inactive_file_bytes: Some(7),
            shmem_bytes: Some(5),
            kernel_bytes: Some(30),
            limit_hits: Some(2),
            oom_kills: Some(4),
            ..State::default()
        };
        assert_eq!(state, told);
    }
}
