//! `cargo xtask test`: every layer of tests that this machine can run, a line for each, and what
//! was left out and why.

use std::{
    fs,
    io::IsTerminal,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::Result;

use crate::{
    arch::Arch,
    binaries::{self, Binary, Summary, Terms},
    consumers::{self, Consumed},
    project::{self, Project},
};

/// Package of the live tests.
const LIVE_PACKAGE: &str = "tests";
/// Live tests measure whole machines and take turns.
pub(crate) const ONE_AT_A_TIME: &str = "--test-threads=1";

/// The layer that is made of scripts, and comes after all others.
const CONSUMERS: &str = "consumers";

/// A layer, from what needs least to what needs most.
struct Layer {
    name: &'static str,
    /// Picks its binaries.
    has: fn(&Binary) -> bool,
    live: bool,
}

const LAYERS: [Layer; 4] = [
    Layer {
        name: "unit",
        has: |binary| !is_live(binary) && !is_named(binary, &["object", "replay"]),
        live: false,
    },
    Layer {
        name: "replay",
        has: |binary| is_named(binary, &["replay"]),
        live: false,
    },
    Layer {
        name: "object",
        has: |binary| is_named(binary, &["object"]),
        live: false,
    },
    Layer {
        name: "live",
        has: |binary| is_live(binary) && !is_named(binary, &["object", "replay"]),
        live: true,
    },
];

fn is_live(binary: &Binary) -> bool {
    binary.integration && binary.package.ends_with(LIVE_PACKAGE)
}

fn is_named(binary: &Binary, names: &[&str]) -> bool {
    binary.integration && names.contains(&binary.name.as_str())
}

pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    let started = Instant::now();
    let mut all = binaries::build(project.cargo(), &["--workspace", "--exclude", LIVE_PACKAGE])?;
    all.extend(live_binaries(project)?);
    println!("built in {:.0} s", started.elapsed().as_secs_f64());

    let mut left_out = vec![];
    let mut failed = false;
    for layer in &LAYERS {
        let chosen: Vec<_> = all.iter().filter(|binary| (layer.has)(binary)).collect();
        if chosen.is_empty() {
            left_out.push((layer.name, "the project has no such tests yet".to_owned()));
            continue;
        }
        if layer.live
            && let Err(reason) = can_be_root()
        {
            left_out.push((layer.name, reason));
            continue;
        }
        let started = Instant::now();
        let mut summary = Summary::default();
        let mut logs = vec![];
        for binary in chosen {
            let terms = Terms {
                as_root: layer.live,
                args: if layer.live { &[ONE_AT_A_TIME] } else { &[] },
                env: &[("MEMTRACE", project.release("memtrace").into())],
            };
            let log = log(project, &format!("{}-{}", layer.name, binary.name))?;
            let (text, status) = binaries::run(binary, &terms, &log)?;
            let one = Summary::read(&binary.name, &text, status);
            if one.failed > 0 {
                print_failures(&text);
                logs.push(log);
            }
            summary.add(one);
        }
        if layer.name == "unit" {
            summary.add(examples_in_docs(project)?);
        }
        print_line(project, layer.name, &summary, &logs, started);
        if summary.ignored > 0 {
            left_out.push((layer.name, format!("{} marked #[ignore]", summary.ignored)));
        }
        failed |= summary.failed > 0;
    }
    match can_be_root() {
        Ok(()) => {
            let started = Instant::now();
            let consumed = consumers::run(project)?;
            let Consumed { summary, logs, .. } = &consumed;
            if summary.passed + summary.failed > 0 {
                print_line(project, CONSUMERS, summary, logs, started);
            }
            failed |= summary.failed > 0;
            let reasons = consumed.left_out.into_iter();
            left_out.extend(reasons.map(|reason| (CONSUMERS, reason)));
        }
        Err(reason) => left_out.push((CONSUMERS, reason)),
    }
    left_out.push((
        "kernels",
        "asked for by name: `cargo xtask test kernels`".to_owned(),
    ));
    left_out.push((
        "mutants",
        "asked for by name: `cargo xtask test mutants`".to_owned(),
    ));
    for (layer, reason) in left_out {
        println!("left out: {layer}: {reason}");
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Builds memtrace, then the live tests that run it.
pub(crate) fn live_binaries(project: &Project) -> Result<Vec<Binary>> {
    let mut memtrace = project.cargo();
    project::run(memtrace.args(["build", "--quiet", "--release", "--package", "tracer"]))?;
    live_tests(project)
}

/// Without the test harness of every workload, which would hold no test.
const LIVE_TESTS: [&str; 6] = [
    "--package",
    LIVE_PACKAGE,
    "--release",
    "--lib",
    "--test",
    "*",
];

/// Builds the live tests with their workloads.
pub(crate) fn live_tests(project: &Project) -> Result<Vec<Binary>> {
    binaries::build(project.cargo(), &LIVE_TESTS)
}

/// The live tests, built.
pub(crate) struct LiveTests {
    pub(crate) binaries: Vec<Binary>,
    /// Where their workloads lie.
    pub(crate) folder: PathBuf,
}

/// Builds them for a processor that may be another one than this machine's.
pub(crate) fn live_tests_for(project: &Project, arch: Arch) -> Result<LiveTests> {
    if arch == Arch::OWN {
        return Ok(LiveTests {
            binaries: live_tests(project)?,
            folder: project.target.join("release"),
        });
    }
    let target = arch.gnu_target();
    arch.ready(project, &target)?;
    let chosen = [&LIVE_TESTS[..], &["--target", &target]].concat();
    Ok(LiveTests {
        binaries: binaries::build(arch.cargo(project), &chosen)?,
        folder: project.target.join(target).join("release"),
    })
}

/// Whether live tests can run here, or why not.
pub(crate) fn can_be_root() -> Result<(), String> {
    if project::is_root() {
        return Ok(());
    }
    if project::find_program("sudo").is_none() {
        return Err("needs root, and there is no sudo here: run this as root".to_owned());
    }
    // Where sudo has to ask for a password, somebody must be there to answer.
    let silent = Command::new("sudo")
        .args(["-n", "true"])
        .stderr(Stdio::null())
        .status();
    if silent.is_ok_and(|status| status.success()) || std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err("needs root, and sudo asks for a password: run this as root or in a terminal".to_owned())
}

/// File for what a test binary prints.
pub(crate) fn log(project: &Project, name: &str) -> Result<PathBuf> {
    let folder = project.target.join("test-logs");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(name).with_extension("log"))
}

/// Examples in the documentation; rustdoc runs them, there is no binary to keep.
fn examples_in_docs(project: &Project) -> Result<Summary> {
    let mut cargo = project.cargo();
    cargo.args([
        "test",
        "--quiet",
        "--workspace",
        "--exclude",
        LIVE_PACKAGE,
        "--doc",
    ]);
    let output = cargo.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        eprint!("{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Summary::read("documentation", &text, output.status))
}

/// The part of libtest's text that explains failures, or all of it where there is no such part.
fn print_failures(text: &str) {
    let from = text.find("\nfailures:\n").unwrap_or(0);
    eprintln!("{}", text[from..].trim());
}

fn print_line(project: &Project, name: &str, sum: &Summary, logs: &[PathBuf], started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    let mut line = format!("{name:<9} {:>4} passed", sum.passed);
    if sum.failed > 0 {
        line += &format!(", {} FAILED", sum.failed);
    }
    if sum.ignored > 0 {
        line += &format!(", {} ignored", sum.ignored);
    }
    println!("{line}, {seconds:.1} s");
    for failure in &sum.failures {
        println!("  failed: {failure}");
    }
    for log in logs {
        println!("  all it printed: {}", project.shown(log));
    }
}
