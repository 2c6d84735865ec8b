//! `cargo xtask clippy`: lints of the user side and of the kernel side, each by the compiler that
//! builds it. Any warning fails.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{
    project::{self, Project},
    toolchain::Toolchain,
};

pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    let mut host = project.cargo();
    host.args(["clippy", "--quiet", "--workspace", "--all-targets"]);
    project::run(host.args(["--", "-D", "warnings"])).context("clippy of the user side")?;
    println!("clippy: the user side is clean");

    let tools = Toolchain::ready(project)?;
    project::run(tools.cargo(project).args(["fetch", "--quiet", "--locked"]))?;
    let mut kernel = tools.clippy(project)?;
    kernel.env("CARGO_ENCODED_RUSTFLAGS", tools.rust_flags(project)?);
    kernel.args([
        "--quiet",
        "--locked",
        "--release",
        "--target",
        "bpfel-unknown-none",
    ]);
    project::run(kernel.args(["--", "-D", "warnings"])).context("clippy of the kernel side")?;
    println!("clippy: the kernel side is clean");
    Ok(ExitCode::SUCCESS)
}
