//! `cargo xtask bpf`: the kernel side's object, built, compared with the committed one, or built
//! as a known wrong way.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{
    project::{self, Project},
    toolchain::{Toolchain, Versions},
};

const TARGET: &str = "bpfel-unknown-none";
/// Exit code of a check that could not be made, apart from one that found a difference.
const CANNOT_CHECK: u8 = 3;

/// Builds the object and writes it where it is committed, with the record of its tools.
pub(crate) fn write(project: &Project) -> Result<ExitCode> {
    let toolchain = Toolchain::ready(project)?;
    let versions = toolchain.versions()?;
    let built = project.target.join("bpf/memtrace.bpf.o");
    build(project, &toolchain, None, &built)?;
    let object = fs::read(&built)?;
    let record = Record {
        versions,
        sha256: sha256(&object),
    };
    let (to, beside) = (project.object(), record_path(project));
    fs::create_dir_all(to.parent().context("the object has no folder")?)?;
    fs::write(&to, &object)?;
    fs::write(beside, record.text())?;
    println!(
        "bpf: wrote {} ({} bytes, sha256 {})",
        project.shown(&to),
        object.len(),
        record.sha256
    );
    Ok(ExitCode::SUCCESS)
}

/// Rebuilds the object and compares it with the committed one.
pub(crate) fn check(project: &Project) -> Result<ExitCode> {
    let path = project.object();
    let committed = fs::read(&path).with_context(|| {
        format!(
            "cannot read {}: write it by `cargo xtask bpf`",
            project.shown(&path)
        )
    })?;
    let path = record_path(project);
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "cannot read {}: write it by `cargo xtask bpf`",
            project.shown(&path)
        )
    })?;
    let record = Record::parse(&text).with_context(|| {
        format!(
            "{} is damaged: write it again by `cargo xtask bpf`",
            project.shown(&path)
        )
    })?;
    let committed_sha256 = sha256(&committed);
    if record.sha256 != committed_sha256 {
        println!(
            "bpf: the committed object (sha256 {committed_sha256}) is not the one that its record \
             speaks of (sha256 {}): run `cargo xtask bpf` and commit tracer/bpf",
            record.sha256
        );
        return Ok(ExitCode::FAILURE);
    }
    let tools = match Toolchain::ready(project).and_then(|tools| Ok((tools.versions()?, tools))) {
        Ok((found, tools)) if found == record.versions => tools,
        Ok((found, _)) => {
            println!(
                "bpf: cannot check: the committed object was built by {}; here are {found}. \
                 Install the recorded ones, or rebuild it by `cargo xtask bpf` and commit tracer/bpf",
                record.versions
            );
            return Ok(ExitCode::from(CANNOT_CHECK));
        }
        Err(error) => {
            println!("bpf: cannot check: {error:#}");
            return Ok(ExitCode::from(CANNOT_CHECK));
        }
    };
    let built = project.target.join("bpf/memtrace.bpf.o");
    build(project, &tools, None, &built)?;
    let rebuilt = fs::read(&built)?;
    if rebuilt == committed {
        println!("bpf: the committed object is what the source gives (sha256 {committed_sha256})");
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "bpf: the committed object (sha256 {committed_sha256}) differs from what the source gives \
         (sha256 {}, left in {}): run `cargo xtask bpf` and commit tracer/bpf",
        sha256(&rebuilt),
        project.shown(&built)
    );
    Ok(ExitCode::FAILURE)
}

/// Builds a known wrong way, never to be committed.
pub(crate) fn mutant(project: &Project, name: &str) -> Result<PathBuf> {
    let toolchain = Toolchain::ready(project)?;
    let to = project.target.join("mutants").join(format!("{name}.bpf.o"));
    build(project, &toolchain, Some(name), &to)?;
    Ok(to)
}

fn build(project: &Project, tools: &Toolchain, mutant: Option<&str>, to: &Path) -> Result<()> {
    // First the crates, so that the folders they are unpacked into exist and can be renamed in
    // the object.
    project::run(
        tools
            .cargo(project)
            .args(["fetch", "--quiet", "--locked", "--target", TARGET]),
    )?;
    let mut cargo = tools.cargo(project);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", tools.rust_flags(project)?);
    cargo.args([
        "rustc",
        "--quiet",
        "--locked",
        "--release",
        "--bin",
        "memtrace",
    ]);
    cargo.args(["--target", TARGET]);
    if let Some(name) = mutant {
        cargo.args(["--", "--cfg", &format!("mutant=\"{name}\"")]);
    }
    project::run(&mut cargo).context("the kernel side does not build")?;
    fs::create_dir_all(to.parent().context("the object has no folder")?)?;
    let linked = project
        .target
        .join("bpf")
        .join(TARGET)
        .join("release/memtrace");
    tools.strip(&linked, to)
}

fn record_path(project: &Project) -> PathBuf {
    project.object().with_extension("toolchain")
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What stands beside the committed object.
struct Record {
    versions: Versions,
    sha256: String,
}

impl Record {
    fn text(&self) -> String {
        let Versions {
            rustc,
            bpf_linker,
            llvm,
        } = &self.versions;
        format!(
            "# Written by `cargo xtask bpf`: what built memtrace.bpf.o, and its digest.\n\
             rustc {rustc}\nbpf-linker {bpf_linker}\nllvm {llvm}\nsha256 {}\n",
            self.sha256
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            lines
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.to_owned())
        };
        Some(Self {
            versions: Versions {
                rustc: value("rustc")?,
                bpf_linker: value("bpf-linker")?,
                llvm: value("llvm")?,
            },
            sha256: value("sha256")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back() {
        let record = Record {
            versions: Versions {
                rustc: "1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)".into(),
                bpf_linker: "0.13.0".into(),
                llvm: "22.1.8".into(),
            },
            sha256: sha256(b"x"),
        };
        let again = Record::parse(&record.text()).expect("its own text");
        assert!(again.versions == record.versions && again.sha256 == record.sha256);
        assert!(Record::parse("rustc 1\n").is_none());
    }
}
