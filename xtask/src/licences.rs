//! `cargo xtask licences`: everything that is linked in can be had under a licence that asks for
//! no more than a notice.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::project::{self, Project};

/// What a dependency may be under.
const GOOD: [&str; 8] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Zlib",
];

pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    let mut good = true;
    for folder in [".", "tracer-ebpf"] {
        let mut cargo = project.cargo();
        cargo.current_dir(project.root.join(folder));
        let packages = dependencies(&mut cargo)?;
        for package in &packages {
            let licence = package["license"].as_str().unwrap_or("none named");
            if !is_good(licence) {
                good = false;
                println!("licences: {} is under: {licence}", package["name"]);
            }
        }
        println!(
            "licences: {} dependencies looked at in {folder}",
            packages.len()
        );
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Packages that are not our own.
fn dependencies(cargo: &mut Command) -> Result<Vec<Value>> {
    let text = project::output(cargo.args(["metadata", "--locked", "--format-version", "1"]))?;
    let mut metadata: Value = serde_json::from_str(&text).context("cargo's metadata")?;
    let Value::Array(mut packages) = metadata["packages"].take() else {
        return Ok(vec![]);
    };
    packages.retain(|package| !package["source"].is_null());
    Ok(packages)
}

/// Whether an SPDX expression can be satisfied by good licences alone.
fn is_good(expression: &str) -> bool {
    // Old crates write a slash for OR.
    let text = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut rest = &words[..];
    any(&mut rest) && rest.is_empty()
}

/// `all OR all ...`
fn any(rest: &mut &[&str]) -> bool {
    let mut good = all(rest);
    while let ["OR", tail @ ..] = *rest {
        *rest = tail;
        good |= all(rest);
    }
    good
}

/// `one AND one ...`
fn all(rest: &mut &[&str]) -> bool {
    let mut good = one(rest);
    while let ["AND", tail @ ..] = *rest {
        *rest = tail;
        good &= one(rest);
    }
    good
}

/// A licence, one with an exception, or an expression in brackets.
fn one(rest: &mut &[&str]) -> bool {
    match *rest {
        ["(", tail @ ..] => {
            *rest = tail;
            let good = any(rest);
            let [")", tail @ ..] = *rest else {
                return false;
            };
            *rest = tail;
            good
        }
        [licence, "WITH", exception, tail @ ..] => {
            *rest = tail;
            GOOD.contains(&format!("{licence} WITH {exception}").as_str())
        }
        [licence, tail @ ..] => {
            *rest = tail;
            GOOD.contains(licence)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_good;

    #[test]
    fn expressions_are_understood() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        ] {
            assert!(is_good(good), "{good}");
        }
        for bad in [
            "GPL-2.0-only",
            "MIT AND LGPL-2.1-only",
            "(MIT",
            "MIT MIT",
            "",
            "none named",
        ] {
            assert!(!is_good(bad), "{bad}");
        }
    }
}
