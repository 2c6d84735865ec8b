//! What was typed behind `memtrace judge`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ColorChoice};

use crate::{
    failure::Failure,
    judge::{import::Asked, wrap::Wrap},
    render::JudgeFormat,
    sampler,
};

const JUDGE_EXAMPLES: &str = "\
Examples:
  memtrace judge --tools psutil@100ms,rusage -- ./job
                                          tools beside the exact run
  memtrace judge --tools psutil --cost 10 -- ./job
                                          and their cost, from 20 more runs
  memtrace judge --wrap 'psrecord \"{}\" --log p.txt' --import p.txt -- ./job
                                          a real tool around the command
  memtrace judge --wrap 'time -v -o t.txt {}' --import t.txt -- ./job
                                          one that takes the command's words
  memtrace -o run.mtr -- ./job            or first the exact run
  memtrace judge run.mtr                  what pollers of any interval would say
  memtrace judge --format json run.mtr    the same for programs
  memtrace judge --import mprof.dat run.mtr
                                          and what mprof said of the same run
  memtrace judge --import csv:time=t,rss=mem,unit=MiB:my.csv run.mtr
                                          any table, with its columns named

Tools, with how often they look unless told otherwise (psutil@500ms):
  psutil@100ms  RSS of the process and its children, summed
  statm@10ms    RSS of the process alone, from /proc/PID/statm
  ps@1s         the same as ps -o rss has it
  mprof@100ms   the same as mprof run has it
  smaps@1s      RSS and PSS of the process and its descendants, summed
  vmhwm@100ms   VmHWM of the process
  cgroup@1s     usage and peak of its memory cgroup, and docker stats
  rusage        ru_maxrss, as time -v and resource have it";

/// What to judge.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = JUDGE_EXAMPLES,
    override_usage = "memtrace judge [OPTIONS] FILE\n       memtrace judge [OPTIONS] --tools LIST -- CMD [ARG...]\n       memtrace judge [OPTIONS] --wrap 'TOOL {}' -- CMD [ARG...]"
)]
pub struct JudgeArguments {
    /// Capture, as memtrace -o FILE left it
    #[arg(value_name = "FILE", conflicts_with_all = ["command", "tools", "cost", "wrap", "capture", "user"])]
    pub file: Option<PathBuf>,
    /// Run a command with these samplers beside the exact trace
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "command")]
    pub tools: Vec<sampler::asked::Asked>,
    /// Tell what each sampler costs the command, from so many pairs of runs with and without it
    #[arg(long, value_name = "PAIRS", requires = "tools", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub cost: Option<u32>,
    /// Let a real tool run the command, which goes where {} stands: bare for its words, in quotes
    /// for a tool that takes it as one text. Only the command counts, and the exit code is the
    /// tool's. --import names the file that the tool writes
    #[arg(
        long,
        value_name = "'TOOL {}'",
        requires = "command",
        conflicts_with = "tools"
    )]
    pub wrap: Option<Wrap>,
    /// Hold a file of another tool against the run too: mprof, psrecord, traceq, memray (stats
    /// --json), time, docker (stats --format json), sacct (-P), snakemake, nextflow, or csv: with
    /// its columns; may be given again
    #[arg(long, value_name = "[KIND=]FILE")]
    pub import: Vec<Asked>,
    /// Keep the capture of the command
    #[arg(short = 'o', long, value_name = "FILE", requires = "command")]
    pub capture: Option<PathBuf>,
    /// Run the command as this user [default: whoever called sudo]
    #[arg(long, value_name = "USER", requires = "command")]
    pub user: Option<String>,
    /// What the judgement is written as
    #[arg(long, value_name = "FMT", value_enum, default_value = "text")]
    pub format: JudgeFormat,
    /// Write the judgement as JSON to a file too (- for stdout)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the page of the run with charts, the judgement among them
    #[arg(long, value_name = "FILE", conflicts_with = "wrap")]
    pub html: Option<PathBuf>,
    /// Colour of the judgement
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    /// Command to run and judge
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

impl JudgeArguments {
    /// Checks what the parser cannot, of a command that is to be run.
    ///
    /// # Errors
    ///
    /// A usage [`Failure`] if there is nothing to judge, or nothing to judge it by.
    pub fn validate(&self) -> Result<(), Failure> {
        if self.command.is_empty() {
            return Err(Failure::usage(
                "nothing to judge. Name a capture: memtrace judge FILE; or a command: memtrace \
                 judge --tools psutil@100ms,rusage -- CMD (memtrace judge --help tells more)",
            ));
        }
        if self.wrap.is_some() {
            return Ok(());
        }
        if self.tools.is_empty() {
            return Err(Failure::usage(
                "nothing to judge the command by. Name tools: --tools psutil@100ms,rusage; or one \
                 that runs it: --wrap 'mprof run {}' (memtrace judge --help has all)",
            ));
        }
        let is_again = |(i, asked): (usize, &sampler::asked::Asked)| {
            self.tools[..i].iter().any(|other| other.name == asked.name)
        };
        if let Some((_, again)) = self.tools.iter().enumerate().find(|tool| is_again(*tool)) {
            return Err(Failure::usage(format!(
                "{} is named twice in --tools",
                again.name
            )));
        }
        if !self.import.is_empty() {
            return Err(Failure::usage(
                "--import holds a file against a capture (memtrace judge --import FILE run.mtr), or \
                 is written by the tool of --wrap",
            ));
        }
        Ok(())
    }
}
