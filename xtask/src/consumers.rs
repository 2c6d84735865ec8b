//! The consumers layer of the tests: exports opened by the tools that they are made for, and the
//! page in a browser. What these tools need beside themselves is set up under the target folder.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result};

use crate::{
    binaries::Summary,
    project::{self, Project},
};

/// What drives the browser, pinned.
const PLAYWRIGHT: (&str, &str) = ("playwright-core", "1.65.1");

/// Longest run of one script, seconds.
const LIMIT_SECONDS: &str = "300";

/// What the scripts said, and what was not tried.
#[derive(Default)]
pub(crate) struct Consumed {
    pub(crate) summary: Summary,
    /// Files with all that the scripts printed that failed.
    pub(crate) logs: Vec<PathBuf>,
    pub(crate) left_out: Vec<String>,
}

/// Runs the scripts. They trace with memtrace as it was built for the live tests, as root.
pub(crate) fn run(project: &Project) -> Result<Consumed> {
    let folder = project.target.join("consumers");
    let made = folder.join("made");
    // By us and not by a script that runs as root: so it can be emptied again.
    fs::create_dir_all(&made).with_context(|| format!("cannot make {}", made.display()))?;
    let page = made.join("run.html");
    if page.exists() {
        fs::remove_file(&page).context("cannot remove the page of an earlier run")?;
    }
    let mut consumed = Consumed::default();
    let requirements = project.root.join("scripts/exports_requirements.txt");
    match python(&requirements, &folder) {
        Ok(python) => {
            let mut exports = project::as_root("timeout")?;
            exports.args(["--kill-after=10", LIMIT_SECONDS]).arg(python);
            exports.arg(project.root.join("scripts/exports_test.py"));
            exports.arg(project.release("memtrace"));
            exports.arg("--keep").arg(&made);
            consumed.take(project, "exports", &mut exports)?;
        }
        Err(reason) => consumed.left_out.push(format!("the exports: {reason}")),
    }
    match browser(&folder) {
        Ok(_) if !page.exists() => {
            let reason = "the page: the test of the exports, which makes it, has not";
            consumed.left_out.push(reason.to_owned());
        }
        Ok(browser) => {
            let mut test = Command::new("timeout");
            test.args(["--kill-after=10", LIMIT_SECONDS, "node"])
                .arg(project.root.join("scripts/html_test.mjs"))
                .arg(&page)
                .env("CHROMIUM", browser)
                .env("NODE_PATH", folder.join("node_modules"));
            consumed.take(project, "page", &mut test)?;
        }
        Err(reason) => consumed.left_out.push(format!("the page: {reason}")),
    }
    let mut package = Command::new("python3");
    package
        .args(["-m", "unittest", "discover", "-s", "python", "-t", "python"])
        .current_dir(&project.root);
    consumed.take_whole(project, "python package", "python3", &mut package)?;
    let mut containers = project::as_root("timeout")?;
    containers
        .args(["--kill-after=10", LIMIT_SECONDS, "python3"])
        .arg(project.root.join("scripts/container_test.py"))
        .arg(project.release("memtrace"))
        .arg(project.release("pages"));
    match ["podman", "runc"]
        .into_iter()
        .find(|program| !is_there(program))
    {
        None => consumed.take(project, "containers", &mut containers)?,
        Some(program) => {
            let reason = format!("containers: needs {program}: apt-get install podman runc");
            consumed.left_out.push(reason);
        }
    }
    let mut header = Command::new("python3");
    header.arg(project.root.join("scripts/memtrace_mark_test.py"));
    consumed.take_whole(project, "C header", "g++", &mut header)?;
    Ok(consumed)
}

impl Consumed {
    /// Runs tests that say nothing that could be counted: they pass or fail as one. `needs` is the
    /// program without which they are left out.
    fn take_whole(
        &mut self,
        project: &Project,
        name: &str,
        needs: &str,
        tests: &mut Command,
    ) -> Result<()> {
        if !is_there(needs) {
            self.left_out.push(format!("the {name}: needs {needs}"));
            return Ok(());
        }
        let log = crate::test::log(project, &format!("consumers-{}", name.replace(' ', "-")))?;
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        tests
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let status = project::status(tests)?;
        let mut summary = Summary::default();
        if status.success() {
            summary.passed = 1;
        } else {
            summary.failed = 1;
            summary.failures.push(format!("{name}: {status}"));
            self.logs.push(log);
        }
        self.summary.add(summary);
        Ok(())
    }

