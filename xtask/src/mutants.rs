//! `cargo xtask test mutants`: known wrong ways of the kernel side, and the live test that catches
//! each. One that no test catches is a hole in the tests.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::builder::PossibleValuesParser;

use crate::{
    binaries::{self, Binary, Summary, Terms},
    bpf,
    project::{self, Project},
    test,
};

/// The environment variable by which the live tests take another object than the committed one.
const OBJECT: &str = "MEMTRACE_TEST_OBJECT";
/// The one by which memtrace itself does.
const MEMTRACE_OBJECT: &str = "MEMTRACE_BPF_OBJECT";

/// A wrong way: the kernel side has it under `cfg(mutant = "NAME")`.
struct Mutant {
    name: &'static str,
    /// What is wrong with it.
    wrong: &'static str,
    /// File of the live tests and name of the test that must fail.
    caught_by: (&'static str, &'static str),
    /// Runs of the test that it has to show itself in: above 1 only for a race. The right object
    /// must pass as many.
    runs: u32,
}

const MUTANTS: [Mutant; 8] = [
    Mutant {
        name: "o1-sum",
        wrong: "adds up what each CPU's slot held when last seen, instead of scanning all",
        caught_by: ("threads", "plateau_of_hopping_threads_in_50_of_50_runs"),
        runs: 1,
    },
    Mutant {
        name: "fork-unregistered",
        wrong: "does not follow fork",
        caught_by: ("tree", "forked_child_of_a_large_parent"),
        runs: 1,
    },
    Mutant {
        name: "attribute-by-current",
        wrong: "gives a change to the space of whoever runs, not to the space that changed",
        caught_by: ("foreign", "process_vm_writev"),
        runs: 1,
    },
    Mutant {
        name: "exit-decrements-dropped",
        wrong: "drops the decreases that come while a process exits, when it has no space any more",
        caught_by: ("tree", "three_hundred_short_processes_one_after_the_other"),
        runs: 1,
    },
    Mutant {
        name: "ledger-not-reset",
        wrong: "goes on with the old ledger when a space's address comes back",
        caught_by: ("tree", "three_hundred_short_processes_one_after_the_other"),
        runs: 1,
    },
    Mutant {
        name: "segment-not-reset",
        wrong: "lets a phase begin with the peak of what was before it",
        caught_by: ("phases", "peaks_above_the_begin_are_exact_and_nested"),
        runs: 1,
    },
    Mutant {
        name: "records-not-gathered",
        wrong: "leaves the peaks that CPUs have recorded for themselves where they are",
        caught_by: ("phases", "two_thousand_in_a_row_are_each_exact"),
        runs: 1,
    },
    Mutant {
        name: "target-unlocked",
        wrong: "adds to the target's total without the lock",
        caught_by: ("standstill", "ledgers_equal_statm_at_200_stops"),
        runs: 8,
    },
];

/// Names for the command line.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(MUTANTS.map(|mutant| mutant.name))
}

/// How a mutant ended.
enum Fate {
    Caught(String),
    Lives(String),
}

