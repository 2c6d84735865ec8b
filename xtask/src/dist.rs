//! `cargo xtask dist`: memtrace as one static file, for x86-64 of the first level, which runs on
//! any distribution and any kernel that it does not refuse. `cargo xtask test kernels` runs it on
//! many, on a CPU that has no more than that level.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};

use crate::{
    package,
    project::{self, Project},
    toolchain,
};

const TARGET: &str = "x86_64-unknown-linux-musl";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Make a Debian package too, with manual page and completions.
    #[arg(long)]
    deb: bool,
}

/// Builds it and says where it lies.
pub(crate) fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    let path = build(project)?;
    let mib = fs::metadata(&path)?.len() as f64 / f64::from(1 << 20);
    println!(
        "dist: {}, {mib:.1} MiB, static, for any x86-64",
        project.shown(&path)
    );
    if options.deb {
        let folder = folder(project);
        let generated = folder.join("generated");
        let mut cargo = cargo(project);
        cargo.args([
            "run",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "tracer",
        ]);
        cargo.args(["--target", TARGET, "--example", "manual", "--"]);
        project::run(cargo.arg(&generated))?;
        let deb = package::make(project, &folder, &path, &generated)?;
        println!("dist: {}", project.shown(&deb));
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds it under target/dist.
pub(crate) fn build(project: &Project) -> Result<PathBuf> {
    ready(project)?;
    let mut cargo = cargo(project);
    cargo.args(["build", "--quiet", "--locked", "--release"]);
    project::run(cargo.args(["--package", "tracer", "--target", TARGET]))?;
    let built = project.target.join(TARGET).join("release/memtrace");
    ensure!(is_static(&built), "{} is not static", built.display());
    let folder = folder(project);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("memtrace");
    fs::copy(&built, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn folder(project: &Project) -> PathBuf {
    project.target.join("dist")
}

/// Cargo without flags for this machine's own CPU, which have no place in a file for others.
fn cargo(project: &Project) -> Command {
    let mut cargo = project.cargo();
    cargo
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

/// Finds what the target needs beside the compiler; installs what is missing.
pub(crate) fn ready(project: &Project) -> Result<()> {
    if !has_library(project) {
        ensure!(
            project::find_program("rustup").is_some(),
            "this compiler has no library for {TARGET}, and there is no rustup here to get it with"
        );
        let mut rustup = Command::new("rustup");
        // The toolchain that the project is built with here, not another directory's.
        rustup.current_dir(&project.root);
        project::without_cargo(&mut rustup);
        project::run(rustup.args(["target", "add", TARGET]))?;
        ensure!(
            has_library(project),
            "the compiler in use is not one of rustup's, and has no library for {TARGET}"
        );
    }
    // The compressor of captures is C.
    if project::find_program("musl-gcc").is_none() {
        toolchain::install(&["musl-tools"])?;
    }
    Ok(())
}

/// Whether the compiler that cargo takes has the standard library for the target.
fn has_library(project: &Project) -> bool {
    let cargo = project.cargo();
    let beside = Path::new(cargo.get_program()).with_file_name("rustc");
    let rustc = if beside.is_file() {
        beside
    } else {
        "rustc".into()
    };
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", TARGET]);
    project::output(&mut command).is_ok_and(|folder| Path::new(&folder).is_dir())
}

/// Whether a program loads no library, its loader included.
pub(crate) fn is_static(program: &Path) -> bool {
    let output = Command::new("ldd").arg(program).env("LC_ALL", "C").output();
    let words = ["statically linked", "not a dynamic executable"];
    output.is_ok_and(|output| {
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        words.iter().any(|words| text.contains(words))
    })
}
