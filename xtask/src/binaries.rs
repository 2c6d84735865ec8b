//! Test binaries: built by cargo, run one by one, their summary read.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::project;

/// Longest run of one test binary, seconds. One that hangs must not hang the whole run.
pub(crate) const LIMIT_SECONDS: u32 = 900;

/// A test binary.
#[derive(Clone)]
pub(crate) struct Binary {
    /// Folder of its package.
    pub(crate) package: PathBuf,
    /// Name of the target: a file of `tests/`, or the crate itself.
    pub(crate) name: String,
    /// Whether it is an integration test, not the unit tests of a crate.
    pub(crate) integration: bool,
    pub(crate) executable: PathBuf,
}

/// What test binaries said of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// One description of each failure.
    pub(crate) failures: Vec<String>,
}

impl Summary {
    /// Adds another binary's.
    pub(crate) fn add(&mut self, other: Summary) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.failures.extend(other.failures);
    }

    /// Reads what libtest printed before the program ended with `status`.
    pub(crate) fn read(name: &str, text: &str, status: ExitStatus) -> Self {
        let mut summary = Self::default();
        let mut ended = false;
        for line in text.lines() {
            if let Some(counts) = line.strip_prefix("test result: ") {
                ended = true;
                for part in counts.split([';', '.']) {
                    let mut words = part.split_whitespace();
                    let (Some(count), Some(what)) = (words.next(), words.next()) else {
                        continue;
                    };
                    let Ok(count) = count.parse::<u64>() else {
                        continue;
                    };
                    match what {
                        "passed" => summary.passed += count,
                        "failed" => summary.failed += count,
                        "ignored" => summary.ignored += count,
                        _ => {}
                    }
                }
            }
            let result = line
                .strip_prefix("test ")
                .and_then(|rest| rest.rsplit_once(" ... "));
            if let Some((test, "FAILED")) = result {
                summary.failures.push(format!("{name}: {test}"));
            }
        }
        if status.success() && ended {
            return summary;
        }
        // Tests that failed explain the exit code; anything else is a failure of its own.
        if !ended || summary.failed == 0 {
            summary.failed += 1;
            let how = match status.code() {
                Some(124 | 137) => format!("stopped after {LIMIT_SECONDS} s"),
                _ => status.to_string(),
            };
            summary
                .failures
                .push(format!("{name}: ended early ({how})"));
        }
        summary
    }
}

/// Builds the test binaries that `args` of `cargo test` choose.
pub(crate) fn build(cargo: Command, args: &[&str]) -> Result<Vec<Binary>> {
    let mut cargo = cargo;
    cargo
        .arg("test")
        .args(args)
        .args(["--no-run", "--quiet", "--message-format", "json"]);
    let output = cargo
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<Value> = text
        .lines()
        .filter_map(|l| serde_json::from_str(l).ok())
        .collect();
    if !output.status.success() {
        for message in &messages {
            if let Some(text) = message["message"]["rendered"].as_str() {
                eprint!("{text}");
            }
        }
        bail!("the tests do not build");
    }
    let mut binaries: Vec<_> = messages.iter().filter_map(binary).collect();
    // Cargo tells them in the order in which they got ready.
    binaries.sort_by(|a, b| (&a.package, &a.name).cmp(&(&b.package, &b.name)));
    Ok(binaries)
}

fn binary(message: &Value) -> Option<Binary> {
    // A crate's plain binaries are built too; only a test's profile says that it is one.
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    Some(Binary {
        package: Path::new(message["manifest_path"].as_str()?)
            .parent()?
            .to_owned(),
        name: message["target"]["name"].as_str()?.to_owned(),
        integration: message["target"]["kind"][0] == "test",
        executable: message["executable"].as_str()?.into(),
    })
}

/// How to run a test binary.
#[derive(Default)]
pub(crate) struct Terms<'a> {
    /// Through sudo, where we are not root.
    pub(crate) as_root: bool,
    /// Arguments of libtest.
    pub(crate) args: &'a [&'a str],
    /// Environment beside ours.
    pub(crate) env: &'a [(&'a str, OsString)],
}

/// Runs `binary`, with what it prints going to `log`. Returns that text and the status.
pub(crate) fn run(binary: &Binary, terms: &Terms, log: &Path) -> Result<(String, ExitStatus)> {
    let mut command = if terms.as_root {
        project::as_root("timeout")?
    } else {
        Command::new("timeout")
    };
    command.args([
        "--foreground",
        "--kill-after=10",
        &LIMIT_SECONDS.to_string(),
    ]);
    command
        .arg(&binary.executable)
        .args(terms.args)
        .current_dir(&binary.package);
    // What `cargo test` would have set, for tests that look for their own files.
    command
        .env("CARGO_MANIFEST_DIR", &binary.package)
        .env("RUST_BACKTRACE", "0");
    command.envs(terms.env.iter().map(|(name, value)| (name, value)));
    // A file, not a pipe: a workload that outlives its test would hold the pipe open.
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let status = project::status(&mut command)?;
    let text = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok((String::from_utf8_lossy(&text).into_owned(), status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    const TEXT: &str = "running 3 tests\ntest a ... ok\ntest m::b ... FAILED\ntest c ... ignored\n\
         \ntest result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; \
         finished in 0.01s\n";

    #[test]
    fn counts_and_names_are_read() {
        let summary = Summary::read("live", TEXT, ExitStatus::from_raw(101 << 8));
        assert_eq!((summary.passed, summary.failed, summary.ignored), (1, 1, 1));
        assert_eq!(summary.failures, ["live: m::b"]);
    }

    #[test]
    fn a_binary_that_dies_has_failed() {
        let cut = TEXT.split("\ntest result").next().expect("a first part");
        assert_eq!(
            Summary::read("live", cut, ExitStatus::from_raw(11)).failed,
            1
        );
        assert_eq!(Summary::read("live", "", ExitStatus::from_raw(0)).failed, 1);
        let good = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n";
        let summary = Summary::read("live", good, ExitStatus::from_raw(0));
        assert_eq!((summary.passed, summary.failed), (2, 0));
        assert_eq!(
            Summary::read("live", good, ExitStatus::from_raw(1 << 8)).failed,
            1
        );
    }
}
