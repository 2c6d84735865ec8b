//! What a cgroup is charged for, held against what its processes had resident: different things,
//! and its files tell in which way.

use std::borrow::Cow;

use super::{sampled::Evidence, schema::Kind};
use crate::{
    sampler::{
        charged::{Charged, Place},
        eye::What,
    },
    units::{Bytes, Count},
};

/// A figure of a cgroup.
#[derive(Clone, Copy, Debug)]
pub struct Charge {
    /// It, bytes.
    pub told: i64,
    /// What the files said in the look that it comes from.
    pub charged: Charged,
    /// The most that the processes held at any of its looks, bytes, and by how much that is less
    /// than at another time.
    pub looked_at: i64,
    /// See `looked_at`.
    pub between: i64,
    /// How many looks there were.
    pub looks: u64,
}

/// Of what kind the error is, and why.
pub fn judge(
    evidence: &Evidence<'_>,
    place: Option<&Place>,
    what: What,
    charge: &Charge,
) -> (Kind, Cow<'static, str>) {
    let error = charge.told - evidence.peak_bytes;
    let is_half = |part: i64| part > 0 && part.saturating_mul(2) >= error.abs();
    if let Some(others) = others(place, what, charge, error, &is_half) {
        return (others.0, others.1.into());
    }
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    if what == What::ChargedMark && is_half(charge.told - signed(charge.charged.usage_bytes)) {
        return (Kind::Unexplained, MARKED_BETWEEN.into());
    }
    let cache = signed(charge.charged.cache_bytes);
    let anon = signed(charge.charged.anon_bytes);
    let peak = evidence.report.peak.as_ref();
    let known =
        peak.and_then(|peak| Some((peak.anon_bytes?, peak.file_bytes? + peak.shmem_bytes?)));
    let Some((peak_anon, peak_files)) = known else {
        return (
            Kind::Unexplained,
            "What the peak was made of is not known.".into(),
        );
    };
    if error > 0 {
        // docker stats has taken a part of the cache away already.
        let counted = match what {
            What::Docker => cache - signed(charge.charged.inactive_file_bytes),
            _ => cache,
        };
        if is_half(counted - peak_files) {
            let text = format!(
                "{} of it were page cache; the processes had {} of files mapped at the peak.",
                Bytes(counted),
                Bytes(peak_files)
            );
            return (Kind::CacheCounted, text.into());
        }
        let kernel = signed(charge.charged.kernel_bytes());
        if is_half(kernel) {
            let text = format!(
                "{} of it were neither anonymous memory nor cache: page tables, stacks and objects \
                 of the kernel, and what each CPU has charged ahead.",
                Bytes(kernel)
            );
            return (Kind::KernelMemory, text.into());
        }
        return (Kind::Unexplained, TOGETHER.into());
    }
    // Where it is charged for what the processes no longer map, their level explains nothing.
    let follows_them = !is_half(charge.told - charge.looked_at);
    if follows_them && is_half(charge.between - evidence.quantum_bytes) {
        let text = format!(
            "The processes had no more than {} at any of its {} looks.",
            Bytes(charge.looked_at),
            Count(charge.looks)
        );
        return (Kind::MissedSpike, text.into());
    }
    if is_half(peak_anon - anon) {
        let text = format!(
            "It was charged for {} of anonymous memory; the processes had {} in the sum of RSS, \
             which counts a shared page for each of them.",
            Bytes(anon),
            Bytes(peak_anon)
        );
        return (Kind::DoubleCountedSharing, text.into());
    }
    if is_half(peak_files - cache) {
        let text = format!(
            "It was charged for {} of files; the processes had {} mapped. Who touches a file first \
             is charged for it, and each process that has it mapped counts it.",
            Bytes(cache),
            Bytes(peak_files)
        );
        return (Kind::ChargedElsewhere, text.into());
    }
    (Kind::Unexplained, TOGETHER.into())
}

/// What was in the cgroup before the command.
fn others(
    place: Option<&Place>,
    what: What,
    charge: &Charge,
    error: i64,
    is_half: &impl Fn(i64) -> bool,
) -> Option<(Kind, String)> {
    let place = place?;
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let before = place.peak_before_bytes.map(signed);
    if what == What::ChargedMark && !place.is_own && before == Some(charge.told) {
        let text = "The mark is from before the command ran, and did not move.".to_owned();
        return Some((Kind::Inherited, text));
    }
    let before = place.before?;
    let before = match what {
        What::Docker => before.docker_bytes(),
        _ => before.usage_bytes,
    };
    (error > 0 && is_half(signed(before))).then(|| {
        let text = format!(
            "The command has no cgroup of its own here: this one was charged for {} before it ran.",
            Bytes(signed(before))
        );
        (Kind::OtherProcesses, text)
    })
}

const MARKED_BETWEEN: &str =
    "The mark is from between two looks: what it was made of then, nobody read.";
const TOGETHER: &str = "Cache, sharing, memory of the kernel and the times of the looks come together, and none of them \
     is half of it.";
