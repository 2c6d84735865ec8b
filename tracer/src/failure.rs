//! How memtrace itself ends when it cannot do its job: one line, and the exit code that says so.

use std::process::ExitCode;

use crate::command::holder::StartError;

/// Exit codes of memtrace's own; every other is the command's.
pub mod code {
    /// The budget of `--max-peak` was exceeded.
    pub const OVER_BUDGET: u8 = 100;
    /// memtrace failed.
    pub const FAILED: u8 = 125;
    /// The command cannot be executed.
    pub const NOT_EXECUTABLE: u8 = 126;
    /// The command was not found.
    pub const NOT_FOUND: u8 = 127;
    /// The arguments make no sense.
    pub const USAGE: u8 = 2;
}

/// A failure that the user is told of.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// What is wrong and what to do.
    pub error: anyhow::Error,
}

impl Failure {
    /// The arguments make no sense.
    pub fn usage(text: impl Into<String>) -> Self {
        Self {
            code: code::USAGE,
            error: anyhow::anyhow!(text.into()),
        }
    }

    /// Tells the user, in one line.
    pub fn tell(&self) -> ExitCode {
        eprintln!("memtrace: {}", self.line());
        ExitCode::from(self.code)
    }

    /// The whole chain of reasons in one line. Some libraries' errors repeat their cause in their
    /// own words; it is said once.
    fn line(&self) -> String {
        let mut reasons: Vec<String> = Vec::new();
        for reason in self.error.chain() {
            let words: Vec<String> = reason
                .to_string()
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            let reason = words.join(" ");
            if !reasons.last().is_some_and(|last| last.contains(&reason)) {
                reasons.push(reason);
            }
        }
        reasons.join(": ")
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            code: code::FAILED,
            error,
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let code = match error {
            StartError::NotFound { .. } => code::NOT_FOUND,
            StartError::NotExecutable { .. } => code::NOT_EXECUTABLE,
            _ => code::FAILED,
        };
        Self {
            code,
            error: error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_failure_is_one_line_that_says_each_reason_once() {
        let failed: anyhow::Result<()> = Err(anyhow::anyhow!("no\nroom"))
            .context("it failed: no room")
            .context("not today");
        let failure = Failure::from(failed.unwrap_err());
        assert_eq!(failure.line(), "not today: it failed: no room");
        assert_eq!(failure.code, code::FAILED);
    }
}
