//! The cgroup that is a target: found by its path or by the container it is of. Reads `/proc` and
//! asks container engines, traces nothing.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize};

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A path or a name below the root of the memory hierarchy.
    Cgroup(String),
    /// A container by name or id.
    Container(String),
}

/// A cgroup in the hierarchy of the memory controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its directory.
    pub directory: PathBuf,
    /// Its number: the inode of the directory.
    pub id: u64,
    /// Its depth below the root.
    pub level: u64,
    /// Container that was asked for.
    pub container: Option<String>,
}

impl Cgroup {
    /// One of its processes; `None` if it has none.
    pub fn a_process(&self) -> Option<u32> {
        let text = fs::read_to_string(self.directory.join("cgroup.procs")).ok()?;
        text.lines().next()?.parse().ok()
    }
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No hierarchy has the memory controller.
    #[error("no cgroup hierarchy with the memory controller is mounted here")]
    NoHierarchy,
    /// There is no such directory.
    #[error(
        "there is no cgroup {name} below {root}. List them with: find {root} -type d; or wait for \
         it with --wait"
    )]
    NoSuch {
        /// As asked.
        name: String,
        /// Root of the hierarchy.
        root: PathBuf,
    },
    /// It lies in another hierarchy.
    #[error(
        "{name} is a cgroup without the memory controller. Name the one below {root} that the \
         processes are in"
    )]
    OtherHierarchy {
        /// As asked.
        name: String,
        /// Root of the hierarchy.
        root: PathBuf,
    },
    /// No engine knows such a container, or it does not run.
    #[error(
        "no running container {name} is known to {asked}. List them with: {example}; or wait for it \
         with --wait"
    )]
    NoContainer {
        /// As asked.
        name: String,
        /// Engines asked.
        asked: String,
        /// How to list containers.
        example: String,
    },
    /// There is no engine to ask.
    #[error(
        "no container engine was found to ask for {0} (docker, podman, nerdctl, crictl). Name its \
         cgroup: --cgroup PATH"
    )]
    NoEngine(String),
}

/// The hierarchy that the memory controller is in.
struct Hierarchy {
    root: PathBuf,
    /// Depth of that directory below the kernel's root: more than 0 inside a container.
    depth: u64,
    is_v1: bool,
}

