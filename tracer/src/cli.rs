//! The command line: what was typed, checked for sense. Touches nothing.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{ColorChoice, Parser, Subcommand};

use crate::{failure::Failure, units};

const EXAMPLES: &str = "\
Examples:
  memtrace -- python3 train.py          exact peak of a command and its tree
  memtrace --json run.json -- make -j8  the same, with a report for programs
  memtrace --pid 4711 --duration 30s    what a running process does for 30 s
  memtrace --max-peak 2GiB -- ./job     exit code 100 if it needs more
  memtrace check                        what this kernel and user allow

The report goes to stderr, so that the command's output stays its own. The exit
code is the command's (128+n for signal n). memtrace's own: 100 over --max-peak,
125 memtrace failed, 126 cannot execute, 127 command not found, 2 usage.";

/// The exact peak memory of a command, a process tree or a PID, without a sampling gap.
#[derive(Debug, Parser)]
#[command(
    name = "memtrace",
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    max_term_width = 100,
    override_usage = "memtrace [OPTIONS] -- CMD [ARG...]\n       memtrace [OPTIONS] --pid PID[,PID...]\n       memtrace check"
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
        conflicts_with = "command"
    )]
    pub pid: Vec<u32>,
    /// Leave descendants out
    #[arg(long)]
    pub no_follow: bool,
    /// Report after this time (500ms, 10s, 2m); a command runs on to its end
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Exit with 100 if the peak is larger and the command succeeded
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_peak: Option<u64>,
    /// Write the report as JSON to a file (- for stdout)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Least movement that the timeline tells; 0 = every change [default: the larger of 64KiB and
    /// 1/1024 of the peak]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub quantum: Option<u64>,
    /// Run the command as this user [default: whoever called sudo]
    #[arg(long, value_name = "USER", conflicts_with = "pid")]
    pub user: Option<String>,
    /// No report on stderr
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
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Action {
    /// Tell what this kernel and user allow, and what to do about what is missing
    Check,
}

impl Arguments {
    /// Checks what the parser cannot.
    ///
    /// # Errors
    ///
    /// A usage [`Failure`] if there is nothing to trace.
    pub fn validate(&self) -> Result<(), Failure> {
        if self.action.is_none() && self.pid.is_empty() && self.command.is_empty() {
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

fn size(text: &str) -> Result<u64, String> {
    units::parse_bytes(text).map_err(|error| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

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
    fn nothing_to_trace_is_a_usage_error() {
        let failure = Arguments::try_parse_from(["memtrace"])
            .unwrap()
            .validate()
            .unwrap_err();
        assert_eq!(failure.code, crate::failure::code::USAGE);
    }
}
