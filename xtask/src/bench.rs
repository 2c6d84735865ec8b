//! `cargo xtask bench`: what tracing costs, by paired and alternating runs.

use std::{fs, process::ExitCode};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::{
    estimate::estimate,
    figures::{Figures, Row, Single, median},
    jobs, machine, own_time,
    project::{self, Project},
    storm::{Bench, CONTESTS, Sample, WORKER_MIB},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds of the storm; every variant runs once in each. Real jobs, which take longer, run in a
    /// quarter as many.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Three rounds to see that it works; prints the page and does not write it.
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
    // What else the machine has to do comes and goes in seconds: many short rounds, in which the
    // runs that are compared are close to each other, tell more than few long ones.
    let rounds = if options.quick { 3 } else { options.rounds };
    let mut bench = Bench {
        project,
        folder,
        times_programs: false,
    };

    // First, so that what does not build is found before all the rest has run.
    let capture = jobs::capture(project)?;
    let load = machine::load()?;
    let perf = machine::perf();
    let mut bare = vec![];
    let mut rows = vec![];
    let mut reports = vec![];
    for contest in &CONTESTS {
        let samples = bench.rounds(rounds, contest, perf.is_ok())?;
        let passes = |runs: &[Sample]| -> Vec<Vec<f64>> {
            let passes = runs.iter().map(|run| run.ns_per_fault.clone());
            passes.collect()
        };
        let (of_bare, of_floor) = (passes(&samples[0]), passes(&samples[1]));
        if let Some(ns) = estimate([&of_bare], |[bare]| bare) {
            bare.push((contest.what(), ns.figure));
        }
        for (variant, runs) in contest.variants.iter().zip(&samples).skip(1) {
            let of_run = passes(runs);
            let mean = |passes: &Vec<f64>| passes.iter().sum::<f64>() / passes.len() as f64;
            let rounds = of_run.iter().zip(&of_bare);
            let ratios: Vec<f64> = rounds.map(|(run, bare)| mean(run) / mean(bare)).collect();
            rows.push(Row {
                what: variant.what(),
                storm: contest.what(),
                budget: variant.budget(contest.workers),
                absent: perf.clone().err().filter(|_| runs.is_empty()),
                ratio: estimate([&of_bare, &of_run], |[bare, run]| run / bare),
                above_floor: estimate([&of_bare, &of_floor, &of_run], |[bare, floor, run]| {
                    (run - floor) / bare
                }),
                median: median(&ratios),
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
    bench.times_programs = true;
    let cpus = machine::cpus()?;
    let own_times = own_time::measure(&bench, rounds.div_ceil(4), cpus)?;
    bench.times_programs = false;
    let rss = |report: &Value| report["overhead"]["tracer_peak_rss_bytes"].as_f64();
    let rss = reports.iter().filter_map(rss).fold(0.0, f64::max);
    let jobs = jobs::measure(&bench, rounds.div_ceil(4))?;
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
    singles.extend(capture);
    let figures = Figures {
        machine: format!(
            "{}; load before the first round {load}",
            machine::described()?
        ),
        workload: format!(
            "in a pass each worker maps {WORKER_MIB} MiB, touches every page and unmaps it, all at \
             the same time; a run has {} passes of one worker or {} of four",
            CONTESTS[0].passes(),
            CONTESTS[1].passes()
        ),
        rounds: rounds as usize,
        bare,
        rows,
        own_times,
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
