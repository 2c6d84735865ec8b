//! What a memory cgroup is charged for, as its files say, and a cgroup for one command alone.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::unistd::Pid;

use crate::cgroup::{Hierarchy, number, processes};

/// What the files said at one moment, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// All of it.
    pub usage_bytes: u64,
    /// Page cache that was not used lately, which docker stats leaves out.
    pub inactive_file_bytes: u64,
    /// Anonymous memory.
    pub anon_bytes: u64,
    /// Page cache, with shared memory.
    pub cache_bytes: u64,
}

impl Charged {
    /// Reads what docker stats reads; `None` if the files are not there.
    pub fn read(directory: &Path) -> Option<Self> {
        let text = |file: &str| fs::read_to_string(directory.join(file)).ok();
        let usage = text("memory.current").or_else(|| text("memory.usage_in_bytes"))?;
        Self::parse(&usage, &text("memory.stat")?)
    }

    fn parse(usage: &str, stat: &str) -> Option<Self> {
        // Names of v1 with the cgroups below, which v2 always includes.
        let either = |v1: &str, v2: &str| key(stat, v1).or_else(|| key(stat, v2));
        Some(Self {
            usage_bytes: usage.trim().parse().ok()?,
            inactive_file_bytes: either("total_inactive_file", "inactive_file")?,
            anon_bytes: either("total_rss", "anon")?,
            cache_bytes: either("total_cache", "file")?,
        })
    }

    /// What docker stats shows.
    pub fn docker_bytes(&self) -> u64 {
        self.usage_bytes.saturating_sub(self.inactive_file_bytes)
    }

    /// Neither anonymous nor cache: page tables, stacks and objects of the kernel, and what each
    /// CPU has charged ahead.
    pub fn kernel_bytes(&self) -> u64 {
        self.usage_bytes
            .saturating_sub(self.anon_bytes)
            .saturating_sub(self.cache_bytes)
    }
}

fn key(stat: &str, name: &str) -> Option<u64> {
    let line = stat
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line?.parse().ok()
}

/// The memory cgroup that a command is looked at in.
#[derive(Debug)]
pub struct Place {
    /// Its directory.
    pub directory: PathBuf,
    /// Its file of the highest charge.
    pub peak_file: PathBuf,
    /// It was made for the command, so that nothing else is in it.
    pub is_own: bool,
    /// What it was charged for before the command ran.
    pub before: Option<Charged>,
    /// Its highest charge before that.
    pub peak_before_bytes: Option<u64>,
}

impl Place {
    /// Makes a cgroup below memtrace's own and puts the process there; where that is not allowed,
    /// the one that it is in anyway. `None` if there is no memory controller.
    pub fn take(pid: Pid) -> Option<Self> {
        let hierarchy = Hierarchy::here()?;
        let shared = hierarchy.of(pid.as_raw().unsigned_abs())?;
        let own = own(&shared, hierarchy.peak_file(), pid);
        let is_own = own.is_some();
        let directory = own.unwrap_or(shared);
        let peak_file = directory.join(hierarchy.peak_file());
        Some(Self {
            before: Charged::read(&directory),
            peak_before_bytes: number(&peak_file),
            directory,
            peak_file,
            is_own,
        })
    }
}

/// Name of a cgroup of this kind, without the PID behind it.
const NAME: &str = "memtrace-judge-";

/// Removes what a memtrace left behind that was killed.
fn tidy(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(NAME));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // One that is still in use stays.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn own(shared: &Path, peak_file: &str, pid: Pid) -> Option<PathBuf> {
    tidy(shared);
    let own = shared.join(format!("{NAME}{pid}"));
    fs::create_dir(&own).ok()?;
    // Under v2 a child has the controller only if its parent hands it down.
    let entered = number(&own.join(peak_file)).map(|_| enter(&own, pid));
    if matches!(entered, Some(Ok(()))) {
        return Some(own);
    }
    let _ = fs::remove_dir(&own);
    None
}

fn enter(directory: &Path, pid: Pid) -> io::Result<()> {
    fs::write(directory.join("cgroup.procs"), pid.to_string())
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_own {
            return;
        }
        // What outlives the command goes back to where it would have been.
        if let Some(parent) = self.directory.parent() {
            for pid in processes(&self.directory) {
                let _ = enter(parent, Pid::from_raw(pid.cast_signed()));
            }
        }
        let _ = fs::remove_dir(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_the_files_are_read() {
        let v1 = "cache 1\nrss 2\ninactive_file 3\ntotal_cache 700\ntotal_rss 200\n\
                  total_inactive_file 600\n";
        let charged = Charged::parse("1000\n", v1).unwrap();
        assert_eq!((charged.docker_bytes(), charged.kernel_bytes()), (400, 100));
        let v2 = "anon 200\nfile 700\nkernel 90\ninactive_file 600\n";
        assert_eq!(Charged::parse("1000\n", v2), Some(charged));
        assert_eq!(Charged::parse("1000\n", "anon 1\n"), None);
    }
}
