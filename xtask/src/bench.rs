//! `cargo xtask bench`: what tracing costs, by paired and alternating runs.

use std::{fs, process::ExitCode};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::{
    figures::{Figures, Row, Single, median},
    jobs, machine,
    project::{self, Project},
    storm::{Bench, CONTESTS, Sample, WORKER_MIB},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds; every variant runs once in each.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Three short rounds to see that it works; prints the page and does not write it.
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
}

const MIB: f64 = 1_048_576.0;

pub(crate) fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    ensure!(
        project::is_root(),
        "the benchmark needs root: sudo --preserve-env env PATH=\"$PATH\" cargo xtask bench"
    );
    let mut cargo = project.cargo();
    project::run(cargo.args(["build", "--quiet", "--release", "--workspace", "--bins"]))?;
    let folder = project.target.join("bench");
    fs::create_dir_all(&folder)?;
    let (rounds, repeats) = if options.quick {
        (3, 8)
    } else {
        (options.rounds, 32)
    };
    let bench = Bench {
        project,
        folder,
        repeats,
    };

    let load = machine::load()?;
    let perf = machine::perf();
    let mut bare = vec![];
    let mut rows = vec![];
    let mut reports = vec![];
    for contest in &CONTESTS {
        let samples = bench.rounds(rounds, contest, perf.is_ok())?;
        let of_bare = &samples[0];
        let ns: Vec<_> = of_bare.iter().map(|sample| sample.ns_per_fault).collect();
        bare.push((contest.what(), median(&ns)));
        for (variant, runs) in contest.variants.iter().zip(&samples).skip(1) {
            let ratio = |run: &Sample, round: usize| run.wall_ns / of_bare[round].wall_ns;
            let floor = |round: usize| ratio(&samples[1][round], round);
            let numbered = || runs.iter().enumerate();
            rows.push(Row {
                what: variant.what(),
                storm: contest.what(),
                budget: variant.budget(contest.workers),
                absent: perf.clone().err().filter(|_| runs.is_empty()),
                ratios: numbered().map(|(round, run)| ratio(run, round)).collect(),
                above_floor: numbered()
                    .map(|(n, run)| ratio(run, n) - floor(n))
                    .collect(),
                flaw: flaw(runs),
            });
        }
        reports.extend(
            samples
                .into_iter()
                .flatten()
                .filter_map(|sample| sample.report),
        );
    }
    let rss = |report: &Value| report["overhead"]["tracer_peak_rss_bytes"].as_f64();
    let rss = reports.iter().filter_map(rss).fold(0.0, f64::max);
    let jobs = jobs::measure(&bench, rounds)?;
    let mut singles = vec![
        Single {
            what: "`memtrace -- true`, start to end, median",
            figure: bench.start_to_end()?,
            budget: 150.0,
            at_least: false,
            unit: "ms",
        },
        Single {
            what: "memtrace's own peak RSS",
            figure: rss / MIB,
            budget: 48.0,
            at_least: false,
            unit: "MiB",
        },
    ];
    singles.extend(jobs::capture(project)?);
    let figures = Figures {
        machine: format!(
            "{}; load before the first round {load}",
            machine::described()?
        ),
        workload: format!(
            "each worker maps {WORKER_MIB} MiB, touches every page and unmaps it, {repeats} times \
             where it is alone and {} times where they are four",
            repeats / 4
        ),
        rounds: rounds as usize,
        bare,
        rows,
        jobs,
        singles,
    };
    let page = figures.page();
    print!("{page}");
    if !options.quick {
        let path = project.root.join("docs/benchmarks.md");
        fs::write(&path, &page)?;
        println!("\nbench: written to {}", project.shown(&path));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the reports of these runs admit.
fn flaw(runs: &[Sample]) -> Option<String> {
    let reports = || runs.iter().filter_map(|run| run.report.as_ref());
    let lost: u64 = reports()
        .filter_map(|r| r["certainty"]["events_lost"].as_u64())
        .sum();
    let inexact = reports()
        .filter(|r| r["certainty"]["exact"] != true)
        .count();
    if lost > 0 {
        Some(format!("{lost} events lost"))
    } else {
        (inexact > 0).then(|| format!("{inexact} of {} reports not exact", reports().count()))
    }
}
