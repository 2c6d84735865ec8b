//! The project's chores, one file per command: `cargo xtask help` lists them.

mod arch;
mod bench;
mod binaries;
mod bpf;
mod clippy;
mod consumers;
mod dist;
mod estimate;
mod figures;
mod jobs;
mod kernels;
mod licences;
mod machine;
mod mutants;
mod own_time;
mod package;
mod project;
mod run;
mod storm;
mod test;
mod toolchain;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use project::Project;

/// The chores of the memtrace project.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_version_flag = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the kernel side and write it to tracer/bpf, where it is committed.
    Bpf {
        /// Rebuild it under target/ and compare it with the committed one, byte for byte.
        ///
        /// Exit code 1: it differs. Exit code 3: it cannot be checked with the tools found here.
        #[arg(long, conflicts_with = "mutant")]
        check: bool,
        /// Build a known wrong way to target/mutants/NAME.bpf.o instead.
        #[arg(long, value_name = "NAME", value_parser = mutants::names())]
        mutant: Option<String>,
    },
    /// Build memtrace as one static file for any x86-64 or arm64, in target/dist.
    Dist(dist::Options),
    /// Describe kernels in tracer/tests/kernels, for the tests of the plan: each is booted.
    KernelFacts(kernels::described::Options),
    /// Lint everything, the kernel side too. Any warning fails.
    Clippy,
    /// Check that every dependency can be had under a permissive licence.
    Licences,
    /// Run memtrace from this source: what follows is its own command line.
    ///
    /// `cargo xtask run -- CMD` is `memtrace -- CMD`, `cargo xtask run --json FILE -- CMD` is
    /// `memtrace --json FILE -- CMD`. It is built as you and started through sudo if you are not
    /// root. Its exit code is passed on.
    Run {
        /// Options of memtrace, then `--` and a command; or a command of memtrace.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run every test that this machine can run, and say what was left out and why.
    Test {
        #[command(subcommand)]
        only: Option<TestCommand>,
    },
    /// Measure what tracing costs and write docs/benchmarks.md.
    Bench(bench::Options),
}

#[derive(Subcommand)]
enum TestCommand {
    /// Build known wrong ways of the kernel side and show which test catches each.
    Mutants {
        /// Only these; all of them if none is named.
        #[arg(value_name = "NAME", value_parser = mutants::names())]
        names: Vec<String>,
    },
    /// Run the live tests on other kernels, booted in qemu.
    Kernels(kernels::Options),
}

fn main() -> ExitCode {
    let result = match words_for_memtrace(std::env::args_os()) {
        Some(words) => Project::find().and_then(|project| run::run(&project, &words)),
        None => carry_out(Cli::parse().command),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

/// What follows `run` goes to memtrace as it stands. A parser of our own would swallow the `--`
/// that divides memtrace's options from the command.
fn words_for_memtrace(mut args: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let _program = args.next();
    (args.next()? == "run").then(|| args.collect())
}

fn carry_out(command: Command) -> anyhow::Result<ExitCode> {
    let project = Project::find()?;
    match command {
        Command::Bpf { check: true, .. } => bpf::check(&project),
        Command::Bpf {
            mutant: Some(name), ..
        } => bpf::mutant(&project, &name).map(|path| {
            println!("bpf: mutant {name} written to {}", project.shown(&path));
            ExitCode::SUCCESS
        }),
        Command::Bpf { .. } => bpf::write(&project),
        Command::Dist(options) => dist::run(&project, &options),
        Command::KernelFacts(options) => kernels::described::run(&project, &options),
        Command::Clippy => clippy::run(&project),
        Command::Licences => licences::run(&project),
        Command::Run { args } => run::run(&project, &args),
        Command::Test { only: None } => test::run(&project),
        Command::Test {
            only: Some(TestCommand::Mutants { names }),
        } => mutants::run(&project, &names),
        Command::Test {
            only: Some(TestCommand::Kernels(options)),
        } => kernels::run(&project, &options),
        Command::Bench(options) => bench::run(&project, &options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn words(line: &str) -> Option<Vec<OsString>> {
        words_for_memtrace(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_hands_its_words_over_untouched() {
        assert_eq!(
            words("xtask run -- true"),
            Some(vec!["--".into(), "true".into()])
        );
        assert_eq!(
            words("xtask run --json o -- a --help"),
            Some(
                ["--json", "o", "--", "a", "--help"]
                    .map(OsString::from)
                    .to_vec()
            )
        );
        assert_eq!(words("xtask run"), Some(vec![]));
        assert_eq!(words("xtask test"), None);
        assert_eq!(words("xtask"), None);
    }
}
