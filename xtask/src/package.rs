//! `cargo xtask dist --deb`: a Debian package with the static memtrace, its manual page and its
//! completions. It needs no other package; dpkg-deb makes it.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    arch::Arch,
    project::{self, Project},
};

/// Documents that the package has beside what is generated, and where.
const DOCUMENTS: [(&str, &str); 3] = [
    ("README.md", "usr/share/doc/memtrace/README.md"),
    ("LICENSE-MIT", "usr/share/doc/memtrace/LICENSE-MIT"),
    ("LICENSE-APACHE", "usr/share/doc/memtrace/LICENSE-APACHE"),
];

/// What is generated, and where the package has it.
const GENERATED: [(&str, &str); 4] = [
    ("memtrace.1", "usr/share/man/man1/memtrace.1"),
    (
        "memtrace.bash",
        "usr/share/bash-completion/completions/memtrace",
    ),
    ("_memtrace", "usr/share/zsh/vendor-completions/_memtrace"),
    (
        "memtrace.fish",
        "usr/share/fish/vendor_completions.d/memtrace.fish",
    ),
];

/// Makes the package in `folder` from the static binary there and what `generated` has.
pub(crate) fn make(
    project: &Project,
    arch: Arch,
    folder: &Path,
    memtrace: &Path,
    generated: &Path,
) -> Result<PathBuf> {
    ensure!(
        project::find_program("dpkg-deb").is_some(),
        "a Debian package is made by dpkg-deb, and there is none here"
    );
    let root = folder.join("deb");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    install(memtrace, &root.join("usr/bin/memtrace"), 0o755)?;
    for (name, place) in GENERATED {
        install(&generated.join(name), &root.join(place), 0o644)?;
    }
    for (name, place) in DOCUMENTS {
        install(&project.root.join(name), &root.join(place), 0o644)?;
    }
    let page = root.join(GENERATED[0].1);
    project::run(Command::new("gzip").args(["-9", "-n"]).arg(&page))?;
    let version = env!("CARGO_PKG_VERSION");
    let control = root.join("DEBIAN/control");
    let kib = fs::metadata(memtrace)?.len().div_ceil(1024);
    fs::create_dir_all(root.join("DEBIAN"))?;
    fs::write(&control, text(version, arch, kib))
        .with_context(|| format!("cannot write {}", control.display()))?;
    let deb = folder.join(format!("memtrace_{version}_{}.deb", arch.debian()));
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.args(["--build", "--root-owner-group", "-Zxz"]);
    project::output(dpkg.arg(&root).arg(&deb))?;
    Ok(deb)
}

fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// What dpkg is told of the package.
fn text(version: &str, arch: Arch, kib: u64) -> String {
    let arch = arch.debian();
    let maintainer = env::var("DEBFULLNAME")
        .ok()
        .zip(env::var("DEBEMAIL").ok())
        .map_or_else(
            || "memtrace <memtrace@localhost>".to_owned(),
            |(name, address)| format!("{name} <{address}>"),
        );
    format!(
        "Package: memtrace\nVersion: {version}\nArchitecture: {arch}\nMaintainer: {maintainer}\n\
         Installed-Size: {kib}\nSection: utils\nPriority: optional\n\
         Description: exact peak memory of a command, a process tree or a PID\n \
         memtrace runs a command, or looks at running processes, and reports their exact\n \
         peak memory: programs in the kernel (eBPF) see every change of resident memory,\n \
         so that there is no sampling gap in which a spike could hide.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::{Arch, text};

    #[test]
    fn every_line_is_a_field_or_goes_on() {
        let text = text("1.2.3", Arch::Aarch64, 7);
        assert!(text.contains("\nArchitecture: arm64\n"), "{text}");
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            assert!(line.starts_with(' ') || line.contains(": "), "{line}");
        }
    }
}
