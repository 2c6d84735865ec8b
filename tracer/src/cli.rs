//! The command line: what was typed, checked for sense. Touches nothing.

mod judge;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Args, ColorChoice, CommandFactory, Parser, Subcommand, ValueEnum,
    builder::NonEmptyStringValueParser,
    error::{ContextKind, ContextValue, ErrorKind},
};

pub use self::judge::JudgeArguments;
use crate::{
    failure::Failure,
    functions::Wanted,
    host,
    render::Format,
    units::{self, Bytes},
};

const EXAMPLES: &str = "\
Examples:
  memtrace -- python3 train.py          exact peak of a command and its tree
  memtrace --json run.json -- make -j8  the same, with a report for programs
  memtrace --html run.html -- make -j8  the same, with a page of charts
  memtrace --pid 4711 --duration 30s    what a running process does for 30 s
  memtrace --container web              a container, until it ends
  memtrace --pod shop/web-0 --wait      a pod of Kubernetes, not there yet
  memtrace --max-peak 2GiB -- ./job     exit code 100 if it needs more
  memtrace -o run.mtr -- ./job          keep all that happened in a capture
  memtrace report run.mtr               the same report again, from the capture
  memtrace mark build; make; memtrace mark --end     phases, in a traced script
  memtrace --phase-fn solve -- ./job    the peak of each call of a function
  memtrace judge run.mtr                what tools that sample would have said
  memtrace judge --tools psutil -- ./job    and what one does say
  memtrace check                        what this kernel and user allow
  memtrace --unprivileged -- ./job      where it is not allowed: not exact

The report goes to stderr, so that the command's output stays its own; --json -
and --export FMT=- write to stdout. The exit code is the command's (128+n for
signal n). memtrace's own: 100 over --max-peak, 125 memtrace failed, 126 cannot
execute, 127 command not found, 2 usage.";

/// The exact peak memory of a command, a process tree or a PID, without a sampling gap.
#[derive(Debug, Parser)]
#[command(
    name = "memtrace",
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    max_term_width = 100,
    override_usage = "memtrace [OPTIONS] -- CMD [ARG...]\n       memtrace [OPTIONS] --pid PID[,PID...]\n       memtrace [OPTIONS] --cgroup PATH | --container NAME | --pod NS/NAME\n       memtrace report FILE\n       memtrace judge FILE | --tools LIST -- CMD\n       memtrace check"
)]
pub struct Arguments {
    /// What else to do.
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Attach to running processes and their descendants
    #[arg(
        short,
        long,
        value_name = "PID",
        value_delimiter = ',',
        value_parser = pid,
        conflicts_with = "command"
    )]
    pub pid: Vec<u32>,
    /// Trace all that runs in a cgroup and below it, now and later, until it is empty
    #[arg(
        long,
        value_name = "PATH",
        value_parser = NonEmptyStringValueParser::new(),
        conflicts_with_all = ["command", "pid", "container"]
    )]
    pub cgroup: Option<String>,
    /// Trace a container, by name or id (docker, podman, nerdctl, crictl)
    #[arg(
        long,
        value_name = "NAME",
        value_parser = NonEmptyStringValueParser::new(),
        conflicts_with_all = ["command", "pid"]
    )]
    pub container: Option<String>,
    /// Trace a pod of Kubernetes on this machine, all its containers, by name or UID
    #[arg(long, value_name = "NAMESPACE/NAME", conflicts_with_all = ["command", "pid", "cgroup", "container"])]
    pub pod: Option<String>,
    /// Wait for a cgroup, container or pod that is not there yet
    #[arg(long)]
    pub wait: bool,
    /// Without capabilities and without hooks: look at /proc now and then. Not exact
    #[arg(long, conflicts_with_all = [
        "pid", "cgroup", "container", "pod", "count_once", "wait", "no_follow", "duration", "capture", "quantum", "phase_fn",
        "phase_exec", "syscalls", "fault_latency", "self_stats", "ring",
    ])]
    pub unprivileged: bool,
    /// How often --unprivileged looks [default: 10ms]
    #[arg(long, value_name = "TIME", value_parser = every, requires = "unprivileged")]
    pub every: Option<Duration>,
    /// Leave descendants out
    #[arg(long)]
    pub no_follow: bool,
    /// Report after this time (500ms, 10s, 2m); a command runs on to its end
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Exit with 100 if the peak is larger and the command succeeded. It is the sum over the
    /// processes: what they share counts for each. Sizes: 512MiB or 512M, 500MB (decimal), bytes
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_peak: Option<u64>,
    /// Copies of the report.
    #[command(flatten)]
    pub copies: CopiesAsked,
    /// Capture all that happens to a file, for memtrace report
    #[arg(short = 'o', long, value_name = "FILE")]
    pub capture: Option<PathBuf>,
    /// Least movement that the timeline tells; 0 = every change [default: the larger of 64KiB and
    /// 1/256 of the peak]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub quantum: Option<u64>,
    /// Make a function a phase, from entry to return; may be given again
    #[arg(long, value_name = "[BINARY:]FUNCTION[=NAME]")]
    pub phase_fn: Vec<Wanted>,
    /// Make each program that the target executes a phase
    #[arg(long)]
    pub phase_exec: bool,
    /// Tell the system calls that change memory by name, in the JSON report; refused ones in the
    /// text too. Each system call of every process on the machine takes some 35 ns longer meanwhile
    #[arg(long)]
    pub syscalls: bool,
    /// Tell how long page faults took. Each fault of every process on the machine takes a little longer
    /// meanwhile
    #[arg(long)]
    pub fault_latency: bool,
    /// Tell how often memtrace's own programs ran and how long they took. Each run of any BPF program on
    /// the machine takes some 20 ns longer meanwhile
    #[arg(long)]
    pub self_stats: bool,
    /// Tell memory that processes share counted once, too: PSS, read now and then near the peak. A
    /// process that ends while it is read gives its memory back some milliseconds later
    #[arg(long)]
    pub count_once: bool,
    /// Size of the history's way out of the kernel: a power of two. What does not fit is lost, and
    /// counted; no peak depends on it [default: 4MiB]
    #[arg(long, value_name = "SIZE", value_parser = ring)]
    pub ring: Option<u32>,
    /// Run the command as this user [default: whoever called sudo]
    #[arg(long, value_name = "USER", conflicts_with = "pid")]
    pub user: Option<String>,
    /// Neither report nor status line on stderr
    #[arg(short, long)]
    pub quiet: bool,
    /// Colour of the report
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    /// Command to run and trace
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Actions that trace nothing.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Tell what this kernel and user allow, and what to do about what is missing
    Check(CheckArguments),
    /// Write the report of a capture to stdout
    Report(ReportArguments),
    /// Tell how wrong tools that sample are, from a capture or beside a command
    Judge(JudgeArguments),
    /// Mark a phase of the whole target, from a script that runs inside it
    Mark(MarkArguments),
}

