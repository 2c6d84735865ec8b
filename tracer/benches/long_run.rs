//! A long run that never was: its events go through the real writer, its capture through
//! `memtrace report` and `memtrace judge`. Prints what the capture costs and what those two need,
//! and holds them against the budgets.
//!
//! `cargo bench -p tracer --bench long_run` takes 100 million levels (`LEVELS` = another number).

use std::{
    fs, io,
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use memtrace::{
    capture::{Destination, End, Reader, Writer},
    event::{Begun, EndReason, Ended, Event, Hook, TargetAsked},
    latency::FaultLatency,
};
use nix::sys::resource::{UsageWho, getrusage};
use tracer_common::{
    ledger::{Peak, Split, Target},
    record::{Header, Level, kind},
};

const LEVELS: u64 = 100_000_000;
const CPUS: u32 = 2;
const SPACES: usize = 6;

/// Budgets: bytes of a level in the file, levels read in a second, memory and time of a report.
const LEVEL_BYTES: f64 = 4.0;
const LEVELS_PER_SECOND: f64 = 10e6;
const REPORT_RSS_KIB: i64 = 48 << 10;
const REPORT_TIME: Duration = Duration::from_secs(15);

/// Processes that allocate, release and map files on two CPUs, with gaps and steps of all sizes.
struct World {
    state: u64,
    at_ns: u64,
    on_cpu: [usize; CPUS as usize],
    splits: [Split; SPACES],
    target: Target,
}

impl World {
    fn new() -> Self {
        Self {
            state: 0x2545_f491_4f6c_dd1d,
            at_ns: START_NS,
            on_cpu: [0, 1],
            splits: [Split::ZERO; SPACES],
            target: Target {
                last_space: SPACES as u64,
                ..Target::default()
            },
        }
    }

    /// The next of the numbers that a seed gives, `below` a limit.
    fn random(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % below
    }

    fn level(&mut self) -> Level {
        // Mostly a few hundred nanoseconds, sometimes much more: pauses.
        let gap = match self.random(1000) {
            0 => self.random(2_000_000),
            1..=50 => self.random(30_000),
            _ => 300 + self.random(600),
        };
        self.at_ns += gap;
        let cpu = self.random(CPUS.into()) as usize;
        if self.random(500) == 0 {
            self.on_cpu[cpu] = self.random(SPACES as u64) as usize;
        }
        let space = self.on_cpu[cpu];
        let step = match self.random(20) {
            0 => 2 + self.random(510) as i64,
            _ => 1,
        };
        let releases = self.random(400) == 0;
        let is_file = self.random(30) == 0;
        let split = &mut self.splits[space];
        let old = split.rss();
        if is_file {
            split.file = (split.file + step) % 20_000;
        } else if releases || split.anon > 2_000_000 {
            split.anon /= 2;
        } else {
            split.anon += step;
        }
        let (split, at_ns) = (*split, self.at_ns);
        self.target.level_rss += split.rss() - old;
        if self.target.level_rss > self.target.peak.rss {
            let rss = self.target.level_rss;
            self.target.peak = Peak { rss, at_ns, split };
        }
        Level {
            header: Header {
                kind: kind::LEVEL,
                cpu: cpu as u32,
                at_ns,
            },
            space: space as u64 + 1,
            split,
            target_rss: self.target.level_rss,
        }
    }
}

const START_NS: u64 = 7_000_000_000_000;

fn begun() -> Begun {
    Begun {
        tells_syscalls: false,
        counts_once: false,
        max_peak_bytes: None,
        fault_latency: FaultLatency::NotAsked,
        functions: Vec::new(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        bpf_sha256: String::new(),
        kernel: String::new(),
        arch: String::new(),
        cpus: CPUS,
        page_bytes: 4096,
        cgroup: "v2".to_owned(),
        target: TargetAsked::Command {
            argv: vec!["long".to_owned()],
            pid: 1,
            follow: true,
        },
        started_at: String::new(),
        start_ns: START_NS,
        quantum_bytes: 0,
        quantum_grows: false,
        hooks: vec![Hook {
            subject: "rss".to_owned(),
            via: "none".to_owned(),
        }],
        doubts: Vec::new(),
    }
}

fn ended(world: &World, levels: u64) -> Ended {
    let mut counts = [0; kind::COUNT];
    counts[kind::LEVEL as usize] = levels;
    Ended {
        at_ns: world.at_ns,
        target: world.target,
        reason: EndReason::TargetEnded,
        command_status: Some(0),
        emitted: counts,
        lost: [0; kind::COUNT],
        lost_by_cpu: Vec::new(),
        read: counts,
        undecoded: 0,
        runs: None,
        fault_latencies: None,
        missed_runs: Some(std::collections::BTreeMap::new()),
        tracer_peak_rss_bytes: None,
        tracer_cpu_ns: 0,
        doubts: Vec::new(),
    }
}

fn write(path: &Path, levels: u64) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut world = World::new();
    let mut writer = Writer::start(Destination::open(path)?)?;
    writer.push(&Event::Begun(Box::new(begun())));
    for _ in 0..levels {
        writer.push(&Event::Level(world.level()));
    }
    writer.finish(&ended(&world, levels))?;
    Ok(began.elapsed())
}

/// Reads all events and holds each level against the one that was written.
fn check(path: &Path, levels: u64) -> anyhow::Result<()> {
    let mut world = World::new();
    let mut reader = Reader::open(path)?;
    let mut read = 0;
    for event in reader.by_ref() {
        if let Event::Level(level) = event {
            anyhow::ensure!(level == world.level(), "level {read} came back as another");
            read += 1;
        }
    }
    anyhow::ensure!(reader.end() == End::Whole, "{:?}", reader.end());
    anyhow::ensure!(read == levels, "{read} levels came back");
    Ok(())
}

/// Time to read all events without doing anything with them.
fn read(path: &Path) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let last = Reader::open(path)?.filter(|event| matches!(event, Event::Level(_)));
    let highest = last.map(|event| match event {
        Event::Level(level) => level.target_rss,
        _ => 0,
    });
    anyhow::ensure!(highest.max() > Some(0), "no levels");
    Ok(began.elapsed())
}