impl Hierarchy {
    fn find(mounts: &str) -> Option<Self> {
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

    /// The path of a process in it.
    fn of(&self, pid: u32) -> Option<PathBuf> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let path = text.lines().find_map(|line| {
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
}

/// Finds it.
///
/// # Errors
///
/// [`FindError`] if it is not there (yet).
pub fn find(wanted: &Wanted) -> Result<Cgroup, FindError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let hierarchy = Hierarchy::find(&mounts).ok_or(FindError::NoHierarchy)?;
    let (directory, container) = match wanted {
        Wanted::Cgroup(name) => (by_name(name, &hierarchy)?, None),
        Wanted::Container(name) => (by_container(name, &hierarchy)?, Some(name.clone())),
    };
    let no_such = || FindError::NoSuch {
        name: directory.display().to_string(),
        root: hierarchy.root.clone(),
    };
    let metadata = fs::metadata(&directory).map_err(|_| no_such())?;
    let below = directory
        .strip_prefix(&hierarchy.root)
        .map_err(|_| no_such())?;
    Ok(Cgroup {
        id: metadata.ino(),
        level: hierarchy.depth + below.components().count() as u64,
        directory,
        container,
    })
}

fn by_name(name: &str, hierarchy: &Hierarchy) -> Result<PathBuf, FindError> {
    let root = hierarchy.root.clone();
    let path = Path::new(name);
    let name = name.to_owned();
    if path.starts_with(&root) {
        return match path.is_dir() {
            true => Ok(path.to_owned()),
            false => Err(FindError::NoSuch { name, root }),
        };
    }
    let below = root.join(name.trim_start_matches('/'));
    match (
        below.is_dir(),
        path.is_absolute() && path.join("cgroup.procs").exists(),
    ) {
        (true, _) => Ok(below),
        (false, true) => Err(FindError::OtherHierarchy { name, root }),
        (false, false) => Err(FindError::NoSuch { name, root }),
    }
}

/// Engines, and how each tells the PID of a container's first process.
const ENGINES: [(&str, &[&str]); 4] = [
    ("docker", &["inspect", "--format", "{{.State.Pid}}"]),
    ("podman", &["inspect", "--format", "{{.State.Pid}}"]),
    ("nerdctl", &["inspect", "--format", "{{.State.Pid}}"]),
    (
        "crictl",
        &[
            "inspect",
            "--output",
            "go-template",
            "--template",
            "{{.info.pid}}",
        ],
    ),
];

fn by_container(name: &str, hierarchy: &Hierarchy) -> Result<PathBuf, FindError> {
    let mut asked = Vec::new();
    for (engine, arguments) in ENGINES {
        let Ok(output) = Command::new(engine)
            .args(arguments)
            .arg(name)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
        else {
            continue;
        };
        asked.push(engine);
        let text = String::from_utf8_lossy(&output.stdout);
        let pid = text.trim().parse().ok().filter(|pid: &u32| *pid != 0);
        if let Some(directory) = pid.and_then(|pid| hierarchy.of(pid)) {
            return Ok(directory);
        }
    }
    let name = name.to_owned();
    match asked[..] {
        [] => Err(FindError::NoEngine(name)),
        [first, ..] => Err(FindError::NoContainer {
            name,
            asked: asked.join(", "),
            example: format!("{first} ps"),
        }),
    }
}

/// What the files of a cgroup say: in a report, the amounts of when there was most. What a kernel does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `memory.current`, `memory.usage_in_bytes`.
    pub usage_bytes: Option<u64>,
    /// `memory.peak`, `memory.max_usage_in_bytes`.
    pub peak_bytes: Option<u64>,
    /// `memory.max`, `memory.limit_in_bytes`; `None` if there is no limit.
    pub limit_bytes: Option<u64>,
    /// Anonymous memory (`anon`; `rss` of v1).
    pub anon_bytes: Option<u64>,
    /// Page cache (`file`; `cache` of v1).
    pub cache_bytes: Option<u64>,
    /// Shared memory and tmpfs, part of the cache.
    pub shmem_bytes: Option<u64>,
    /// Kernel memory.
    pub kernel_bytes: Option<u64>,
    /// Times that the limit was hit (`max` of `memory.events`; `memory.failcnt`).
    pub limit_hits: Option<u64>,
    /// Processes killed for want of memory.
    pub oom_kills: Option<u64>,
}

impl State {
    /// Reads a cgroup's files.
    pub fn read(directory: &Path) -> Self {
        let text = |file: &str| fs::read_to_string(directory.join(file)).unwrap_or_default();
        let number = |file: &str| text(file).trim().parse::<u64>().ok();
        let (stat, events, oom) = (
            text("memory.stat"),
            text("memory.events"),
            text("memory.oom_control"),
        );
        let key = |of: &str, name: &str| {
            let line = of
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse::<u64>().ok())
        };
        let either = |v2: &str, v1: &str| key(&stat, v2).or_else(|| key(&stat, v1));
        // Without a limit v1 gives the largest multiple of a page.
        let limit = number("memory.max").or_else(|| {
            number("memory.limit_in_bytes").filter(|limit| *limit < i64::MAX as u64 / 2)
        });
        Self {
            usage_bytes: number("memory.current").or_else(|| number("memory.usage_in_bytes")),
            peak_bytes: number("memory.peak").or_else(|| number("memory.max_usage_in_bytes")),
            limit_bytes: limit,
            anon_bytes: either("anon", "total_rss"),
            cache_bytes: either("file", "total_cache"),
            shmem_bytes: either("shmem", "total_shmem"),
            kernel_bytes: key(&stat, "kernel").or_else(|| number("memory.kmem.usage_in_bytes")),
            limit_hits: key(&events, "max").or_else(|| number("memory.failcnt")),
            oom_kills: key(&events, "oom_kill").or_else(|| key(&oom, "oom_kill")),
        }
    }
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
            (found.root.to_str(), found.is_v1),
            (Some("/sys/fs/cgroup/memory"), true)
        );
        let inside = "33 24 0:29 /a/b /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let found = Hierarchy::find(inside).unwrap();
        assert_eq!((found.depth, found.is_v1), (2, false));
        assert!(Hierarchy::find("1 2 0:3 / / rw - ext4 /dev/vda rw\n").is_none());
    }

    #[test]
    fn files_that_are_not_there_say_nothing() {
        assert_eq!(State::read(Path::new("/no/such/cgroup")), State::default());
    }
}
