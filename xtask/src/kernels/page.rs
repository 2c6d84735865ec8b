//! What became of each boot, as lines on the terminal and as docs/kernels.md. Knows how
//! `memtrace check` puts its words.

use std::{collections::BTreeSet, fmt::Write as _, fs, time::Duration};

use anyhow::{Context, Result};

use super::{cpus, guest::Shape, matrix::LEFT_OUT};
use crate::project::Project;

/// How one file of tests went.
pub(crate) struct Passed {
    pub(crate) file: String,
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// By the guest's clock; `None` if the guest died.
    pub(crate) seconds: Option<f64>,
}

/// One boot.
pub(crate) struct Row {
    series: &'static str,
    package: String,
    shape: Shape,
    /// What serves which subject, as memtrace names them.
    hooks: Vec<(String, Vec<String>)>,
    doubts: Vec<String>,
    bound: String,
    pub(crate) refusal: Option<String>,
    pub(crate) passed: Vec<Passed>,
    pub(crate) failures: Vec<String>,
    /// Files with all that was printed by what failed.
    pub(crate) logs: Vec<String>,
}

impl Row {
    pub(crate) fn new(series: &'static str, package: &str, shape: Shape) -> Self {
        Self {
            series,
            package: package.to_owned(),
            shape,
            hooks: vec![],
            doubts: vec![],
            bound: String::new(),
            refusal: None,
            passed: vec![],
            failures: vec![],
            logs: vec![],
        }
    }

    pub(crate) fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Reads what `memtrace check` said in the guest.
    pub(crate) fn take_check(&mut self, text: &str) {
        for entry in entries(text) {
            if let Some((subject, hook)) = hook(&entry) {
                match self.hooks.iter_mut().find(|(known, _)| known == subject) {
                    Some((_, hooks)) => hooks.push(hook.to_owned()),
                    None => (self.hooks).push((subject.to_owned(), vec![hook.to_owned()])),
                }
            } else if let Some(doubt) = entry.strip_prefix("doubt: ") {
                self.doubts.push(doubt.to_owned());
            } else if let Some(bound) = entry.strip_prefix("error bound: ") {
                let first = bound.split('.').next().unwrap_or(bound);
                first.clone_into(&mut self.bound);
            }
        }
    }

    /// One line, and one for each failure.
    pub(crate) fn print(&self, took: Duration) {
        let passed: u64 = self.passed.iter().map(|file| file.passed).sum();
        let failed: u64 = self.passed.iter().map(|file| file.failed).sum();
        let mut line = format!("{:<10} {:>6} CPUs", self.series, cpus(self.shape));
        if self.refusal.is_some() {
            line += ", refused as it must be";
        } else {
            let _ = write!(line, "{passed:>4} passed");
        }
        if failed > 0 {
            let _ = write!(line, ", {failed} FAILED");
        }
        println!("{line}, {:.0} s ({})", took.as_secs_f64(), self.package);
        for file in &self.passed {
            let took = file.seconds.unwrap_or(f64::NAN);
            println!(
                "        {:<12} {:>3} passed, {took:.1} s",
                file.file, file.passed
            );
        }
        for failure in &self.failures {
            println!("  failed: {failure}");
        }
        for log in &self.logs {
            println!("  all it printed: {log}");
        }
    }

    fn results(&self) -> String {
        let count = |file: &Passed| {
            let all = file.passed + file.failed;
            format!("{} {}/{all}", file.file, file.passed)
        };
        let files: Vec<_> = self.passed.iter().map(count).collect();
        files.join(", ")
    }
}

/// A subject and what serves it: a tracepoint by its bare name, a function with where in it.
fn hook(entry: &str) -> Option<(&str, &str)> {
    let (subject, via) = entry.split_once("  ")?;
    let via = via.trim();
    let is_function = via.starts_with("fentry/") || via.starts_with("fexit/");
    let hook = via.strip_prefix("tp_btf/").or(is_function.then_some(via))?;
    Some((subject, hook))
}

/// The entries of the text: each begins with two spaces, further lines of it with more.
fn entries(text: &str) -> Vec<String> {
    let mut entries: Vec<String> = vec![];
    for line in text.lines() {
        match line.strip_prefix("  ") {
            Some(first) if !first.starts_with(' ') => entries.push(first.to_owned()),
            Some(further) if !entries.is_empty() => {
                let entry = entries.last_mut().expect("there is one");
                *entry += " ";
                *entry += further.trim();
            }
            _ => {}
        }
    }
    entries
}

