//! The programs that guests are made with: this machine's own where they will do, else Debian's,
//! fetched and used where they are unpacked.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::packages::{self, Archive, Suites};
use crate::{
    arch::{self, Arch},
    project,
};

/// The qemu that runs several CPUs at once without losing changes of the guest kernel's own code:
/// older ones make it crash once in some dozens of boots.
const QEMU: (u32, u32) = (8, 1);
/// The one whose machine for arm64 has a second serial line.
const QEMU_ARM64: (u32, u32) = (9, 1);

/// The tools that a guest is made with.
pub(crate) struct Tools {
    /// What the guest is.
    pub(crate) arch: Arch,
    /// qemu with its arguments that say where its files are.
    pub(crate) qemu: Vec<String>,
    /// Libraries that qemu loads and this machine lacks.
    pub(crate) libraries: Option<String>,
    pub(crate) busybox: PathBuf,
}

impl Tools {
    /// Finds them for guests of an architecture, or fetches what is missing.
    pub(crate) fn ready(folder: &Path, arch: Arch) -> Result<Self> {
        let (program, package, least) = match arch {
            Arch::X86_64 => ("qemu-system-x86_64", "qemu-system-x86", QEMU),
            Arch::Aarch64 => ("qemu-system-aarch64", "qemu-system-arm", QEMU_ARM64),
        };
        let installed = project::find_program(program)
            .filter(|qemu| qemu_version(qemu).is_some_and(|version| version >= least));
        let busybox = project::find_program("busybox")
            .filter(|busybox| arch == Arch::OWN && arch::is_static(busybox));
        let busybox = match busybox {
            Some(busybox) => busybox,
            None => guests_busybox(folder, arch)?,
        };
        if let Some(installed) = installed {
            return Ok(Self {
                arch,
                qemu: vec![installed.display().to_string()],
                libraries: None,
                busybox,
            });
        }
        let own = folder.join("tools");
        if !own.exists() {
            let codename = packages::codename()?;
            let backports = format!("{codename}-backports");
            let suites = [
                (Archive::Main, codename.as_str()),
                (Archive::Main, backports.as_str()),
            ];
            let suites = Suites::open(&folder.join("tools-suites"), Arch::OWN, &suites)?;
            suites.unpack_with_needs(&backports, &[package], &own)?;
        }
        let path = |path: &str| own.join(path).display().to_string();
        let qemu = [
            path(&format!("usr/bin/{program}")),
            "-L".to_owned(),
            path("usr/share/qemu"),
            "-L".to_owned(),
            path("usr/share/seabios"),
        ];
        let library = |folder: &str| path(&format!("{folder}/{}-linux-gnu", Arch::OWN.name()));
        Ok(Self {
            arch,
            qemu: qemu.into(),
            libraries: Some(["usr/lib", "lib"].map(library).join(":")),
            busybox,
        })
    }
}

/// Debian's busybox for guests of an architecture, fetched if it is not here.
fn guests_busybox(folder: &Path, arch: Arch) -> Result<PathBuf> {
    let unpacked = folder.join("busybox");
    if !unpacked.exists() {
        let codename = packages::codename()?;
        let suites = [(Archive::Main, codename.as_str())];
        let suites = Suites::open(&folder.join("busybox-suites"), arch, &suites)?;
        suites.unpack(&["busybox-static".to_owned()], &unpacked)?;
    }
    let mut places = ["bin/busybox", "usr/bin/busybox"]
        .map(|place| unpacked.join(place))
        .into_iter();
    let found = places.find(|place| place.exists());
    found.with_context(|| format!("there is no busybox under {}", unpacked.display()))
}

fn qemu_version(qemu: &Path) -> Option<(u32, u32)> {
    let text = project::output(Command::new(qemu).arg("--version")).ok()?;
    let version = text.split("version ").nth(1)?;
    let mut numbers = version.split(['.', ' ']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
