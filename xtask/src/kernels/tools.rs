//! The programs that guests are made with: this machine's own where they will do, else Debian's,
//! fetched and used where they are unpacked.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use super::packages::{self, Archive, Suites};
use crate::{dist, project};

/// The qemu that runs several CPUs at once without losing changes of the guest kernel's own code:
/// older ones make it crash once in some dozens of boots.
const QEMU: (u32, u32) = (8, 1);

/// The tools that a guest is made with.
pub(crate) struct Tools {
    /// qemu with its arguments that say where its files are.
    pub(crate) qemu: Vec<String>,
    /// Libraries that qemu loads and this machine lacks.
    pub(crate) libraries: Option<String>,
    pub(crate) busybox: PathBuf,
}

impl Tools {
    /// Finds them, or fetches what is missing.
    pub(crate) fn ready(folder: &Path) -> Result<Self> {
        let own = folder.join("tools");
        let installed = project::find_program("qemu-system-x86_64")
            .filter(|qemu| qemu_version(qemu).is_some_and(|version| version >= QEMU));
        let busybox = project::find_program("busybox").filter(|busybox| dist::is_static(busybox));
        let mut missing = vec![];
        missing.extend(installed.is_none().then_some("qemu-system-x86"));
        missing.extend(busybox.is_none().then_some("busybox-static"));
        if !missing.is_empty() && !own.exists() {
            let codename = packages::codename()?;
            let backports = format!("{codename}-backports");
            let suites = [
                (Archive::Main, codename.as_str()),
                (Archive::Main, backports.as_str()),
            ];
            let suites = Suites::open(&folder.join("tools-suites"), &suites)?;
            suites.unpack_with_needs(&backports, &missing, &own)?;
        }
        let busybox = busybox.unwrap_or_else(|| own.join("bin/busybox"));
        ensure!(busybox.exists(), "there is no {}", busybox.display());
        if let Some(qemu) = installed {
            return Ok(Self {
                qemu: vec![qemu.display().to_string()],
                libraries: None,
                busybox,
            });
        }
        let path = |path: &str| own.join(path).display().to_string();
        let qemu = [
            path("usr/bin/qemu-system-x86_64"),
            "-L".to_owned(),
            path("usr/share/qemu"),
            "-L".to_owned(),
            path("usr/share/seabios"),
        ];
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(path);
        Ok(Self {
            qemu: qemu.into(),
            libraries: Some(libraries.join(":")),
            busybox,
        })
    }
}

fn qemu_version(qemu: &Path) -> Option<(u32, u32)> {
    let text = project::output(Command::new(qemu).arg("--version")).ok()?;
    let version = text.split("version ").nth(1)?;
    let mut numbers = version.split(['.', ' ']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
