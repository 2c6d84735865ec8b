//! Debian packages, fetched and unpacked under the target folder: nothing is installed, and no
//! privilege is needed. Knows apt and dpkg; knows nothing of what is in the packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{arch::Arch, project};

/// Lists older than this are fetched again: the archive drops what has been superseded.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// Debian's own keys, where the machine's apt does not trust them anyway.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Which part of the archive a suite is in. Its address is that of the machine's own sources.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Archive {
    Main,
    Security,
}

/// Suites of Debian's archive, seen through an apt of their own.
pub(crate) struct Suites {
    folder: PathBuf,
    config: PathBuf,
}

impl Suites {
    /// Opens `suites` as machines of this architecture see them, with everything that apt keeps of them
    /// in `folder`.
    pub(crate) fn open(folder: &Path, arch: Arch, suites: &[(Archive, &str)]) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial", "downloads"] {
            fs::create_dir_all(folder.join(part))
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let addresses = Addresses::of_this_machine()?;
        let signed = if Path::new(KEYRING).exists() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        let sources: String = suites
            .iter()
            .map(|(archive, suite)| {
                format!("deb {signed}{} {suite} main\n", addresses.of(*archive))
            })
            .collect();
        let config = folder.join("apt.conf");
        let suites = Self {
            folder: folder.to_owned(),
            config,
        };
        let changed = suites.write("sources.list", &sources)?
            | suites.write("apt.conf", &suites.settings(arch))?;
        suites.refresh(changed)?;
        Ok(suites)
    }

    /// Settings by which apt leaves the machine's own state alone.
    fn settings(&self, arch: Arch) -> String {
        let (folder, arch) = (self.folder.display(), arch.debian());
        format!(
            "Dir::Etc::sourcelist \"{folder}/sources.list\";\n\
             Dir::Etc::sourceparts \"/dev/null\";\n\
             Dir::State::Lists \"{folder}/lists\";\n\
             Dir::Cache \"{folder}/cache\";\n\
             APT::Architecture \"{arch}\";\n\
             APT::Architectures {{ \"{arch}\"; }};\n\
             Debug::NoLocking \"true\";\n\
             APT::Sandbox::User \"\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
        )
    }

    /// Writes a file of the configuration; true if it was not like that.
    fn write(&self, name: &str, text: &str) -> Result<bool> {
        let path = self.folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|has| has == text) {
            return Ok(false);
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(true)
    }

    fn refresh(&self, changed: bool) -> Result<()> {
        let stamp = self.folder.join("updated");
        let age = fs::metadata(&stamp)
            .and_then(|entry| entry.modified())
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok());
        if !changed && age.is_some_and(|age| age < FRESH) {
            return Ok(());
        }
        let mut update = self.apt("apt-get");
        match finish(update.args(["--error-on=any", "update"])) {
            Ok(_) => fs::write(&stamp, "").context("cannot note when the lists were fetched"),
            Err(error) if !changed && age.is_some() => {
                println!("kernels: the lists of packages are old: {error:#}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Names of packages that can be had and match a regular expression.
    pub(crate) fn names(&self, expression: &str) -> Result<Vec<String>> {
        let text = finish(
            self.apt("apt-cache")
                .args(["search", "--names-only", expression]),
        )?;
        let names = text.lines().filter_map(|line| line.split(' ').next());
        Ok(names.map(str::to_owned).collect())
    }

    /// Fetches these packages and unpacks them into `into`, all or nothing.
    pub(crate) fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        let downloads = self.folder.join("downloads");
        let mut download = self.apt("apt-get");
        finish(
            download
                .arg("download")
                .args(packages)
                .current_dir(&downloads),
        )?;
        unpack_all(&downloads, into)
    }

    /// The same for packages with all that they need and this machine lacks.
    pub(crate) fn unpack_with_needs(
        &self,
        suite: &str,
        packages: &[&str],
        into: &Path,
    ) -> Result<()> {
        let mut install = self.apt("apt-get");
        install.args([
            "install",
            "--yes",
            "--download-only",
            "--no-install-recommends",
            "--target-release",
            suite,
        ]);
        finish(install.args(packages))?;
        unpack_all(&self.folder.join("cache/archives"), into)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", &self.config)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C");
        command
    }
}

/// Where this machine gets its packages.
struct Addresses {
    main: String,
    security: String,
}

impl Addresses {
    fn of_this_machine() -> Result<Self> {
        for program in ["apt-get", "dpkg-deb"] {
            ensure!(
                project::find_program(program).is_some(),
                "Debian's kernels are fetched by its own tools, and there is no {program} here"
            );
        }
        let codename = codename()?;
        let mut targets = Command::new("apt-get");
        targets.args([
            "indextargets",
            "--format",
            "$(RELEASE) $(REPO_URI)",
            "Created-By: Packages",
        ]);
        Self::read(&finish(&mut targets)?, &codename).with_context(|| {
            format!("this machine's package sources name no {codename} and {codename}-security")
        })
    }

    /// Finds them among lines of release and address.
    fn read(text: &str, codename: &str) -> Option<Self> {
        let address = |wanted: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            let line = lines.find(|(release, _)| *release == wanted);
            line.map(|(_, address)| address.to_owned())
        };
        Some(Self {
            main: address(codename)?,
            security: address(&format!("{codename}-security"))?,
        })
    }

    fn of(&self, archive: Archive) -> &str {
        match archive {
            Archive::Main => &self.main,
            Archive::Security => &self.security,
        }
    }
}

/// The name of the Debian that this machine runs.
pub(crate) fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.trim_matches('"').to_owned())
    };
    ensure!(
        value("ID").as_deref() == Some("debian"),
        "this machine is not Debian: it is not known where to get Debian's kernels"
    );
    value("VERSION_CODENAME").context("/etc/os-release names no VERSION_CODENAME")
}

/// Unpacks all packages of a folder into another one, and removes them.
fn unpack_all(from: &Path, into: &Path) -> Result<()> {
    let part = into.with_extension("part");
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
    }
    fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
    let mut packages = vec![];
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            packages.push(path);
        }
    }
    ensure!(!packages.is_empty(), "apt has fetched nothing");
    for package in &packages {
        finish(Command::new("dpkg-deb").arg("-x").args([package, &part]))?;
    }
    fs::rename(&part, into).with_context(|| format!("cannot make {}", into.display()))?;
    for package in &packages {
        fs::remove_file(package).with_context(|| format!("cannot remove {}", package.display()))?;
    }
    Ok(())
}

/// What a step prints, or its last words as the error.
fn finish(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().next_back().unwrap_or("without a word").trim();
        bail!("{program} failed ({}): {last}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{program} does not speak UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::Addresses;

    #[test]
    fn addresses_are_those_of_the_machines_own_sources() {
        let text = "stable file:/other\nbookworm file:/main\nbookworm-updates file:/updates\n\
                    bookworm-security file:/security\n";
        let addresses = Addresses::read(text, "bookworm").expect("both are there");
        assert_eq!(
            (addresses.main.as_str(), addresses.security.as_str()),
            ("file:/main", "file:/security")
        );
        assert!(Addresses::read(text, "trixie").is_none());
    }
}
