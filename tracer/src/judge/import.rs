//! What other tools wrote down of a run, read from their own files: a peak each, and the series
//! that it comes from where the file has one. It knows bytes and formats; not the run.
//!
//! A file is taken whole or not at all: the first line that cannot be understood ends it.

mod amount;
mod columns;
mod docker;
mod gnu_time;
mod memray;
mod mprof;
mod nextflow;
mod psrecord;
mod sacct;
mod snakemake;
mod table;
mod traceq;

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

pub use self::columns::Columns;

/// More than any of these files has, bytes; of a compressed one, what comes out.
const MOST_BYTES: u64 = 64 << 20;

/// Who wrote a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `mprof run`, its `.dat`.
    Mprof,
    /// `psrecord --log`, plain or CSV.
    Psrecord,
    /// TraceQ, its `.prof`.
    Traceq,
    /// `memray stats --json`.
    Memray,
    /// GNU `time`, with `-v` or without.
    Time,
    /// `docker stats --format json`.
    Docker,
    /// `sacct -P`.
    Sacct,
    /// A benchmark of snakemake.
    Snakemake,
    /// A trace of nextflow.
    Nextflow,
    /// Any table, with its columns named.
    Csv(Columns),
}

/// Names of origins, as they are typed.
const NAMES: [(&str, Origin); 9] = [
    ("mprof", Origin::Mprof),
    ("psrecord", Origin::Psrecord),
    ("traceq", Origin::Traceq),
    ("memray", Origin::Memray),
    ("time", Origin::Time),
    ("docker", Origin::Docker),
    ("sacct", Origin::Sacct),
    ("snakemake", Origin::Snakemake),
    ("nextflow", Origin::Nextflow),
];

/// A file to be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who wrote it; `None` = it shows.
    pub origin: Option<Origin>,
    /// The file.
    pub path: PathBuf,
}

impl std::str::FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("csv:") {
            let (columns, path) = rest.split_once(':').ok_or(
                "say the columns, then the file: csv:time=COLUMN,rss=COLUMN,unit=KiB:FILE",
            )?;
            return Ok(Self {
                origin: Some(Origin::Csv(columns.parse()?)),
                path: path.into(),
            });
        }
        let named = text.split_once('=').and_then(|(name, path)| {
            let (_, origin) = NAMES.iter().find(|(known, _)| *known == name)?;
            Some((origin.clone(), path))
        });
        let (origin, path) = match named {
            Some((origin, path)) => (Some(origin), path),
            None => (None, text),
        };
        if path.is_empty() {
            return Err("there is no file named".to_owned());
        }
        Ok(Self {
            origin,
            path: path.into(),
        })
    }
}

/// What a figure is of, as the tool itself has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Resident memory of a process or of a tree, looked at now and then.
    Polled,
    /// The kernel's own mark of the largest process waited for.
    MaxRss,
    /// What was asked of allocators.
    Heap,
    /// What a container is charged for, looked at now and then.
    Container,
}

/// What times count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// 1970, UTC.
    Unix,
    /// The kernel's start: `CLOCK_MONOTONIC`.
    Boot,
    /// The tool's own start.
    Own,
}

/// One figure of a tool, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The tool, and which of its figures.
    pub name: String,
    /// See [`Measure`].
    pub measure: Measure,
    /// The process that it is of, if the file names one; else it stands for the whole run.
    pub pid: Option<u32>,
    /// The highest, bytes.
    pub peak_bytes: u64,
    /// A step of the last digit that the tool prints, bytes.
    pub step_bytes: u64,
    /// How far apart the tool looks by its own account, nanoseconds.
    pub nominal_ns: Option<u64>,
    /// What the times of the samples count from.
    pub epoch: Epoch,
    /// Times in nanoseconds and bytes, in the order of the file; empty if it tells no times.
    pub samples: Vec<(i64, u64)>,
}

/// Why a file is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Line, from 1; `None` where the file has none, or where it is about the whole.
    pub line: Option<u64>,
    /// What is wrong there.
    pub reason: String,
}

