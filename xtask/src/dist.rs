//! `cargo xtask dist`: memtrace as one static file, for arm64 or for x86-64 of the first level, which
//! runs on any distribution and any kernel that it does not refuse. `cargo xtask test kernels` runs
//! it on many, on CPUs that have no more than that level.

use std::{
    fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};

use crate::{
    arch::{self, Arch},
    package,
    project::{self, Project},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Make a Debian package too, with manual page and completions.
    #[arg(long)]
    deb: bool,
    /// For machines with another processor than this one's.
    #[arg(long, value_enum, default_value_t = Arch::OWN)]
    arch: Arch,
}

/// Builds it and says where it lies.
pub(crate) fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    let arch = options.arch;
    let path = build(project, arch)?;
    let mib = fs::metadata(&path)?.len() as f64 / f64::from(1 << 20);
    println!(
        "dist: {}, {mib:.1} MiB, static, for any {}",
        project.shown(&path),
        arch.name()
    );
    if options.deb {
        let folder = folder(project, arch);
        let generated = folder.join("generated");
        // By a program that runs here, whatever the package is for.
        ready(project, Arch::OWN)?;
        let mut cargo = cargo(project, Arch::OWN);
        cargo.args([
            "run",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "tracer",
        ]);
        cargo.args(["--target", &Arch::OWN.static_target()]);
        cargo.args(["--example", "manual", "--"]);
        project::run(cargo.arg(&generated))?;
        let deb = package::make(project, arch, &folder, &path, &generated)?;
        println!("dist: {}", project.shown(&deb));
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds it under target/dist.
pub(crate) fn build(project: &Project, arch: Arch) -> Result<PathBuf> {
    ready(project, arch)?;
    let target = arch.static_target();
    let mut cargo = cargo(project, arch);
    cargo.args(["build", "--quiet", "--locked", "--release"]);
    project::run(cargo.args(["--package", "tracer", "--target", &target]))?;
    let built = project.target.join(target).join("release/memtrace");
    ensure!(arch::is_static(&built), "{} is not static", built.display());
    let folder = folder(project, arch);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("memtrace");
    fs::copy(&built, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Those for other processors lie in folders of their own.
fn folder(project: &Project, arch: Arch) -> PathBuf {
    let folder = project.target.join("dist");
    if arch == Arch::OWN {
        folder
    } else {
        folder.join(arch.name())
    }
}

/// Cargo without flags for this machine's own CPU, which have no place in a file for others.
fn cargo(project: &Project, arch: Arch) -> Command {
    let mut cargo = arch.cargo(project);
    cargo
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

/// Finds what the target needs beside the compiler; installs what is missing.
pub(crate) fn ready(project: &Project, arch: Arch) -> Result<()> {
    arch.ready(project, &arch.static_target())
}
