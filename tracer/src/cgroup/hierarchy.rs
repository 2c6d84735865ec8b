//! The hierarchy of cgroups that the memory controller is in, as the mounts tell: where it is, of
//! which version, and which of its directories a process is in.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub root: PathBuf,
    /// Depth of that directory below the kernel's root: more than 0 inside a container.
    pub(super) depth: u64,
    is_v1: bool,
}

impl Hierarchy {
    /// The one that this process sees; `None` if none is mounted.
    pub fn here() -> Option<Self> {
        Self::find(&fs::read_to_string("/proc/self/mountinfo").ok()?)
    }

    /// Out of `/proc/PID/mountinfo`.
    pub fn find(mounts: &str) -> Option<Self> {
        let mut unified = None;
        for line in mounts.lines() {
            let Some((before, after)) = line.split_once(" - ") else {
                continue;
            };
            let before: Vec<&str> = before.split(' ').collect();
            let after: Vec<&str> = after.split(' ').collect();
            let (Some(within), Some(at)) = (before.get(3), before.get(4)) else {
                continue;
            };
            let depth = within
                .split('/')
                .filter(|part| !part.is_empty() && *part != "..");
            let found = |is_v1| Self {
                root: PathBuf::from(at),
                depth: depth.count() as u64,
                is_v1,
            };
            match after[..] {
                ["cgroup", _, options] if options.split(',').any(|o| o == "memory") => {
                    return Some(found(true));
                }
                ["cgroup2", ..] => unified = Some(found(false)),
                _ => {}
            }
        }
        unified
    }

    /// `v1` or `v2`.
    pub fn version(&self) -> &'static str {
        if self.is_v1 { "v1" } else { "v2" }
    }

    /// Name of the file that holds a cgroup's highest usage.
    pub fn peak_file(&self) -> &'static str {
        if self.is_v1 {
            "memory.max_usage_in_bytes"
        } else {
            "memory.peak"
        }
    }

    /// The tightest limit that two of its directories are both under, bytes, and where it is set;
    /// `None` if there is none.
    pub fn common_limit(&self, one: &Path, other: &Path) -> Option<(PathBuf, u64)> {
        let file = if self.is_v1 {
            "memory.limit_in_bytes"
        } else {
            "memory.max"
        };
        let above = one.ancestors().filter(|above| other.starts_with(above));
        let limits = above
            .take_while(|above| above.starts_with(&self.root))
            .filter_map(|above| Some((above.to_owned(), number(&above.join(file))?)));
        limits.min_by_key(|(_, limit)| *limit)
    }

    /// The directory of a process in it.
    pub fn of(&self, pid: u32) -> Option<PathBuf> {
        self.locate(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
    }

    fn locate(&self, memberships: &str) -> Option<PathBuf> {
        let path = memberships.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let is_it = match self.is_v1 {
                true => controllers.split(',').any(|name| name == "memory"),
                false => controllers.is_empty(),
            };
            is_it.then_some(path)
        })?;
        Some(self.root.join(path.trim_start_matches('/')))
    }

    /// The topmost directory whose name the caller knows; `None` if there is none.
    pub(super) fn find_named(&self, is_it: impl Fn(&str) -> bool) -> Option<PathBuf> {
        let mut level = vec![self.root.clone()];
        while !level.is_empty() {
            let mut next = Vec::new();
            for directory in directories(&level) {
                let name = directory.file_name().and_then(|name| name.to_str());
                if name.is_some_and(&is_it) {
                    return Some(directory);
                }
                next.push(directory);
            }
            level = next;
        }
        None
    }
}

/// The directories in these.
fn directories(of: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    let entries = of
        .iter()
        .filter_map(|path: &PathBuf| fs::read_dir(path).ok());
    entries.flatten().filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_type().ok()?.is_dir().then(|| entry.path())
    })
}

/// The number that a file holds; `None` if there is none.
pub fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// PIDs of the processes in a cgroup, not below it.
pub fn processes(directory: &Path) -> Vec<u32> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_of_the_memory_controller_is_found_among_the_mounts() {
        let v1 = "31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                  32 24 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = Hierarchy::find(v1).unwrap();
        assert_eq!(
            (found.root.to_str(), found.version()),
            (Some("/sys/fs/cgroup/memory"), "v1")
        );
        let inside = "33 24 0:29 /a/b /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let found = Hierarchy::find(inside).unwrap();
        assert_eq!((found.depth, found.version()), (2, "v2"));
        assert!(Hierarchy::find("1 2 0:3 / / rw - ext4 /dev/vda rw\n").is_none());
    }

    #[test]
    fn a_process_is_where_its_memberships_say() {
        let memberships = "12:cpu,cpuacct:/a\n4:memory:/b/c\n0::/d\n";
        let of = |mounts| {
            let hierarchy: Hierarchy = Hierarchy::find(mounts).unwrap();
            hierarchy.locate(memberships)
        };
        assert_eq!(
            of("32 24 0:28 / /m rw - cgroup cgroup rw,memory\n"),
            Some("/m/b/c".into())
        );
        assert_eq!(
            of("33 24 0:29 / /u rw - cgroup2 cgroup2 rw\n"),
            Some("/u/d".into())
        );
    }

    #[test]
    fn the_tightest_limit_above_two_cgroups_is_theirs() {
        let root = tempfile::tempdir().unwrap();
        let limit = |path: &str, limit: &str| {
            let directory = root.path().join(path);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("memory.max"), limit).unwrap();
            directory
        };
        let job = limit("jobs/one", "max\n");
        let jobs = limit("jobs", "4096\n");
        let (step, other) = (limit("jobs/one/step", "1024\n"), limit("jobs/two", "512\n"));
        let hierarchy = Hierarchy {
            root: root.path().to_owned(),
            depth: 0,
            is_v1: false,
        };
        assert_eq!(
            hierarchy.common_limit(&step, &job),
            Some((jobs.clone(), 4096))
        );
        assert_eq!(hierarchy.common_limit(&step, &other), Some((jobs, 4096)));
        assert_eq!(
            hierarchy.common_limit(&step, &step),
            Some((step.clone(), 1024))
        );
        assert_eq!(hierarchy.common_limit(&step, root.path()), None);
    }
}
