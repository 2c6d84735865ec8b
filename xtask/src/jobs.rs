//! Real jobs of the benchmark: a numpy/scipy pipeline and a parallel compile, bare and traced.

use std::{fmt::Write as _, fs, path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    consumers::python,
    figures::{Job, Single},
    project::{self, Project},
    storm::Bench,
};

/// Edge of the pipeline's cube, samples.
const CUBE: &str = "256";
/// Files of the compile, and functions of each.
const UNITS: u32 = 24;
const FUNCTIONS: u32 = 400;
/// Levels of the capture that is written and read back.
const LEVELS: &str = "10000000";

/// Something to run, and why not if it cannot be.
struct Work {
    what: &'static str,
    budget: f64,
    command: Result<Vec<String>, String>,
    /// Environment of the command.
    variables: Vec<(&'static str, String)>,
}

/// Runs every job bare and traced in each round, in an order that is reversed from round to round.
pub(crate) fn measure(bench: &Bench, rounds: u32) -> Result<Vec<Job>> {
    let works = [pipeline(bench), compile(bench)?];
    works
        .into_iter()
        .map(|work| {
            let command = match &work.command {
                Ok(command) => command,
                Err(why) => return Ok(work.row(Err(why.clone()), None)),
            };
            work.bare(command)?;
            let (mut ratios, mut bares, mut inexact) = (vec![], vec![], 0);
            for round in 0..rounds {
                eprintln!("bench: {}, round {} of {rounds}", work.what, round + 1);
                let (bare, (traced, is_exact)) = if round % 2 == 0 {
                    (work.bare(command)?, work.traced(bench, command)?)
                } else {
                    let traced = work.traced(bench, command)?;
                    (work.bare(command)?, traced)
                };
                ratios.push(traced / bare);
                bares.push(bare);
                inexact += u32::from(!is_exact);
            }
            let flaw = (inexact > 0).then(|| format!("{inexact} of {rounds} reports not exact"));
            Ok(work.row(Ok((bares, ratios)), flaw))
        })
        .collect()
}

impl Work {
    fn row(&self, found: Result<(Vec<f64>, Vec<f64>), String>, flaw: Option<String>) -> Job {
        Job {
            what: self.what,
            budget: self.budget,
            found,
            flaw,
        }
    }

    fn run(&self, program: &str, args: &[String]) -> Result<f64> {
        let mut command = Command::new(program);
        project::without_cargo(&mut command);
        command.args(args).envs(self.variables.iter().cloned());
        let started = Instant::now();
        let output = command.output().with_context(|| format!("no {program}"))?;
        let wall = started.elapsed().as_secs_f64();
        ensure!(
            output.status.success(),
            "{} ended with {}: {}",
            self.what,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(wall)
    }

    /// Seconds that it takes.
    fn bare(&self, command: &[String]) -> Result<f64> {
        self.run(&command[0], &command[1..])
    }

    /// Seconds from the command's start to its end under memtrace, by its report, and whether that
    /// is exact. What memtrace itself needs before and after is another figure.
    fn traced(&self, bench: &Bench, command: &[String]) -> Result<(f64, bool)> {
        let report = bench.folder.join("job.json");
        let mut args = ["-q", "--json", &report.display().to_string(), "--"]
            .map(str::to_owned)
            .to_vec();
        args.extend_from_slice(command);
        let memtrace = bench.project.release("memtrace").display().to_string();
        self.run(&memtrace, &args)?;
        let report: Value = serde_json::from_slice(&fs::read(&report)?)?;
        let ns = report["duration_ns"].as_f64();
        let ns = ns.context("the report has no duration")?;
        Ok((ns / 1e9, report["certainty"]["exact"] == true))
    }
}

/// The pipeline of the step study.
fn pipeline(bench: &Bench) -> Work {
    let project = bench.project;
    let requirements = project.root.join("scripts/jobs_requirements.txt");
    let script = project.root.join("scripts/step_study.py");
    let command = python(&requirements, &bench.folder).map(|python| {
        [python.as_path(), &script]
            .map(|path| path.display().to_string())
            .into_iter()
            .chain(["--work", "--size", CUBE].map(str::to_owned))
            .collect()
    });
    Work {
        what: "a numpy/scipy pipeline (`scripts/step_study.py`)",
        budget: 1.01,
        command,
        variables: vec![(
            "PYTHONPATH",
            project.root.join("python").display().to_string(),
        )],
    }
}

/// A parallel compile of C, as many files at once as there are CPUs.
fn compile(bench: &Bench) -> Result<Work> {
    let folder = bench.folder.join("compile");
    let missing = |name| format!("needs {name}: apt-get install build-essential");
    let mut tools = ["cc", "make"].into_iter();
    let command = match tools.find(|name| project::find_program(name).is_none()) {
        Some(name) => Err(missing(name)),
        None => {
            write_units(&folder)?;
            let jobs = std::thread::available_parallelism()?.to_string();
            let folder = folder.display().to_string();
            Ok(["make", "-s", "-B", "-j", &jobs, "-C", &folder]
                .map(str::to_owned)
                .to_vec())
        }
    };
    Ok(Work {
        what: "a parallel compile (`make -j`)",
        budget: 1.03,
        command,
        variables: vec![],
    })
}

fn write_units(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let objects: Vec<String> = (0..UNITS).map(|unit| format!("unit{unit}.o")).collect();
    let makefile = format!(
        "all: {}\n%.o: %.c\n\t$(CC) -O1 -c $< -o $@\n",
        objects.join(" ")
    );
    fs::write(folder.join("Makefile"), makefile)?;
    for unit in 0..UNITS {
        let mut text = String::from("#include <stdio.h>\n#include <stdlib.h>\n");
        for function in 0..FUNCTIONS {
            writeln!(
                text,
                "int f{unit}_{function}(int *a, int n) {{ int s = {function}; for (int i = 0; i < n; \
                 i++) {{ s += a[i] * {unit}; if (s & 1) a[i] ^= s; }} return s; }}"
            )?;
        }
        fs::write(folder.join(format!("unit{unit}.c")), text)?;
    }
    Ok(())
}

/// What a capture costs, by the benchmark of a long run.
pub(crate) fn capture(project: &Project) -> Result<Vec<Single>> {
    eprintln!("bench: a capture");
    let mut cargo = project.cargo();
    cargo.args(["bench", "--quiet", "-p", "tracer", "--bench", "long_run"]);
    let output = cargo.env("LEVELS", LEVELS).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = |name: &str| -> Result<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let word = line.and_then(|line| line.split_whitespace().next());
        word.and_then(|word| word.parse().ok())
            .with_context(|| format!("the long run told no {name}: {text:?}"))
    };
    Ok(vec![
        Single {
            what: "a capture, in the file",
            figure: figure("capture")?,
            budget: 4.0,
            at_least: false,
            unit: "bytes a level",
        },
        Single {
            what: "a capture, read back",
            figure: figure("read")?,
            budget: 10.0,
            at_least: true,
            unit: "million levels a second",
        },
    ])
}
