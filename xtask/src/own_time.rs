//! What part of a fault storm's time the programs themselves take, by the kernel's own clock: a figure
//! that a busy machine does not move, since both of its parts grow alike.

use anyhow::{Context, Result};

use crate::{
    figures::{Budget, median},
    storm::{Bench, CONTESTS, Contest, Variant},
};

/// One variant of one storm.
pub(crate) struct OwnTime {
    pub(crate) what: &'static str,
    /// The storm's workers.
    pub(crate) storm: String,
    pub(crate) budget: Budget,
    /// Parts of the time of the CPUs that the storm kept busy, a run each.
    pub(crate) parts: Vec<f64>,
    /// The same of the empty program.
    pub(crate) floor: Vec<f64>,
}

impl OwnTime {
    /// Least, middle and greatest part above the middle one of the empty program.
    pub(crate) fn above_floor(&self) -> [f64; 3] {
        let floor = median(&self.floor);
        let parts = || self.parts.iter().copied();
        [
            parts().fold(f64::INFINITY, f64::min) - floor,
            median(&self.parts) - floor,
            parts().fold(f64::NEG_INFINITY, f64::max) - floor,
        ]
    }
}

/// What memtrace's programs do in a storm, the empty one first.
const VARIANTS: [Variant; 6] = [
    Variant::Floor,
    Variant::OneSpace,
    Variant::InPhase,
    Variant::Foreign,
    Variant::QuantumZero,
    Variant::Tree,
];

/// Measures them in so many rounds.
pub(crate) fn measure(bench: &Bench<'_>, rounds: u32, cpus: u32) -> Result<Vec<OwnTime>> {
    let mut all = vec![];
    for contest in &CONTESTS {
        let runs = |variant| of_variant(bench, contest, variant, rounds, cpus);
        let [floor, others @ ..] = VARIANTS;
        let floor = runs(floor)?;
        for variant in others {
            if contest.variants.contains(&variant) {
                all.push(OwnTime {
                    what: variant.what(),
                    storm: contest.what(),
                    budget: variant.budget(contest.workers),
                    parts: runs(variant)?,
                    floor: floor.clone(),
                });
            }
        }
    }
    Ok(all)
}

fn of_variant(
    bench: &Bench<'_>,
    contest: &Contest,
    variant: Variant,
    rounds: u32,
    cpus: u32,
) -> Result<Vec<f64>> {
    let busy = f64::from(contest.workers.min(cpus));
    let part = |_| {
        let sample = bench.sample(variant, contest)?;
        let bpf_ns = sample.bpf_ns.context("the programs' time was not taken")?;
        Ok(bpf_ns / (sample.ns * busy))
    };
    eprintln!(
        "bench: the programs of {}, {}",
        variant.what(),
        contest.what()
    );
    (0..rounds).map(part).collect()
}
