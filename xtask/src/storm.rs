//! One run of the fault storm, bare or with what it is compared with around it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    figures::{Budget, median},
    project::{self, Project},
};

/// What each worker of the storm maps, touches and unmaps, again and again.
pub(crate) const WORKER_MIB: u32 = 64;
/// memtrace tells its programs' time.
const SELF_STATS: &str = "--self-stats";
/// Runs of `memtrace -- true`.
const STARTS: u32 = 15;

/// What surrounds the fault storm.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Bare,
    Floor,
    OneSpace,
    InPhase,
    Tree,
    Foreign,
    QuantumZero,
    PerfStat,
    PerfRecord,
}

/// What runs in one round: a storm, and all that is compared on it. The first two are the bare
/// run and the floor, of the same storm.
pub(crate) struct Contest {
    pub(crate) workers: u32,
    /// The workers are processes, each with its own space, else threads of one.
    tree: bool,
    pub(crate) variants: &'static [Variant],
}

const OF_THREADS: [Variant; 8] = [
    Variant::Bare,
    Variant::Floor,
    Variant::OneSpace,
    Variant::InPhase,
    Variant::Foreign,
    Variant::QuantumZero,
    Variant::PerfStat,
    Variant::PerfRecord,
];
const OF_PROCESSES: [Variant; 3] = [Variant::Bare, Variant::Floor, Variant::Tree];

pub(crate) const CONTESTS: [Contest; 4] = [
    Contest {
        workers: 1,
        tree: false,
        variants: &OF_THREADS,
    },
    Contest {
        workers: 4,
        tree: false,
        variants: &OF_THREADS,
    },
    Contest {
        workers: 1,
        tree: true,
        variants: &OF_PROCESSES,
    },
    Contest {
        workers: 4,
        tree: true,
        variants: &OF_PROCESSES,
    },
];

impl Contest {
    /// Passes of a run: a quarter of a second or more.
    pub(crate) fn passes(&self) -> u32 {
        if self.workers == 1 { 8 } else { 4 }
    }

    pub(crate) fn what(&self) -> String {
        let kind = if self.tree {
            ["process", "processes"]
        } else {
            ["thread", "threads"]
        };
        format!("{} {}", self.workers, kind[usize::from(self.workers > 1)])
    }
}

impl Variant {
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Floor => "the floor",
            Self::OneSpace => "traced, a target of one space",
            Self::InPhase => "traced, with a phase open",
            Self::Tree => "traced, a tree",
            Self::Foreign => "not the target, while memtrace traces another process",
            Self::QuantumZero => "traced with `--quantum 0`",
            Self::PerfStat => "`perf stat -e kmem:rss_stat`",
            Self::PerfRecord => "`perf record -e kmem:rss_stat`",
        }
    }

    pub(crate) fn budget(self, workers: u32) -> Budget {
        match self {
            Self::OneSpace | Self::InPhase => Budget::AboveFloor(0.03),
            Self::Tree => Budget::AboveFloor(0.08),
            Self::Foreign => Budget::AboveFloor(0.02),
            Self::QuantumZero => Budget::Ratio(if workers == 1 { 1.15 } else { 1.25 }),
            Self::Bare | Self::Floor | Self::PerfStat | Self::PerfRecord => Budget::None,
        }
    }
}

/// One run of the storm.
pub(crate) struct Sample {
    /// Wall time of each pass over its faults, nanoseconds.
    pub(crate) ns_per_fault: Vec<f64>,
    /// Wall time of all passes, nanoseconds.
    pub(crate) ns: f64,
    /// Time that BPF programs took meanwhile, of all CPUs, nanoseconds; `None` if it was not taken.
    pub(crate) bpf_ns: Option<f64>,
    /// memtrace's report on it, where memtrace traced it.
    pub(crate) report: Option<Value>,
}

/// Where things are, and the size of the storm.
pub(crate) struct Bench<'a> {
    pub(crate) project: &'a Project,
    /// For what the runs write.
    pub(crate) folder: PathBuf,
    /// The kernel takes the time of programs too, which makes them slower.
    pub(crate) times_programs: bool,
}

