//! `cargo xtask kernel-facts`: what memtrace finds of a kernel, as a file that the plan is tested
//! on without that kernel.

use std::{
    fs,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    Bench,
    disk::MEMTRACE,
    guest::{Job, Shape},
    matrix::{SERIES, Series},
    names,
};
use crate::{
    arch::{self, Arch},
    dist,
    project::{self, Project},
};

/// Where the descriptions lie.
const FOLDER: &str = "tracer/tests/kernels";

const LIMIT_SECONDS: u32 = 60;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Describe the kernel of this machine instead, under this name.
    #[arg(long, value_name = "NAME", conflicts_with = "series")]
    here: Option<String>,
    /// Only kernels of these series.
    #[arg(value_name = "SERIES", value_parser = names())]
    series: Vec<String>,
}

pub(crate) fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    if let Some(name) = &options.here {
        let memtrace = dist::build(project, Arch::OWN)?;
        let text = project::output(Command::new(memtrace).args(["check", "--facts"]))?;
        write(project, name, &text)?;
        return Ok(ExitCode::SUCCESS);
    }
    for arch in arch::ALL {
        let is_wanted = |series: &&Series| {
            let names = &options.series;
            let is_named = names.is_empty() || names.iter().any(|name| name == series.name);
            series.arch == arch && is_named
        };
        let wanted: Vec<_> = SERIES.iter().filter(is_wanted).collect();
        if !wanted.is_empty() {
            let memtrace = dist::build(project, arch)?;
            describe(&Bench::ready(project, arch, &memtrace, None)?, &wanted)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Boots these, and writes what memtrace finds there.
fn describe(bench: &Bench<'_>, wanted: &[&Series]) -> Result<()> {
    for series in wanted {
        let Some((package, kernel)) = bench.kernel(series)? else {
            println!("left out: {}: Debian has no such kernel now", series.name);
            continue;
        };
        let job = Job {
            name: "facts".to_owned(),
            argv: [MEMTRACE, "check", "--facts"].map(str::to_owned).into(),
            limit: LIMIT_SECONDS,
        };
        let boot = bench.boot(&kernel, Shape::whole(4), "facts", &[job])?;
        let ran = boot.jobs.first();
        let ran = ran.with_context(|| format!("{package} told nothing: {:?}", boot.broke_off))?;
        ensure!(ran.code == Some(0), "{package}: {}", ran.text.trim());
        let facts: Value = serde_json::from_str(&ran.text)
            .with_context(|| format!("{package} told: {}", ran.text))?;
        let release = facts["release"].as_str().context("facts have a release")?;
        write(bench.project, &name(release, series.arch), &ran.text)?;
    }
    Ok(())
}

/// The series that a release belongs to, and the architecture where it is not x86-64.
fn name(release: &str, arch: Arch) -> String {
    let parts: Vec<_> = release.split('.').take(2).collect();
    let version = parts.join(".");
    match arch {
        Arch::X86_64 => version,
        Arch::Aarch64 => format!("{version}-{}", arch.debian()),
    }
}

fn write(project: &Project, name: &str, text: &str) -> Result<()> {
    let path = project.root.join(FOLDER).join(format!("{name}.json"));
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    fs::write(&path, format!("{}\n", text.trim()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("kernel-facts: written to {}", project.shown(&path));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Arch, name};

    #[test]
    fn a_release_belongs_to_a_series() {
        assert_eq!(name("6.12.117+deb12-cloud-amd64", Arch::X86_64), "6.12");
        assert_eq!(name("7.3.4", Arch::X86_64), "7.3");
        assert_eq!(
            name("6.12.117+deb12-cloud-arm64", Arch::Aarch64),
            "6.12-arm64"
        );
    }
}
