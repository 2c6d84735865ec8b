//! `cargo xtask test kernels`: the live tests on other kernels than this machine's, each booted in
//! qemu by software emulation. Whatever it needs is fetched once and kept under the target folder.

pub(crate) mod described;
mod disk;
mod guest;
mod image;
mod matrix;
mod packages;
mod page;
mod tools;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;

use crate::{
    arch::{self, Arch},
    binaries::Summary,
    dist,
    project::Project,
    test::{self, LiveTests},
};
use disk::{Contents, MEMTRACE, TESTS};
use guest::{Guest, Job, Ran, Shape};
use image::Kernel;
use matrix::{Boot, Expected, LEFT_OUT, SERIES, Series};
use packages::Suites;
use page::{Passed, Row};
use tools::Tools;

/// Longest run of one test file, seconds.
const JOB_LIMIT: u32 = crate::binaries::LIMIT_SECONDS;
/// Longest boot with all its tests.
const BOOT_LIMIT: Duration = Duration::from_secs(1800);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Every kernel with every number of CPUs and all tests: this takes hours.
    #[arg(long)]
    all: bool,
    /// Write docs/kernels.md.
    #[arg(long)]
    write: bool,
    /// Only these files of tests; may be given again.
    #[arg(long, value_name = "FILE", value_parser = PossibleValuesParser::new(matrix::ALL))]
    file: Vec<String>,
    /// Only kernels of these series.
    #[arg(value_name = "SERIES", value_parser = names())]
    series: Vec<String>,
}

impl Options {
    fn boots(&self) -> Vec<Boot> {
        let boots = if self.all {
            matrix::full()
        } else {
            matrix::daily()
        };
        if self.file.is_empty() {
            return boots;
        }
        let asked = |file: &&str| self.file.iter().any(|name| name == file);
        let files: Vec<_> = matrix::ALL.iter().copied().filter(asked).collect();
        let boots = boots.into_iter();
        boots.map(|boot| boot.with_files(&files)).collect()
    }
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(SERIES.iter().map(|series| series.name))
}

/// What all boots of an architecture share.
pub(crate) struct Bench<'a> {
    project: &'a Project,
    folder: PathBuf,
    tools: Tools,
    disk: PathBuf,
    suites: Suites,
    /// Packages of kernels that can be had.
    packages: Vec<String>,
}