/// What to tell of this kernel.
#[derive(Clone, Debug, Args)]
pub struct CheckArguments {
    /// Write what is known of this kernel as JSON instead: with a problem's description, it lets
    /// others see which hooks are chosen and why
    #[arg(long)]
    pub facts: bool,
}

/// What to mark.
#[derive(Clone, Debug, Args)]
pub struct MarkArguments {
    /// End the phase of this name, or without one the last that began
    #[arg(long)]
    pub end: bool,
    /// Name of the phase
    #[arg(value_name = "NAME", required_unless_present = "end", value_parser = NonEmptyStringValueParser::new())]
    pub name: Option<String>,
}

/// What to report, and how.
#[derive(Clone, Debug, Args)]
pub struct ReportArguments {
    /// Capture, as memtrace -o FILE left it
    #[arg(value_name = "FILE")]
    pub capture: PathBuf,
    /// Copies of the report.
    #[command(flatten)]
    pub copies: CopiesAsked,
    /// Colour of the report
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

/// What the report is written as, and what else it is written to.
#[derive(Clone, Debug, Args)]
pub struct CopiesAsked {
    /// What the report is written as [default: text]
    #[arg(long, value_name = "FMT", value_enum)]
    pub format: Option<Format>,
    /// Write the report as JSON to a file too (- for stdout)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write it as a page with charts too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write it in any format too: csv=run.csv, perfetto=run.pftrace; may be given again
    #[arg(long, value_name = "FMT=FILE", value_parser = export)]
    pub export: Vec<(Format, PathBuf)>,
}

impl Arguments {
    /// Reads the command line, or ends the program with what is wrong with it.
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| with_tip(error).exit())
    }

    /// Checks what the parser cannot.
    ///
    /// # Errors
    ///
    /// A usage [`Failure`] if there is nothing to trace.
    pub fn validate(&self) -> Result<(), Failure> {
        let no_cgroup = self.cgroup.is_none() && self.container.is_none() && self.pod.is_none();
        if self.wait && no_cgroup {
            return Err(Failure::usage(
                "--wait waits for a cgroup, a container or a pod: name it with --cgroup, \
                 --container or --pod",
            ));
        }
        let none = self.pid.is_empty() && self.command.is_empty() && no_cgroup;
        if self.action.is_none() && none {
            return Err(Failure::usage(
                "nothing to trace. Say what: memtrace -- CMD [ARG...], or memtrace --pid PID \
                 (memtrace --help tells more)",
            ));
        }
        if self.pid.contains(&0) {
            return Err(Failure::usage("0 is not the PID of a process"));
        }
        Ok(())
    }
}