impl Malformed {
    fn at(line: u64, reason: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            reason: reason.into(),
        }
    }

    fn whole(reason: impl Into<String>) -> Self {
        Self {
            line: None,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The system does not give it.
    #[error("{} cannot be read", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// It is too long for what it should be.
    #[error("{} is larger than {MOST_BYTES} bytes: no file of such a tool is", .0.display())]
    TooLarge(PathBuf),
    /// Nothing in it shows who wrote it.
    #[error(
        "{} shows no tool that memtrace knows. Name it: --import KIND={}, KIND being one of {}; or \
         name the columns of a CSV file: --import csv:time=COLUMN,rss=COLUMN,unit=KiB:{}",
        .0.display(), .0.display(), known(), .0.display()
    )]
    Unknown(PathBuf),
    /// It is not what such a tool writes.
    #[error("{} is no file of {}: {}", .0.display(), .1, .2)]
    Malformed(PathBuf, &'static str, Malformed),
}

fn known() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}

/// Reads a file: one figure for each thing that it tells of.
///
/// # Errors
///
/// If it cannot be read, or is not what it should be.
pub fn read(asked: &Asked) -> Result<Vec<Imported>, ImportError> {
    let path = || asked.path.clone();
    let bytes = bytes(&asked.path).map_err(|error| ImportError::Io(path(), error))?;
    let bytes = bytes.ok_or_else(|| ImportError::TooLarge(path()))?;
    let origin = asked.origin.clone().or_else(|| recognise(&bytes));
    let origin = origin.ok_or_else(|| ImportError::Unknown(path()))?;
    parse(&origin, &bytes).map_err(|error| ImportError::Malformed(path(), origin.tool(), error))
}

fn bytes(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MOST_BYTES).then_some(bytes))
}

impl Origin {
    /// The tool in a sentence.
    fn tool(&self) -> &'static str {
        match self {
            Self::Mprof => "mprof",
            Self::Psrecord => "psrecord",
            Self::Traceq => "TraceQ",
            Self::Memray => "memray stats --json",
            Self::Time => "GNU time",
            Self::Docker => "docker stats --format json",
            Self::Sacct => "sacct -P",
            Self::Snakemake => "a snakemake benchmark",
            Self::Nextflow => "a nextflow trace",
            Self::Csv(_) => "comma-separated values",
        }
    }
}

/// Whether a text shows who wrote it.
type Shows = fn(&str) -> bool;

/// Who wrote this; `None` if nothing shows it.
pub fn recognise(bytes: &[u8]) -> Option<Origin> {
    if bytes.starts_with(traceq::GZIP) {
        return Some(Origin::Traceq);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let known: [(Origin, Shows); 8] = [
        (Origin::Mprof, mprof::is_it),
        (Origin::Psrecord, psrecord::is_it),
        (Origin::Sacct, sacct::is_it),
        (Origin::Snakemake, snakemake::is_it),
        (Origin::Nextflow, nextflow::is_it),
        (Origin::Docker, docker::is_it),
        (Origin::Memray, memray::is_it),
        // Last: its lines may stand behind anything that the program printed.
        (Origin::Time, gnu_time::is_it),
    ];
    let mut found = known.into_iter().filter(|(_, is_it)| is_it(text));
    found.next().map(|(origin, _)| origin)
}

/// Reads what such a tool wrote.
///
/// # Errors
///
/// With the first line that is not what it writes, or if there is no figure in all of it.
pub fn parse(origin: &Origin, bytes: &[u8]) -> Result<Vec<Imported>, Malformed> {
    let of_text: fn(&str) -> Result<Vec<Imported>, Malformed> = match origin {
        Origin::Traceq => return traceq::parse(bytes),
        Origin::Csv(columns) => return columns.parse(text(bytes)?),
        Origin::Mprof => mprof::parse,
        Origin::Psrecord => psrecord::parse,
        Origin::Memray => memray::parse,
        Origin::Time => gnu_time::parse,
        Origin::Docker => docker::parse,
        Origin::Sacct => sacct::parse,
        Origin::Snakemake => snakemake::parse,
        Origin::Nextflow => nextflow::parse,
    };
    of_text(text(bytes)?)
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64;
        Malformed::at(line, "it is no text (UTF-8)")
    })
}

/// Lines with something in them, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (u64, &str)> {
    let lines = (1..).zip(text.lines());
    lines.filter(|(_, line)| !line.trim().is_empty())
}