/// Writes the page.
pub(crate) fn write(project: &Project, rows: &[Row], left_out: &[(&str, String)]) -> Result<()> {
    let path = project.root.join("docs/kernels.md");
    fs::write(&path, text(rows, left_out))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("kernels: written to {}", project.shown(&path));
    Ok(())
}

fn text(rows: &[Row], not_had: &[(&str, String)]) -> String {
    let mut text = String::from(
        "# Kernels\n\n\
         Written by `cargo xtask test kernels --write`; run it again instead of editing. With `--all` \
         it has every kernel, every number of CPUs and every file of tests.\n\n\
         Each kernel is Debian's for clouds, booted in qemu by software emulation, with cgroup v2 \
         and its memory controller, huge pages always and swap on zram. memtrace is the static \
         file of `cargo xtask dist`, the same on all kernels of an architecture. The tests are the live tests of \
         `tests/`; `5/5` is how many of a file passed and how many ran.\n\n\
         | kernel | CPUs | error bound | tests passed |\n|---|---|---|---|\n",
    );
    for row in rows {
        let (bound, results) = match &row.refusal {
            Some(words) => ("refused".to_owned(), words.clone()),
            None => (row.bound.clone(), row.results()),
        };
        let kernel = row.kernel();
        let _ = writeln!(
            text,
            "| {kernel} | {} | {bound} | {results} |",
            cpus(row.shape)
        );
    }
    text += "\n## Hooks\n\nWhat serves each subject, on the kernels that are not refused.\n\n";
    let mut seen = BTreeSet::new();
    for row in rows {
        if row.refusal.is_some() || !seen.insert(&row.package) {
            continue;
        }
        let hooks: Vec<_> = row
            .hooks
            .iter()
            .map(|(subject, hooks)| format!("{subject} by `{}`", hooks.join("`, `")))
            .collect();
        let _ = writeln!(text, "- **{}**: {}.", row.kernel(), hooks.join(", "));
        for doubt in &row.doubts {
            let _ = writeln!(text, "  Doubt: {doubt}.");
        }
    }
    text += "\n## Left out\n\n";
    for (what, reason) in not_had {
        let _ = writeln!(text, "- {what}: {reason}");
    }
    for left_out in &LEFT_OUT {
        let _ = writeln!(text, "- {left_out}");
    }
    for row in rows.iter().filter(|row| row.failed()) {
        let _ = writeln!(
            text,
            "\n## Failed on {}, {} CPUs\n",
            row.kernel(),
            cpus(row.shape)
        );
        for failure in &row.failures {
            let _ = writeln!(text, "- {}", failure.replace('\n', "\n  "));
        }
    }
    text
}

impl Row {
    /// `uname -r`.
    pub(crate) fn release(&self) -> &str {
        self.package.trim_start_matches("linux-image-")
    }

    fn kernel(&self) -> String {
        let release = self.release().trim_end_matches("-cloud-amd64");
        release.replace("-cloud-", " ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_memtrace_says_of_a_kernel_is_read() {
        let mut row = Row::new("6.12", "linux-image-6.12.1-cloud-amd64", Shape::whole(4));
        row.take_check(
            "memtrace 0.1.0: what can be traced here\n\n  kernel                   6.12.1\n\n  \
             forks                    tp_btf/task_newtask\n  \
             resident memory          tp_btf/rss_stat\n  \
             resident memory          fexit/handle_mm_fault\n  \
             processes already there  iter/task\n  \
             doubt: calls of mmap are\n         not counted\n  \
             error bound: 0 bytes. Every change is\n               seen.\n\nEverything is here.\n",
        );
        let by = |subject: &str, hooks: &[&str]| {
            let hooks = hooks.iter().map(|hook| (*hook).to_owned());
            (subject.to_owned(), hooks.collect())
        };
        let resident = ["rss_stat", "fexit/handle_mm_fault"];
        let hooks = [
            by("forks", &["task_newtask"]),
            by("resident memory", &resident),
        ];
        assert_eq!(row.hooks, hooks);
        assert_eq!(row.doubts, ["calls of mmap are not counted"]);
        assert_eq!(row.bound, "0 bytes");
        row.passed.push(Passed {
            file: "exactness".to_owned(),
            passed: 6,
            failed: 1,
            seconds: Some(1.0),
        });
        let text = text(&[row], &[]);
        let arm64 = Row::new("6.12", "linux-image-6.12.1-cloud-arm64", Shape::whole(4));
        assert_eq!(arm64.kernel(), "6.12.1 arm64");
        assert!(
            text.contains("| 6.12.1 | 4 | 0 bytes | exactness 6/7 |"),
            "{text}"
        );
    }
}