    /// Runs a script and takes in what it says.
    fn take(&mut self, project: &Project, name: &str, script: &mut Command) -> Result<()> {
        let log = crate::test::log(project, &format!("consumers-{name}"))?;
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        script
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let status = project::status(script)?;
        let text = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        if self.read(name, &String::from_utf8_lossy(&text), status) {
            self.logs.push(log);
        }
        Ok(())
    }

    /// Reads what a script printed before it ended with `status`. True if it failed.
    fn read(&mut self, name: &str, text: &str, status: ExitStatus) -> bool {
        let mut summary = Summary::default();
        for line in text.lines() {
            if line.starts_with("ok ") {
                summary.passed += 1;
            } else if let Some(what) = line.strip_prefix("FAIL ") {
                summary.failures.push(format!("{name}: {what}"));
            } else if let Some(what) = line.strip_prefix("left out: ") {
                self.left_out.push(what.to_owned());
            }
        }
        let explained = summary.failures.is_empty() == status.success();
        let says_why = text.lines().any(|line| line.starts_with("left out: "));
        if !explained || (status.success() && summary.passed == 0 && !says_why) {
            let failure = format!("{name}: ended early ({status})");
            summary.failures.push(failure);
        }
        summary.failed = summary.failures.len() as u64;
        let failed = summary.failed > 0;
        self.summary.add(summary);
        failed
    }
}

/// Whether a program can be run.
fn is_there(program: &str) -> bool {
    let mut asked = Command::new(program);
    asked.arg("--version");
    asked.stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// A Python with the packages that a file lists, made in a folder, or why there is none.
pub(crate) fn python(requirements: &Path, folder: &Path) -> Result<PathBuf, String> {
    let wanted = fs::read(requirements).map_err(|error| error.to_string())?;
    let environment = folder.join("venv");
    let python = environment.join("bin/python");
    let installed = environment.join("requirements.txt");
    if fs::read(&installed).is_ok_and(|has| has == wanted)
        && finish(Command::new(&python).arg("--version")).is_ok()
    {
        return Ok(python);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&environment);
    finish(&mut make).map_err(|_| missing("python3-venv"))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    finish(install.arg(requirements))?;
    fs::copy(requirements, &installed).map_err(|error| error.to_string())?;
    Ok(python)
}

/// A browser and what drives it, or why there is none.
fn browser(folder: &Path) -> Result<PathBuf, String> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let found = names.into_iter().find_map(project::find_program);
    let browser = named.or(found).ok_or_else(|| missing("chromium"))?;
    for (program, package) in [("node", "nodejs"), ("npm", "npm")] {
        project::find_program(program).ok_or_else(|| missing(package))?;
    }
    let (name, version) = PLAYWRIGHT;
    let manifest = folder.join("node_modules").join(name).join("package.json");
    let has = fs::read(manifest).ok();
    let has = has.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    if has.is_none_or(|manifest| manifest["version"] != version) {
        let mut install = Command::new("npm");
        install.args(["install", "--silent", "--no-save", "--prefix"]);
        finish(install.arg(folder).arg(format!("{name}@{version}")))?;
    }
    Ok(browser)
}

fn missing(package: &str) -> String {
    format!("needs {package}: apt-get install {package}")
}

/// Runs a step of the set-up, or says what it said last.
fn finish(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().next_back().unwrap_or("without a word");
    Err(format!("{program} failed ({}): {last}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn read(text: &str, code: i32) -> Consumed {
        let mut consumed = Consumed::default();
        consumed.read("page", text, ExitStatus::from_raw(code << 8));
        consumed
    }

    #[test]
    fn what_a_script_says_is_counted() {
        let consumed = read("ok   a\nFAIL b\nleft out: c (d)\nok   e\n1 failed\n", 1);
        let summary = &consumed.summary;
        assert_eq!((summary.passed, summary.failed), (2, 1));
        assert_eq!(summary.failures, ["page: b"]);
        assert_eq!(consumed.left_out, ["c (d)"]);
    }

    #[test]
    fn a_script_that_breaks_off_has_failed() {
        for (text, code) in [("ok   a\n", 1), ("", 0), ("FAIL a\n", 0)] {
            assert!(read(text, code).summary.failed > 0, "{text:?} {code}");
        }
        assert_eq!(read("ok   a\nall well\n", 0).summary.failed, 0);
    }
}