/// A word where an option should be is most often a command without the two dashes before it.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let usage = error.get(ContextKind::Usage).map(ToString::to_string);
    let is_of_action = usage.is_none_or(|usage| !usage.contains(" -- CMD"));
    if error.kind() != ErrorKind::UnknownArgument || is_of_action {
        return error;
    }
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg)
        && !word.starts_with('-')
    {
        let arguments = Arguments::command();
        let names = arguments.get_subcommands().map(clap::Command::get_name);
        let nearest = names
            .map(|name| (strsim::jaro_winkler(name, word), name))
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .filter(|(likeness, _)| *likeness > 0.8);
        let meant = nearest.map(|(_, name)| format!("if you mean an action: memtrace {name}"));
        let tip = format!("a command goes behind two dashes: memtrace -- {word}");
        let tips = meant.into_iter().chain([tip]).map(Into::into).collect();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

fn pid(text: &str) -> Result<u32, String> {
    let pid = text.parse();
    pid.map_err(|_| "a PID is a number; pgrep NAME finds that of a program".to_owned())
}

fn export(text: &str) -> Result<(Format, PathBuf), String> {
    let known = Format::value_variants().iter();
    let known: Vec<_> = known.filter_map(ValueEnum::to_possible_value).collect();
    let (format, path) = text
        .split_once('=')
        .filter(|(_, path)| !path.is_empty())
        .ok_or_else(|| "say a format and a file, like csv=run.csv".to_owned())?;
    let format = Format::from_str(format, false).map_err(|_| {
        let names: Vec<_> = known.iter().map(|value| value.get_name()).collect();
        format!("`{format}` is no format; there are {}", names.join(", "))
    })?;
    Ok((format, path.into()))
}

fn size(text: &str) -> Result<u64, String> {
    units::parse_bytes(text).map_err(|error| error.to_string())
}

fn ring(text: &str) -> Result<u32, String> {
    const MOST: u32 = 1 << 31;
    let least = host::page_bytes();
    u32::try_from(size(text)?)
        .ok()
        .filter(|bytes| bytes.is_power_of_two() && u64::from(*bytes) >= least)
        .ok_or_else(|| {
            format!(
                "it must be a power of two from {} to {}, like 64MiB",
                Bytes(least.cast_signed()),
                Bytes(MOST.into()),
            )
        })
}

fn every(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_millis(1);
    const MOST: Duration = Duration::from_secs(3600);
    let every = duration(text)?;
    if (LEAST..=MOST).contains(&every) {
        Ok(every)
    } else {
        Err("it must be from 1ms to 60m".to_owned())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_follows_two_dashes_is_the_command() {
        let arguments =
            Arguments::try_parse_from(["memtrace", "-q", "--", "sh", "-c", "exit 3"]).unwrap();
        assert_eq!(arguments.command, ["sh", "-c", "exit 3"]);
        assert!(arguments.quiet);
    }

    #[test]
    fn a_command_without_dashes_is_told_where_it_goes() {
        let said = |arguments: &[&str]| {
            let parsed = Arguments::try_parse_from(arguments);
            with_tip(parsed.unwrap_err()).to_string()
        };
        let text = said(&["memtrace", "--quiet", "make", "-j8"]);
        assert!(text.contains("two dashes: memtrace -- make"), "{text}");
        for other in [["memtrace", "--qiet", "x"], ["memtrace", "check", "x"]] {
            let text = said(&other);
            assert!(!text.contains("two dashes"), "{text}");
        }
    }

    #[test]
    fn copies_are_named_by_format_and_file() {
        let parse = |export| Arguments::try_parse_from(["memtrace", "--export", export, "--", "x"]);
        let arguments = parse("folded-time=a=b").unwrap();
        assert_eq!(
            arguments.copies.export,
            [(Format::FoldedTime, PathBuf::from("a=b"))]
        );
        for wrong in ["csv", "csv=", "xls=a"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_ring_is_a_power_of_two_of_whole_pages() {
        let ring = |size| {
            Arguments::try_parse_from(["memtrace", "--ring", size, "--", "x"])
                .map(|arguments| arguments.ring)
                .map_err(|error| error.to_string())
        };
        assert_eq!(ring("64KiB"), Ok(Some(64 << 10)));
        assert_eq!(ring("2GiB"), Ok(Some(1 << 31)));
        for wrong in ["0", "2KiB", "12KiB", "5MB", "4GiB"] {
            let said = ring(wrong).unwrap_err();
            assert!(said.contains("a power of two from 4KiB to 2GiB"), "{said}");
        }
    }

    #[test]
    fn nothing_to_trace_is_a_usage_error() {
        let failure = Arguments::try_parse_from(["memtrace"])
            .unwrap()
            .validate()
            .unwrap_err();
        assert_eq!(failure.code, crate::failure::code::USAGE);
    }
}
