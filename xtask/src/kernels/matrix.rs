//! Which kernels, on which machines, with which tests, and what is left out of them and why. Pure.

use std::fmt;

use super::{guest::Shape, packages::Archive};
use crate::arch::Arch;

/// A series of kernels; the newest of it that can be had is taken.
pub(crate) struct Series {
    /// Its name on the command line and in the table.
    pub(crate) name: &'static str,
    /// What its kernels are built for.
    pub(crate) arch: Arch,
    /// How its versions begin.
    version: &'static str,
    /// Where Debian has it.
    pub(crate) suite: (Archive, &'static str),
    pub(crate) expected: Expected,
}

/// What memtrace has to do on a series.
pub(crate) enum Expected {
    /// Trace: the tests must pass.
    Traces,
    /// Refuse, with these words after the kernel's release; no command may start.
    Refuses(&'static str),
}

const SECURITY_12: (Archive, &str) = (Archive::Security, "bookworm-security");
const BACKPORTS_13: (Archive, &str) = (Archive::Main, "trixie-backports");

/// All series, oldest first.
pub(crate) const SERIES: [Series; 7] = [
    Series {
        name: "5.10",
        arch: Arch::X86_64,
        version: "5.10.",
        suite: (Archive::Security, "bullseye-security"),
        expected: Expected::Refuses(NO_LOOPS),
    },
    Series {
        name: "6.1",
        arch: Arch::X86_64,
        version: "6.1.",
        suite: SECURITY_12,
        expected: Expected::Traces,
    },
    Series {
        name: "6.12",
        arch: Arch::X86_64,
        version: "6.12.",
        suite: SECURITY_12,
        expected: Expected::Traces,
    },
    Series {
        name: "6.18",
        arch: Arch::X86_64,
        version: "6.18.",
        suite: BACKPORTS_13,
        expected: Expected::Traces,
    },
    Series {
        name: "newest",
        arch: Arch::X86_64,
        version: "",
        suite: BACKPORTS_13,
        expected: Expected::Traces,
    },
    Series {
        name: "6.12-arm64",
        arch: Arch::Aarch64,
        version: "6.12.",
        suite: SECURITY_12,
        expected: Expected::Traces,
    },
    Series {
        name: "6.18-arm64",
        arch: Arch::Aarch64,
        version: "6.18.",
        suite: BACKPORTS_13,
        expected: Expected::Traces,
    },
];

const NO_LOOPS: &str =
    "lacks bpf_loop, which memtrace's programs call. Linux 6.1 or later is needed";

/// Packages of kernels: the image of a cloud has few drivers and all that is traced.
pub(crate) fn packages(arch: Arch) -> String {
    format!("^linux-image-[0-9].*-cloud-{}$", arch.debian())
}

impl Series {
    /// The newest package of the series among `names`.
    pub(crate) fn newest<'a>(&self, names: &'a [String]) -> Option<&'a str> {
        let version = |name: &'a str| {
            let version = name
                .strip_prefix("linux-image-")?
                .strip_suffix(self.arch.debian())?
                .strip_suffix("-cloud-")?;
            // A series is not a version: `6.1-cloud-amd64` only depends on one.
            (version.starts_with(self.version) && version.matches('.').count() > 1)
                .then(|| numbers(version))
        };
        names
            .iter()
            .filter_map(|name| Some((version(name)?, name.as_str())))
            .max()
            .map(|(_, name)| name)
    }
}

/// The numbers in a version, which order it.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// A boot: a machine and the files of live tests that it runs.
pub(crate) struct Boot {
    pub(crate) shape: Shape,
    pub(crate) files: Vec<&'static str>,
}

