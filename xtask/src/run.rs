//! `cargo xtask run`: memtrace from this source, as root.

use std::{ffi::OsString, os::unix::process::CommandExt, process::ExitCode};

use anyhow::{Context, Result};

use crate::project::{self, Project};

/// Builds memtrace as the current user and becomes it. Returns only if that fails.
pub(crate) fn run(project: &Project, words: &[OsString]) -> Result<ExitCode> {
    let mut build = project.cargo();
    // Quiet: the report that follows goes to the same place as cargo's own words.
    project::run(build.args(["build", "--quiet", "--release", "--package", "tracer"]))?;
    let mut memtrace = project::as_root(project.release("memtrace"))?;
    project::without_cargo(&mut memtrace);
    // Taking its place, instead of waiting for it, passes signals, the terminal and the exit code
    // on as they are.
    Err(memtrace.args(words).exec()).context("cannot start memtrace")
}
