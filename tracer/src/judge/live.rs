//! Judging a command while it runs: the exact trace goes to a capture, samplers look beside it or
//! a tool runs it, and what they say is held against it at the end.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use super::{
    Others, Wrapped, action, cost, judge, part::Command, sampled::Looked, schema::Judgement,
};
use crate::{
    capture::Destination,
    cli::JudgeArguments,
    command::{holder::Holder, identity::Identity},
    failure::Failure,
    kernel::privilege,
    report::schema::{Exit, Report},
    sampler::{
        Watch,
        asked::{Asked, Instrument},
        charged::Place,
        eye::Sampler,
    },
    session::{self, How, Outcome, What},
    signals,
};

/// A capture for this run: the one that was asked for, or one that goes with it.
struct Kept {
    path: PathBuf,
    /// Removed when dropped.
    _temporary: Option<tempfile::TempPath>,
}

impl Kept {
    fn open(asked: Option<&PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = asked {
            return Ok(Self {
                path: path.clone(),
                _temporary: None,
            });
        }
        let file = tempfile::Builder::new()
            .prefix("memtrace-")
            .suffix(".mtr")
            .tempfile();
        let path = file
            .context("no file can be made for the run")?
            .into_temp_path();
        Ok(Self {
            path: path.to_path_buf(),
            _temporary: Some(path),
        })
    }
}

/// A command that was judged.
pub struct Judged {
    /// The judgement.
    pub judgement: Judgement,
    /// The report of all that was traced.
    pub report: Report,
    /// The exit code of what was run.
    pub exit: u8,
}

impl Judged {
    fn new(judgement: Judgement, report: Report) -> Self {
        Self {
            judgement,
            exit: report.exit.map_or(0, Exit::shell_code),
            report,
        }
    }
}

/// Runs the command and judges what was asked for.
///
/// # Errors
///
/// [`Failure`] if it cannot be traced, started or judged.
pub fn run(arguments: &JudgeArguments) -> Result<Judged, Failure> {
    arguments.validate()?;
    privilege::check(&privilege::effective()).context("memtrace check tells more")?;
    let identity = Identity::of_run(arguments.user.as_deref()).map_err(anyhow::Error::from)?;
    let kept = Kept::open(arguments.capture.as_ref())?;
    let destination = Destination::open(&kept.path)?;
    if let Some(wrap) = &arguments.wrap {
        let line = wrap
            .around(&arguments.command)
            .context("the command cannot be passed on")?;
        return wrapped(arguments, &line, identity.as_ref(), &kept, destination);
    }
    let holder = Holder::fork(&arguments.command, identity.as_ref())?;
    // A signal waits for the session: the command's own cgroup must not be left behind.
    signals::hold_back()?;
    let looks = Looks::start(&holder, &arguments.tools)?;
    let what = What::Command {
        holder,
        argv: spelt(&arguments.command),
    };
    let (mut looked, outcome) = looks.beside(what, how(), destination)?;
    outcome.captured?;
    if let Some(pairs) = arguments.cost {
        looked.costs = costs(arguments, pairs, identity.as_ref())?;
    }
    let others = Others {
        looked: Some(&looked),
        ..Others::default()
    };
    let judgement = judge(&kept.path, others)?;
    Ok(Judged::new(judgement, outcome.report))
}

/// Runs a tool that runs the command, and judges the command's part and what the tool wrote of it.
fn wrapped(
    arguments: &JudgeArguments,
    line: &[OsString],
    identity: Option<&Identity>,
    kept: &Kept,
    destination: Destination,
) -> Result<Judged, Failure> {
    let command = Command::of(&arguments.command);
    let before: Vec<_> = arguments
        .import
        .iter()
        .map(|asked| stamp(&asked.path))
        .collect();
    let what = What::Command {
        holder: Holder::fork(line, identity)?,
        argv: spelt(line),
    };
    let outcome = session::run(what, how(), Some(destination))?;
    outcome.captured?;
    for (asked, before) in arguments.import.iter().zip(before) {
        let now = stamp(&asked.path);
        if now.is_none() || now == before {
            let path = asked.path.display();
            let ended = outcome.report.exit.map_or(0, Exit::shell_code);
            let error = anyhow::anyhow!(
                "the tool did not write {path} in this run (it ended with exit code {ended}). Name \
                 the file that it writes: --import FILE"
            );
            return Err(error.into());
        }
    }
    let imported = action::imported(&arguments.import)?;
    let line = spelt(line);
    let others = Others {
        imported: &imported,
        wrapped: Some(Wrapped {
            command: &command,
            line: &line,
        }),
        ..Others::default()
    };
    let judgement = judge(&kept.path, others)?;
    Ok(Judged::new(judgement, outcome.report))
}