impl Bench<'_> {
    /// Samples of every variant, in their order.
    pub(crate) fn rounds(
        &self,
        rounds: u32,
        contest: &Contest,
        perf: bool,
    ) -> Result<Vec<Vec<Sample>>> {
        let variants = contest.variants;
        let mut samples: Vec<Vec<Sample>> = variants.iter().map(|_| vec![]).collect();
        // One for nothing: what comes first would pay for cold caches.
        self.sample(Variant::Bare, contest)?;
        for round in 0..rounds {
            eprintln!("bench: {}, round {} of {rounds}", contest.what(), round + 1);
            let mut order: Vec<usize> = (0..variants.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for nth in order {
                let variant = variants[nth];
                if !perf && matches!(variant, Variant::PerfStat | Variant::PerfRecord) {
                    continue;
                }
                let sample = self
                    .sample(variant, contest)
                    .with_context(|| format!("the variant '{}' failed", variant.what()))?;
                samples[nth].push(sample);
            }
        }
        Ok(samples)
    }

    pub(crate) fn sample(&self, variant: Variant, contest: &Contest) -> Result<Sample> {
        let storm = self.storm(contest);
        match variant {
            Variant::Bare => self.measured(&storm[0], &storm[1..], false),
            Variant::Floor => {
                let (mut floor, mut told) = self.floor()?;
                let mut sample = self.beside(&mut floor, &storm)?;
                let mut line = String::new();
                told.read_line(&mut line)?;
                sample.bpf_ns = line
                    .trim()
                    .strip_prefix("ns=")
                    .map(str::parse)
                    .transpose()?;
                Ok(sample)
            }
            Variant::OneSpace | Variant::Tree => self.traced(&[], &storm),
            Variant::InPhase => self.traced(&[], &[&storm[..], &["--phase".to_owned()]].concat()),
            Variant::Foreign => {
                let mut idle = Command::new("sleep").arg("600").spawn()?;
                let sample = self
                    .attached(idle.id())
                    .and_then(|mut memtrace| self.beside(&mut memtrace, &storm));
                idle.kill()?;
                idle.wait()?;
                let mut sample = sample?;
                sample.bpf_ns = bpf_ns(&self.read_report()?);
                Ok(sample)
            }
            Variant::QuantumZero => self.traced(&["--quantum", "0"], &storm),
            Variant::PerfStat => self.perf(&["stat"], &storm),
            Variant::PerfRecord => {
                let data = self.folder.join("perf.data").display().to_string();
                self.perf(&["record", "-o", &data], &storm)
            }
        }
    }

    fn storm(&self, contest: &Contest) -> Vec<String> {
        let mut words = vec![self.project.release("storm").display().to_string()];
        let sizes = [
            ("--threads", contest.workers),
            ("--mib", WORKER_MIB),
            ("--rounds", contest.passes()),
        ];
        words.extend(
            sizes
                .iter()
                .flat_map(|(name, n)| [(*name).to_owned(), n.to_string()]),
        );
        if contest.tree {
            words.push("--tree".to_owned());
        }
        words
    }

    fn traced(&self, options: &[&str], words: &[String]) -> Result<Sample> {
        let memtrace = self.project.release("memtrace").display().to_string();
        let report = self.report().display().to_string();
        let mut args: Vec<String> = options.iter().map(ToString::to_string).collect();
        args.extend(["--json".to_owned(), report]);
        args.extend(self.times_programs.then(|| SELF_STATS.to_owned()));
        args.push("--".to_owned());
        args.extend_from_slice(words);
        self.measured(&memtrace, &args, true)
    }

    fn perf(&self, how: &[&str], storm: &[String]) -> Result<Sample> {
        let mut args: Vec<String> = how.iter().map(ToString::to_string).collect();
        args.extend(["-e", "kmem:rss_stat", "--"].map(String::from));
        args.extend_from_slice(storm);
        self.measured("perf", &args, false)
    }

    /// Runs the storm while `other` runs, then ends `other` in the way it expects.
    fn beside(&self, other: &mut Beside, storm: &[String]) -> Result<Sample> {
        let sample = self.measured(&storm[0], &storm[1..], false);
        let early = other.child.try_wait()?;
        if other.interrupt && early.is_none() {
            project::run(
                Command::new("kill")
                    .arg("-INT")
                    .arg(other.child.id().to_string()),
            )?;
        }
        drop(other.child.stdin.take());
        other.child.wait()?;
        ensure!(
            early.is_none(),
            "what was to run beside the storm ended before it"
        );
        sample
    }

    /// The empty program, attached.
    fn floor(&self) -> Result<(Beside, BufReader<ChildStdout>)> {
        let mut command = Command::new(self.project.release("floor"));
        command.arg(self.project.object());
        command.args(self.times_programs.then_some("--timed"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("floor has no output")?;
        let mut told = BufReader::new(stdout);
        told.read_line(&mut line)?;
        ensure!(
            line.trim() == "ready",
            "floor did not get ready, it said: {line:?}"
        );
        let floor = Beside {
            child,
            interrupt: false,
        };
        Ok((floor, told))
    }

    /// memtrace, attached to another process.
    fn attached(&self, pid: u32) -> Result<Beside> {
        let mut command = Command::new(self.project.release("memtrace"));
        command
            .args(["--pid", &pid.to_string()])
            .arg("--json")
            .arg(self.report())
            .args(self.times_programs.then_some(SELF_STATS))
            .stdout(Stdio::null());
        let log = self.folder.join("memtrace.log");
        let mut child = command.stderr(fs::File::create(&log)?).spawn()?;
        // Its hooks are on when the number of its links has stood still for a while.
        let started = Instant::now();
        let (mut links, mut since) = (0, Instant::now());
        while links == 0 || since.elapsed() < Duration::from_millis(300) {
            if child.try_wait()?.is_some() || started.elapsed() > Duration::from_secs(10) {
                let text = fs::read_to_string(&log).unwrap_or_default();
                child.kill()?;
                child.wait()?;
                bail!("memtrace --pid put no hooks on: {}", text.trim());
            }
            sleep(Duration::from_millis(10));
            let now = links_of(child.id());
            if now != links {
                (links, since) = (now, Instant::now());
            }
        }
        Ok(Beside {
            child,
            interrupt: true,
        })
    }

    /// Runs a command that runs the storm, and reads what the storm measured.
    fn measured(&self, program: &str, args: &[String], reported: bool) -> Result<Sample> {
        let mut command = Command::new(program);
        project::without_cargo(&mut command);
        let output = command
            .args(args)
            .output()
            .with_context(|| format!("no {program}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            std::io::stderr().write_all(&output.stderr)?;
            bail!("it ended with {}", output.status);
        }
        let value = |name: &str| {
            let mut words = text.split_whitespace();
            let found = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            found.with_context(|| format!("the storm said no {name}: {text:?}"))
        };
        let report = match reported {
            true => Some(self.read_report()?),
            false => None,
        };
        let number = |word: &str| -> Result<f64> {
            word.parse()
                .with_context(|| format!("the storm said what is no number: {word}"))
        };
        let faults = number(value("faults")?)?;
        let passes = value("passes_ns")?.split(',').map(number);
        let passes = passes.collect::<Result<Vec<_>>>()?;
        Ok(Sample {
            ns: passes.iter().sum(),
            ns_per_fault: passes.iter().map(|pass| pass / faults).collect(),
            bpf_ns: report.as_ref().and_then(bpf_ns),
            report,
        })
    }

    fn read_report(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(self.report())?)?)
    }

    fn report(&self) -> PathBuf {
        self.folder.join("report.json")
    }

    /// Milliseconds of `memtrace -- true` from start to end.
    pub(crate) fn start_to_end(&self) -> Result<f64> {
        let once = |_| -> Result<f64> {
            let mut command = Command::new(self.project.release("memtrace"));
            project::without_cargo(&mut command);
            let started = Instant::now();
            let output = command.args(["--", "true"]).output()?;
            let wall = started.elapsed();
            ensure!(
                output.status.success(),
                "`memtrace -- true` ended with {}",
                output.status
            );
            Ok(wall.as_secs_f64() * 1000.0)
        };
        Ok(median(&(0..STARTS).map(once).collect::<Result<Vec<_>>>()?))
    }
}

/// Time that memtrace's programs took, where it was taken.
fn bpf_ns(report: &Value) -> Option<f64> {
    report["overhead"]["bpf_ns"].as_f64()
}

/// A program that runs beside the storm.
struct Beside {
    child: Child,
    /// It ends at an interrupt; else when its input closes.
    interrupt: bool,
}

/// How many BPF links a process holds open.
fn links_of(pid: u32) -> usize {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return 0;
    };
    let is_link = |path: PathBuf| fs::read_to_string(path).is_ok_and(|t| t.contains("link_type:"));
    files
        .filter_map(Result::ok)
        .filter(|file| is_link(file.path()))
        .count()
}
