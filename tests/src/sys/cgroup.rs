//! Memory cgroups for processes to run in, of either version; removed when dropped.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

/// A cgroup.
#[derive(Debug)]
pub struct Cgroup {
    directory: PathBuf,
}

/// Root of the hierarchy that has the memory controller.
fn root() -> PathBuf {
    let v1 = Path::new("/sys/fs/cgroup/memory");
    if v1.join("memory.usage_in_bytes").exists() {
        return v1.to_owned();
    }
    let unified = Path::new("/sys/fs/cgroup");
    let control = unified.join("cgroup.subtree_control");
    fs::write(&control, "+memory").expect("the memory controller in the unified hierarchy");
    unified.to_owned()
}

impl Cgroup {
    /// Makes one of this name; the PID of the test keeps tests apart.
    pub fn new(name: &str) -> Self {
        let directory = root().join(format!("memtrace-{name}-{}", std::process::id()));
        Self::at(directory)
    }

    fn at(directory: PathBuf) -> Self {
        fs::create_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
        Self { directory }
    }

    /// Makes one below it.
    pub fn child(&self, name: &str) -> Self {
        Self::at(self.directory.join(name))
    }

    /// Its directory.
    pub fn path(&self) -> &str {
        self.directory.to_str().expect("a path in UTF-8")
    }

    /// Its path below the root of the hierarchy, as the kernel writes it.
    pub fn name(&self) -> String {
        let below = self.directory.strip_prefix(root()).expect("below the root");
        format!("/{}", below.display())
    }

    /// Limits its memory.
    pub fn limit(&self, bytes: u64) {
        let files = ["memory.max", "memory.limit_in_bytes"];
        let mut files = files.iter().map(|file| self.directory.join(file));
        let file = files
            .find(|file| file.exists())
            .expect("a file for the limit");
        fs::write(&file, bytes.to_string()).expect("a limit");
        // What is swapped out is not killed. (Version 1 has no such file for swap alone.)
        let swap = self.directory.join("memory.swap.max");
        if swap.exists() {
            fs::write(swap, "0").expect("no swap");
        }
    }

    /// It has this file.
    pub fn has(&self, file: &str) -> bool {
        self.directory.join(file).exists()
    }

    /// What is charged to it, bytes.
    pub fn usage(&self) -> u64 {
        let files = ["memory.current", "memory.usage_in_bytes"];
        let mut texts = files
            .map(|file| fs::read_to_string(self.directory.join(file)))
            .into_iter();
        let text = texts.find_map(Result::ok).expect("a file for the usage");
        text.trim().parse().expect("a number")
    }

    /// The file that holds the most that was charged to it, and that, bytes.
    pub fn peak(&self) -> (&'static str, u64) {
        let files = ["memory.peak", "memory.max_usage_in_bytes"];
        let mut found = files.into_iter().filter(|file| self.has(file));
        let file = found.next().expect("a file for the peak");
        let text = fs::read_to_string(self.directory.join(file)).expect("a peak");
        (file, text.trim().parse().expect("a number"))
    }

    /// The kernel keeps the most for each descriptor, from when it is written to (Linux 6.12).
    pub fn tells_peaks_anew(&self) -> bool {
        let file = OpenOptions::new()
            .write(true)
            .open(self.directory.join("memory.peak"));
        file.is_ok_and(|mut file| file.write_all(b"1").is_ok())
    }

    /// Moves a process into it.
    pub fn take(&self, pid: u32) {
        let procs = self.directory.join("cgroup.procs");
        fs::write(procs, pid.to_string()).expect("moving a process");
    }

    /// Moves a process back to the root.
    pub fn let_go(pid: u32) {
        fs::write(root().join("cgroup.procs"), pid.to_string()).expect("moving a process");
    }

    /// Lets a command begin in it: before its exec.
    pub fn begin<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let procs = self.directory.join("cgroup.procs");
        // SAFETY: the child has one thread and only opens and writes a file.
        unsafe {
            command.pre_exec(move || fs::write(&procs, "0"));
        }
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The last process may just be on its way out.
        for _ in 0..100 {
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}