/// What shows that a file was written: which one it is, how long, since when; `None` if there is
/// none.
fn stamp(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

/// Arguments as text.
fn spelt(command: &[OsString]) -> Vec<String> {
    let parts = command.iter();
    parts
        .map(|part| part.to_string_lossy().into_owned())
        .collect()
}

/// Least movement that the history tells, bytes: four pages, however high the peak. Looks are held
/// against the history, and what it leaves out explains nothing.
const QUANTUM_BYTES: u64 = 16 << 10;
/// So finely told it takes more room on its way out of the kernel.
const RING_BYTES: u32 = 16 << 20;

fn how() -> How {
    How {
        follow: true,
        duration: None,
        quantum_bytes: Some(QUANTUM_BYTES),
        programs_are_phases: false,
        tells_syscalls: false,
        counts_once: false,
        max_peak_bytes: None,
        fault_latency: false,
        self_stats: false,
        functions: Vec::new(),
        ring_bytes: Some(RING_BYTES),
        status_line: false,
        samplers: None,
    }
}

/// Samplers that wait for the command to begin.
struct Looks {
    watch: Watch<Sampler>,
    start: crate::sampler::Start,
    place: Option<Place>,
    judges_max_rss: bool,
}

impl Looks {
    /// Makes them, at this command that is held back.
    fn start(holder: &Holder, asked: &[Asked]) -> anyhow::Result<Self> {
        let asks = |of| asked.iter().any(|asked| asked.instrument == of);
        let place = asks(Instrument::Cgroup).then(|| Place::take(holder.pid));
        let place = match place {
            Some(None) => {
                anyhow::bail!("no memory cgroup can be read here. Leave `cgroup` out of --tools")
            }
            place => place.flatten(),
        };
        let pid = holder.pid.as_raw().unsigned_abs();
        let eyes = asked.iter().filter_map(|asked| {
            let sampler = Sampler::new(asked, pid, place.as_ref())?;
            Some((sampler, asked.every.unwrap_or(Duration::MAX)))
        });
        let (watch, start) =
            Watch::start(holder.pid, eyes.collect()).context("the samplers cannot be started")?;
        Ok(Self {
            watch,
            start,
            place,
            judges_max_rss: asks(Instrument::Rusage),
        })
    }

    /// Lets them look while the command is traced.
    fn beside(
        self,
        what: What,
        how: How,
        capture: Destination,
    ) -> Result<(Looked, Outcome), Failure> {
        let how = How {
            samplers: Some(self.start),
            ..how
        };
        let outcome = session::run(what, how, Some(capture))?;
        let looked = Looked {
            samplers: self.watch.finish(),
            place: self.place,
            judges_max_rss: self.judges_max_rss,
            costs: BTreeMap::new(),
        };
        Ok((looked, outcome))
    }
}

/// What each sampler costs the target.
fn costs(
    arguments: &JudgeArguments,
    pairs: u32,
    identity: Option<&Identity>,
) -> Result<BTreeMap<String, super::sampled::Cost>, Failure> {
    let looking = arguments.tools.iter().filter(|asked| asked.every.is_some());
    let costs = looking.map(|asked| {
        let cost = cost::of(asked, pairs, &arguments.command, identity)?;
        Ok((asked.name.clone(), cost))
    });
    costs.collect()
}