/// Time and peak memory (KiB) of `memtrace report`, or `judge`. Of all programs started so far, so
/// that these come first; this one itself has little memory, which a child inherits as its first
/// peak.
fn memtrace(action: &str, path: &Path) -> anyhow::Result<(Duration, i64)> {
    let began = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_memtrace"))
        .arg(action)
        .arg(path)
        .stdout(Stdio::null())
        .status()
        .context("memtrace cannot be started")?;
    anyhow::ensure!(status.success(), "memtrace {action}: {status}");
    let took = began.elapsed();
    Ok((took, getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss()))
}

fn main() -> anyhow::Result<ExitCode> {
    // `cargo test --benches` runs it too, not to measure.
    let measures = std::env::args().any(|arg| arg == "--bench");
    let levels = match std::env::var("LEVELS") {
        Ok(text) => text.parse().context("LEVELS is no number")?,
        Err(_) if measures => LEVELS,
        Err(_) => 100_000,
    };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = folder.path().join("long.mtr");
    let wrote = write(&path, levels)?;
    let bytes = fs::metadata(&path)?.len();
    let (reported, report_rss_kib) = memtrace("report", &path)?;
    let (judged, rss_kib) = memtrace("judge", &path)?;
    let read = read(&path)?;
    check(&path, levels)?;

    let level_bytes = bytes as f64 / levels as f64;
    let speed = |took: Duration| levels as f64 / took.as_secs_f64();
    let million = 1e6;
    println!("levels          {levels}");
    println!("capture         {level_bytes:.2} bytes a level, {bytes} in all");
    println!(
        "write           {:.1} million a second",
        speed(wrote) / million
    );
    println!(
        "read            {:.1} million a second",
        speed(read) / million
    );
    println!(
        "memtrace report {:.2} s, {report_rss_kib} KiB",
        reported.as_secs_f64()
    );
    println!(
        "memtrace judge  {:.2} s, {rss_kib} KiB",
        judged.as_secs_f64()
    );
    let mut kept = level_bytes <= LEVEL_BYTES && rss_kib <= REPORT_RSS_KIB;
    if measures {
        kept &= speed(read) >= LEVELS_PER_SECOND && reported <= REPORT_TIME;
    }
    io::Write::flush(&mut io::stdout())?;
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        eprintln!("over the budget");
        ExitCode::FAILURE
    })
}