pub(crate) fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    let chosen = |series: &&Series| {
        if options.series.is_empty() {
            options.all || matrix::DAILY_SERIES.contains(&series.name)
        } else {
            options.series.iter().any(|name| name == series.name)
        }
    };
    let mut rows = vec![];
    let mut left_out = vec![];
    for arch in arch::ALL {
        let mut series: Vec<_> = SERIES.iter().filter(chosen).collect();
        series.retain(|series| series.arch == arch);
        if series.is_empty() {
            continue;
        }
        match bench(project, arch)? {
            Ok(bench) => {
                for series in series {
                    match bench.all(series, &options.boots()) {
                        Ok(booted) => rows.extend(booted?),
                        Err(why) => left_out.push((series.name, why)),
                    }
                    // After each, so that a run that is cut off leaves what it has found.
                    if options.write {
                        page::write(project, &rows, &left_out)?;
                    }
                }
            }
            Err(error) => {
                let names = series.iter().map(|series| series.name);
                left_out.extend(names.map(|name| (name, format!("{error:#}"))));
            }
        }
    }
    for (what, reason) in &left_out {
        println!("left out: {what}: {reason}");
    }
    for left_out in &LEFT_OUT {
        println!("left out: {left_out}");
    }
    Ok(if rows.iter().any(Row::failed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Builds and fetches what guests of an architecture need; the error within says what cannot be had
/// here.
fn bench(project: &Project, arch: Arch) -> Result<Result<Bench<'_>>> {
    if let Err(error) = dist::ready(project, arch) {
        return Ok(Err(error));
    }
    let started = Instant::now();
    let memtrace = dist::build(project, arch)?;
    let tests = test::live_tests_for(project, arch)?;
    println!("built in {:.0} s", started.elapsed().as_secs_f64());
    let started = Instant::now();
    let bench = Bench::ready(project, arch, &memtrace, Some(&tests));
    println!(
        "fetched and packed in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    Ok(bench)
}

impl<'a> Bench<'a> {
    /// Fetches what is needed, and packs what the guests have: memtrace, and if asked these tests.
    pub(crate) fn ready(
        project: &'a Project,
        arch: Arch,
        memtrace: &Path,
        tests: Option<&LiveTests>,
    ) -> Result<Self> {
        let mut folder = project.target.join("kernels");
        if arch != Arch::OWN {
            folder.push(arch.name());
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let tools = Tools::ready(&folder, arch)?;
        let contents = Contents {
            arch,
            busybox: &tools.busybox,
            memtrace,
            tests: tests.map_or(&[], |tests| &tests.binaries),
            workloads: &tests
                .map_or(Ok(vec![]), |tests| disk::workloads(project, &tests.folder))?,
        };
        let disk = disk::make(&folder, &contents)?;
        let series = SERIES.iter().filter(|series| series.arch == arch);
        let suites: BTreeSet<_> = series.map(|series| series.suite).collect();
        let suites: Vec<_> = suites.into_iter().collect();
        let suites = Suites::open(&folder.join("suites"), arch, &suites)?;
        let packages = suites.names(&matrix::packages(arch))?;
        Ok(Self {
            project,
            folder,
            tools,
            disk,
            suites,
            packages,
        })
    }

    /// Boots the newest kernel of a series on each of these machines; the error says why there is
    /// none.
    fn all(&self, series: &Series, boots: &[Boot]) -> Result<Result<Vec<Row>>, String> {
        match self.kernel(series) {
            Ok(Some((package, kernel))) => Ok(self.series(series, &package, &kernel, boots)),
            Ok(None) => Err("Debian has no such kernel now".to_owned()),
            Err(error) => Err(format!("cannot be had: {error:#}")),
        }
    }

    /// The newest kernel of a series, fetched if it is not here, and its package's name; `None` if
    /// there is none.
    fn kernel(&self, series: &Series) -> Result<Option<(String, Kernel)>> {
        let Some(package) = series.newest(&self.packages) else {
            return Ok(None);
        };
        let folder = self.folder.join(package);
        if !folder.exists() {
            let name = package.trim_start_matches("linux-image-");
            // Since 6.19 the image is in two packages, and the one of its name is empty.
            let parts = [
                format!("linux-binary-{name}"),
                format!("linux-modules-{name}"),
            ];
            let expression = format!("^linux-(binary|modules)-{}$", regular(name));
            let known = self.suites.names(&expression)?;
            let packages: Vec<_> = if parts.iter().all(|part| known.contains(part)) {
                parts.into()
            } else {
                vec![package.to_owned()]
            };
            self.suites.unpack(&packages, &folder)?;
        }
        Ok(Some((
            package.to_owned(),
            Kernel::open(&folder, series.arch)?,
        )))
    }

    /// Boots a kernel on each of these machines and says how it went.
    fn series(
        &self,
        series: &Series,
        package: &str,
        kernel: &Kernel,
        boots: &[Boot],
    ) -> Result<Vec<Row>> {
        // What is refused is refused whatever the machine.
        let count = match series.expected {
            Expected::Traces => boots.len(),
            Expected::Refuses(_) => 1,
        };
        let mut rows = vec![];
        for boot in &boots[..count] {
            let shape = boot.shape;
            let name = format!("{}-{}", series.name, cpus(shape).replace(' ', "-"));
            let started = Instant::now();
            let jobs = jobs(series, boot);
            let came = self.boot(kernel, shape, &name, &jobs)?;
            let mut row = Row::new(series.name, package, shape);
            for job in &jobs {
                match came.jobs.iter().find(|ran| ran.name == job.name) {
                    Some(ran) => self.take(&mut row, series, ran, &name)?,
                    None => row.failures.push(format!("{}: did not run", job.name)),
                }
            }
            row.failures.extend(came.broke_off);
            row.print(started.elapsed());
            rows.push(row);
        }
        Ok(rows)
    }

    /// Boots once; the files of this boot are kept under `name`.
    fn boot(&self, kernel: &Kernel, shape: Shape, name: &str, jobs: &[Job]) -> Result<guest::Boot> {
        let guest = Guest {
            tools: &self.tools,
            kernel,
            disk: &self.disk,
            shape,
            folder: &self.folder.join("boots").join(name),
            limit: BOOT_LIMIT,
        };
        guest.run(jobs)
    }

    /// Takes in how one job went.
    fn take(&self, row: &mut Row, series: &Series, ran: &Ran, boot: &str) -> Result<()> {
        match (&series.expected, ran.name.as_str()) {
            (_, CHECK) => row.take_check(&ran.text),
            (Expected::Refuses(words), REFUSAL) => {
                if let Err(why) = refusal(ran, row.release(), words) {
                    row.failures.push(why);
                } else {
                    row.refusal = Some(ran.text.trim().to_owned());
                }
            }
            _ => {
                let died = Summary {
                    failed: 1,
                    failures: vec![format!("{}: the guest died with it", ran.name)],
                    ..Summary::default()
                };
                let read = |code| {
                    let status = ExitStatus::from_raw(code << 8);
                    Summary::read(&ran.name, &ran.text, status)
                };
                let summary = ran.code.map_or(died, read);
                if summary.failed > 0 {
                    let log = self.folder.join("boots").join(boot).join(&ran.name);
                    fs::write(&log, &ran.text)
                        .with_context(|| format!("cannot write {}", log.display()))?;
                    row.failures.extend(summary.failures);
                    row.logs.push(self.project.shown(&log));
                }
                row.passed.push(Passed {
                    file: ran.name.clone(),
                    passed: summary.passed,
                    failed: summary.failed,
                    seconds: ran.seconds,
                });
            }
        }
        Ok(())
    }
}

/// Name of the job that asks memtrace what can be traced.
const CHECK: &str = "check";
/// Name of the job that must be refused.
const REFUSAL: &str = "refusal";

/// What a boot does.
fn jobs(series: &Series, boot: &Boot) -> Vec<Job> {
    let job = |name: &str, argv: &[&str]| Job {
        name: name.to_owned(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        limit: JOB_LIMIT,
    };
    let mut jobs = vec![job(CHECK, &[MEMTRACE, "check"])];
    if let Expected::Refuses(_) = series.expected {
        jobs.push(job(REFUSAL, &[MEMTRACE, "--", "/bin/echo", STARTED]));
        return jobs;
    }
    for file in &boot.files {
        let program = format!("{TESTS}/{file}");
        let mut argv = vec![program.as_str(), test::ONE_AT_A_TIME];
        for left_out in LEFT_OUT.iter().filter(|left_out| left_out.file == *file) {
            argv.extend(["--skip", left_out.test]);
        }
        jobs.push(job(file, &argv));
    }
    jobs
}

/// What a command would print that must not start.
const STARTED: &str = "the command has started";

/// Whether memtrace refused this kernel in these very words and no others, so that the command
/// has not started.
fn refusal(ran: &Ran, release: &str, words: &str) -> Result<(), String> {
    let text = ran.text.trim();
    let expected = format!("memtrace: this kernel ({release}) {words}. memtrace check tells more");
    if ran.code == Some(125) && text == expected {
        Ok(())
    } else {
        Err(format!("no refusal: exit code {:?}: {text}", ran.code))
    }
}

fn cpus(shape: Shape) -> String {
    let Shape { possible, online } = shape;
    if possible == online {
        possible.to_string()
    } else {
        format!("{online} of {possible}")
    }
}

/// A name as a regular expression.
fn regular(name: &str) -> String {
    name.replace('.', r"\.").replace('+', r"\+")
}
