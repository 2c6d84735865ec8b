//! Readings of other instruments: what `/proc` and the cgroup files say at this moment. Reads
//! files, judges nothing.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Memory of a process as `/proc` shows it, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcMemory {
    /// `VmHWM` of `status`.
    pub vm_hwm_bytes: u64,
    /// `VmRSS` of `status`.
    pub vm_rss_bytes: u64,
    /// Second field of `statm`.
    pub statm_rss_bytes: u64,
}

/// Reads a process's memory; `None` if it is gone or has no space any more.
pub fn proc_memory(pid: u32, page_bytes: u64) -> Option<ProcMemory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':')
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<u64>()
            .ok()
    };
    Some(ProcMemory {
        vm_hwm_bytes: kib("VmHWM")? * 1024,
        vm_rss_bytes: kib("VmRSS")? * 1024,
        statm_rss_bytes: statm.split_whitespace().nth(1)?.parse::<u64>().ok()? * page_bytes,
    })
}

/// Thread group of a PID: itself for a process, another for a thread; `None` if there is no such.
pub fn thread_group(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:"))?
        .trim()
        .parse()
        .ok()
}

/// Real user id of a process; `None` if it is gone.
pub fn owner(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// A memory cgroup, v1 or v2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryCgroup {
    /// Its directory.
    pub directory: PathBuf,
    /// Name of the file that holds its peak.
    pub peak_file: &'static str,
}

impl MemoryCgroup {
    /// The memory cgroup of a process, if its hierarchy is mounted where it is usually.
    pub fn of(pid: u32) -> Option<Self> {
        let membership = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        Self::locate(&membership, Path::new("/sys/fs/cgroup"))
    }

    fn locate(membership: &str, mount: &Path) -> Option<Self> {
        let path = |controllers: &str| {
            membership.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (names, path) = rest.split_once(':')?;
                names
                    .split(',')
                    .any(|name| name == controllers)
                    .then(|| path.trim_start_matches('/'))
            })
        };
        [
            (
                path("memory"),
                mount.join("memory"),
                "memory.max_usage_in_bytes",
            ),
            (path(""), mount.to_owned(), "memory.peak"),
        ]
        .into_iter()
        .find_map(|(path, root, peak_file)| {
            let directory = root.join(path?);
            directory.join(peak_file).exists().then_some(Self {
                directory,
                peak_file,
            })
        })
    }

    /// Highest usage so far, bytes.
    pub fn peak_bytes(&self) -> Option<u64> {
        fs::read_to_string(self.directory.join(self.peak_file))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Processes in it.
    pub fn processes(&self) -> BTreeSet<u32> {
        fs::read_to_string(self.directory.join("cgroup.procs"))
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.parse().ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_there_reads_as_none() {
        assert_eq!(proc_memory(u32::MAX, 4096), None);
        assert_eq!(thread_group(u32::MAX), None);
    }

    #[test]
    fn own_memory_reads_as_something() {
        let own = proc_memory(std::process::id(), 4096).unwrap();
        assert!(own.vm_hwm_bytes > 0 && own.vm_rss_bytes > 0 && own.statm_rss_bytes > 0);
    }
}