/// Builds the mutants of these names, all if there are none, and lets the tests at them.
pub(crate) fn run(project: &Project, names: &[String]) -> Result<ExitCode> {
    if let Err(reason) = test::can_be_root() {
        bail!("the tests that catch mutants cannot run: {reason}");
    }
    let chosen = |mutant: &&Mutant| names.is_empty() || names.iter().any(|n| n == mutant.name);
    let tests = test::live_binaries(project)?;
    let mut rows =
        vec![["mutant", "what is wrong", "caught by", "how it failed"].map(String::from)];
    let mut lives = 0;
    for mutant in MUTANTS.iter().filter(chosen) {
        eprintln!("mutant {}: building and testing", mutant.name);
        let (file, test) = mutant.caught_by;
        let fate = try_mutant(project, &tests, mutant)
            .with_context(|| format!("cannot judge the mutant {}", mutant.name))?;
        let (by, how) = match fate {
            Fate::Caught(how) => (format!("{file}::{test}"), how),
            Fate::Lives(why) => {
                lives += 1;
                ("NOTHING: it lives".to_owned(), why)
            }
        };
        rows.push([mutant.name.to_owned(), mutant.wrong.to_owned(), by, how]);
    }
    print!("{}", table(&rows));
    let all = rows.len() - 1;
    println!("{} of {all} mutants caught", all - lives);
    Ok(if lives > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn try_mutant(project: &Project, tests: &[Binary], mutant: &Mutant) -> Result<Fate> {
    let (file, test) = mutant.caught_by;
    let mut binaries = tests.iter().filter(|binary| binary.integration);
    let binary = binaries.find(|binary| binary.name == file);
    let binary = binary.with_context(|| format!("there is no file {file}.rs of live tests"))?;
    let object = bpf::mutant(project, mutant.name)?;
    if fs::read(&object)? == fs::read(project.object())? {
        return Ok(Fate::Lives(
            "the source has nothing under this name".to_owned(),
        ));
    }
    if let Some(why) = refused(project, &object)? {
        return Ok(Fate::Lives(format!(
            "it does not even load, which proves nothing: {why}"
        )));
    }
    for nth in 1..=mutant.runs {
        let Some(how) = failure(project, binary, test, Some(&object))? else {
            continue;
        };
        // A test that fails on the right object too has caught nothing.
        for _ in 0..nth {
            if let Some(how) = failure(project, binary, test, None)? {
                let why = format!("{file}::{test} fails on the committed object as well: {how}");
                return Ok(Fate::Lives(why));
            }
        }
        let runs = if mutant.runs > 1 {
            format!("run {nth}: ")
        } else {
            String::new()
        };
        return Ok(Fate::Caught(runs + &how));
    }
    Ok(Fate::Lives(format!("{file}::{test} passes")))
}

/// Whether memtrace cannot work with this object at all: the last line of what it says.
fn refused(project: &Project, object: &Path) -> Result<Option<String>> {
    let mut memtrace = project::as_root(project.release("memtrace"))?;
    let output = memtrace
        .args(["--", "true"])
        .env(MEMTRACE_OBJECT, object)
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text
        .lines()
        .next_back()
        .unwrap_or("it said nothing")
        .to_owned();
    Ok((!output.status.success()).then_some(last))
}

/// Runs one test, with the committed object or another; says how it failed.
fn failure(
    project: &Project,
    binary: &Binary,
    test: &str,
    object: Option<&Path>,
) -> Result<Option<String>> {
    let mut env = vec![("MEMTRACE", project.release("memtrace").into())];
    env.extend(object.map(|path| (OBJECT, path.into())));
    let terms = Terms {
        as_root: true,
        args: &[test, "--exact", test::ONE_AT_A_TIME],
        env: &env,
    };
    let log = test::log(project, &format!("mutant-{}-{test}", binary.name))?;
    let (text, status) = binaries::run(binary, &terms, &log)?;
    let summary = Summary::read(&binary.name, &text, status);
    ensure!(
        summary.passed + summary.failed > 0,
        "{} has no test of the name {test}",
        binary.name
    );
    Ok((summary.failed > 0).then(|| reason(&text).unwrap_or_else(|| summary.failures.join("; "))))
}

/// The message of the first panic, in one line.
fn reason(text: &str) -> Option<String> {
    let mut lines = text
        .lines()
        .skip_while(|line| !line.contains("panicked at "))
        .skip(1);
    let end = |line: &&str| {
        !line.is_empty() && !line.starts_with("note:") && !line.starts_with("stack backtrace:")
    };
    let message: Vec<_> = lines.by_ref().take_while(end).map(str::trim).collect();
    (!message.is_empty()).then(|| message.join(" ").chars().take(160).collect())
}

/// Columns as wide as their widest cell.
fn table(rows: &[[String; 4]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [0, 1, 2].map(width);
    let line = |row: &[String; 4]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$} | "));
        format!("{}{}\n", cells.collect::<String>(), row[3])
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_first_panic() {
        let text = "running 1 test\n\nthread 'main' panicked at tests/tree.rs:1:2:\n\
             peak: 5 pages\nexpected: 6\nnote: run with `RUST_BACKTRACE=1`\n";
        assert_eq!(reason(text).as_deref(), Some("peak: 5 pages expected: 6"));
        assert_eq!(reason("test a ... ok"), None);
    }

    #[test]
    fn names_are_told_once() {
        let kernel_side = include_str!("../../tracer-ebpf/Cargo.toml");
        for (nth, mutant) in MUTANTS.iter().enumerate() {
            assert!(
                kernel_side.contains(&format!("\"{}\"", mutant.name)),
                "{}",
                mutant.name
            );
            assert!(MUTANTS[..nth].iter().all(|other| other.name != mutant.name));
        }
    }
}