impl Boot {
    fn new(shape: Shape, files: &[&'static str]) -> Self {
        let runs = |file: &&str| shape.online > 1 || !NEEDS_TWO_CPUS.contains(file);
        Self {
            shape,
            files: files.iter().copied().filter(runs).collect(),
        }
    }

    /// The same machine with these files of tests.
    pub(crate) fn with_files(self, files: &[&'static str]) -> Self {
        Self::new(self.shape, files)
    }
}

/// What is tried with every change: two kernels in some minutes.
const QUICK: &[&str] = &["exactness", "threads", "foreign"];

/// Every file of live tests.
pub(crate) const ALL: &[&str] = &[
    "exactness",
    "threads",
    "foreign",
    "tree",
    "standstill",
    "attach",
    "faults",
    "phases",
    "functions",
    "vm",
    "hooks",
    "history",
    "latency",
    "capture",
    "killed",
    "status",
    "cli",
    "refusals",
    "privilege",
    "cgroup",
    "containers",
    "counted_once",
    "classes",
    "judge",
    "judge_live",
    "unprivileged",
    "overhead",
];

/// What the figures themselves rest on.
const CORE: &[&str] = &["exactness", "threads", "foreign", "standstill", "attach"];

/// What cannot run on one CPU: threads hop to another.
const NEEDS_TWO_CPUS: &[&str] = &["threads"];

/// What depends on the number of CPUs.
const SMALL: &[&str] = &["exactness", "threads", "foreign"];

/// What every change is tried with.
pub(crate) fn daily() -> Vec<Boot> {
    vec![Boot::new(Shape::whole(4), QUICK)]
}

/// The same of the full matrix.
pub(crate) fn full() -> Vec<Boot> {
    let half_there = Shape {
        possible: 8,
        online: 2,
    };
    vec![
        Boot::new(Shape::whole(1), CORE),
        Boot::new(Shape::whole(4), ALL),
        Boot::new(Shape::whole(16), SMALL),
        Boot::new(half_there, SMALL),
    ]
}

/// Names of the series that every change is tried with.
pub(crate) const DAILY_SERIES: [&str; 3] = ["6.1", "6.12", "newest"];

/// Tests that are not run in a guest.
pub(crate) struct LeftOut {
    pub(crate) file: &'static str,
    pub(crate) test: &'static str,
    pub(crate) reason: &'static str,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, test, reason } = self;
        write!(f, "{file}::{test}: {reason}")
    }
}

const NO_PYTHON: &str = "the guest has no python3";

const STORM: &str = "millions of page faults, which take an emulated CPU too long";

pub(crate) const LEFT_OUT: [LeftOut; 6] = [
    LeftOut {
        file: "threads",
        test: "plateau_of_hopping_threads_in_50_of_50_runs",
        reason: STORM,
    },
    LeftOut {
        file: "history",
        test: "two_million_faults_of_four_threads_with_nothing_lost",
        reason: STORM,
    },
    LeftOut {
        file: "tree",
        test: "posix_spawned_child_of_a_large_python",
        reason: NO_PYTHON,
    },
    LeftOut {
        file: "judge",
        test: "misses_are_those_of_30_runs_of_real_pollers",
        reason: NO_PYTHON,
    },
    LeftOut {
        file: "judge_live",
        test: "only_the_command_counts_where_a_tool_runs_it",
        reason: NO_PYTHON,
    },
    LeftOut {
        file: "tree",
        test: "forked_child_of_a_large_python",
        reason: NO_PYTHON,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn names(versions: &[&str]) -> Vec<String> {
        let name = |version| format!("linux-image-{version}-cloud-amd64");
        versions.iter().map(name).collect()
    }

    #[test]
    fn the_newest_of_a_series_is_not_the_last_by_letters() {
        let names = names(&[
            "6.1",
            "6.1.0-9",
            "6.1.0-56",
            "6.12.9+deb12",
            "6.12.117+deb12",
            "7.3.4+deb13",
            "6.19.14+deb13",
        ]);
        let newest = |name| {
            let mut all = SERIES.iter();
            let series = all.find(|series| series.name == name);
            series.and_then(|series| series.newest(&names))
        };
        assert_eq!(newest("6.1"), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(
            newest("6.12"),
            Some("linux-image-6.12.117+deb12-cloud-amd64")
        );
        assert_eq!(
            newest("newest"),
            Some("linux-image-7.3.4+deb13-cloud-amd64")
        );
        assert_eq!(newest("6.18"), None);
        assert_eq!(newest("6.12-arm64"), None);
    }

    #[test]
    fn every_file_of_live_tests_is_in_the_full_matrix() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tests");
        let entries = std::fs::read_dir(folder).expect("the live tests");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let sources = paths.filter(|path| path.extension().is_some_and(|end| end == "rs"));
        for source in sources {
            let name = source.file_stem().expect("a name").to_string_lossy();
            assert!(
                ALL.contains(&name.as_ref()),
                "{name} is run on no other kernel"
            );
        }
    }

    #[test]
    fn what_is_left_out_is_in_a_file_that_is_run() {
        for left_out in &LEFT_OUT {
            assert!(ALL.contains(&left_out.file), "{left_out}");
        }
        for series in DAILY_SERIES {
            assert!(SERIES.iter().any(|known| known.name == series));
        }
    }
}
