//! The disk that all guests of an architecture share: the live tests with the libraries they load,
//! their workloads, memtrace, and busybox for all else. A guest writes to a copy that is gone when
//! it ends.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    arch::Arch,
    binaries::Binary,
    project::{self, Project},
};

/// Where the guest has memtrace.
pub(crate) const MEMTRACE: &str = "/usr/bin/memtrace";
/// Where the guest has a test binary: the workloads are looked for beside its folder.
pub(crate) const TESTS: &str = "/live/release/deps";
const WORKLOADS: &str = "/live/release";

/// Size of the file system. What nothing is written to takes no room.
const SIZE: &str = "2G";

/// Folders that programs are looked for in, all of them one.
const PROGRAM_FOLDERS: [&str; 3] = ["sbin", "usr/sbin", "usr/bin"];

/// What goes onto the disk.
pub(crate) struct Contents<'a> {
    pub(crate) arch: Arch,
    pub(crate) busybox: &'a Path,
    pub(crate) memtrace: &'a Path,
    pub(crate) tests: &'a [Binary],
    pub(crate) workloads: &'a [PathBuf],
}

/// Makes the disk in `folder`.
pub(crate) fn make(folder: &Path, contents: &Contents<'_>) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    let tree = Tree(root);
    for part in [
        "bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var/tmp", "live",
    ] {
        tree.folder(part)?;
    }
    for part in PROGRAM_FOLDERS {
        let up = if part.contains('/') { "../bin" } else { "bin" };
        symlink(up, tree.path(part))?;
    }
    tree.copy(contents.busybox, "/bin/busybox")?;
    tree.write(
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    )?;
    tree.write("/etc/group", "root:x:0:\nnogroup:x:65534:\n")?;
    tree.copy(contents.memtrace, MEMTRACE)?;
    let mut programs = vec![];
    for test in contents.tests {
        tree.copy(&test.executable, &format!("{TESTS}/{}", test.name))?;
        programs.push(&test.executable);
    }
    for workload in contents.workloads {
        let name = workload.file_name().context("a workload has a name")?;
        tree.copy(workload, &format!("{WORKLOADS}/{}", name.to_string_lossy()))?;
        programs.push(workload);
    }
    for (library, guest) in libraries(contents.arch, &programs)? {
        tree.copy(&library, &guest)?;
    }
    let disk = folder.join("disk");
    let part = folder.join("disk.part");
    if part.exists() {
        fs::remove_file(&part)?;
    }
    let mke2fs = mke2fs()?;
    let mut make = Command::new(mke2fs);
    make.args([
        "-q",
        "-t",
        "ext4",
        "-O",
        "^has_journal",
        "-E",
        "root_owner=0:0",
        "-d",
    ]);
    // Asked to be quiet, it still tells that it makes a file.
    project::output(make.arg(&tree.0).arg(&part).arg(SIZE))?;
    fs::rename(&part, &disk)?;
    fs::remove_dir_all(&tree.0)?;
    Ok(disk)
}

/// It is there for root, and where only root has it in `PATH`.
fn mke2fs() -> Result<PathBuf> {
    let by_path = Some(PathBuf::from("/sbin/mke2fs")).filter(|path| path.is_file());
    project::find_program("mke2fs")
        .or(by_path)
        .context("there is no mke2fs here: apt-get install e2fsprogs")
}

/// The workloads in the folder that they were built in.
pub(crate) fn workloads(project: &Project, built: &Path) -> Result<Vec<PathBuf>> {
    let sources = project.root.join("tests/src/bin");
    let sources =
        fs::read_dir(&sources).with_context(|| format!("cannot list {}", sources.display()))?;
    let mut found = vec![];
    for source in sources {
        let source = source?.path();
        let name = source.file_stem().context("a source file has a name")?;
        found.push(built.join(name));
    }
    found.sort();
    Ok(found)
}

/// The libraries that programs load, their loader included: where they are here, and where the guest
/// has them.
fn libraries(arch: Arch, programs: &[&PathBuf]) -> Result<BTreeMap<PathBuf, String>> {
    let mut libraries = BTreeMap::new();
    for program in programs {
        if arch == Arch::OWN {
            let text = project::output(Command::new("ldd").arg(program))?;
            libraries.extend(
                loaded(&text)
                    .into_iter()
                    .map(|path| (path.clone().into(), path)),
            );
            continue;
        }
        // `ldd` runs the program's loader, which does not run here. These are what Rust's load.
        for name in ["libc.so.6", "libgcc_s.so.1", "libm.so.6"] {
            let guest = format!("/lib/{}-linux-gnu/{name}", arch.name());
            libraries.insert(arch.library(name)?, guest);
        }
        let loader = arch.loader();
        let (_, name) = loader.rsplit_once('/').context("a loader's path")?;
        libraries.insert(arch.library(name)?, loader.to_owned());
    }
    Ok(libraries)
}

/// Reads what `ldd` prints.
fn loaded(text: &str) -> Vec<String> {
    let path = |line: &str| {
        let (before, _) = line.trim().split_once(" (0x")?;
        let path = before.rsplit_once("=> ").map_or(before, |(_, path)| path);
        path.starts_with('/').then(|| path.to_owned())
    };
    text.lines().filter_map(path).collect()
}

/// What the disk is made from.
struct Tree(PathBuf);

impl Tree {
    /// Where a path of the guest lies here.
    fn path(&self, guest: &str) -> PathBuf {
        self.0.join(guest.trim_start_matches('/'))
    }

    fn folder(&self, guest: &str) -> Result<()> {
        let path = self.path(guest);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))
    }

    fn write(&self, guest: &str, text: &str) -> Result<()> {
        let path = self.path(guest);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn copy(&self, from: &Path, guest: &str) -> Result<()> {
        let to = self.path(guest);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::loaded;

    #[test]
    fn libraries_are_read_from_ldd() {
        let text = "\tlinux-vdso.so.1 (0x00007ffe)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f22)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f23)\n\tlibgone.so => not found\n";
        assert_eq!(
            loaded(text),
            [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
        assert!(loaded("\tstatically linked\n").is_empty());
    }
}
