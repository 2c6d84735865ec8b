//! What a sampler costs the command: pairs of runs, one with it and one without, one right after
//! the other and in turns first. None of them is traced, so that nothing else is measured.

use std::{
    ffi::OsString,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::sys::wait::WaitStatus;

use super::{sampled::Cost, schema::CostRuns};
use crate::{
    command::{
        holder::Holder,
        identity::Identity,
        reaped::{Reaped, reap},
    },
    failure::Failure,
    sampler::{
        Watch,
        asked::{Asked, Instrument},
        charged::Place,
        eye::Sampler,
    },
};

/// Measures it. Must be called while the process has one thread.
///
/// # Errors
///
/// If the command cannot be run, or if a signal ends it.
pub fn of(
    asked: &Asked,
    pairs: u32,
    command: &[OsString],
    identity: Option<&Identity>,
) -> Result<Cost, Failure> {
    let mut ratios = Vec::new();
    for pair in 0..pairs {
        let run = |with| once(asked, with, command, identity);
        let (with, without) = match pair % 2 {
            0 => (run(true)?, run(false)?),
            _ => {
                let without = run(false)?;
                (run(true)?, without)
            }
        };
        ratios.push(with.as_secs_f64() / without.as_secs_f64());
    }
    Ok(summed(ratios))
}

fn summed(mut ratios: Vec<f64>) -> Cost {
    ratios.sort_by(f64::total_cmp);
    let at = |i: usize| ratios.get(i).copied().unwrap_or(f64::NAN);
    let (half, last) = (ratios.len() / 2, ratios.len().saturating_sub(1));
    let middle = match ratios.len() % 2 {
        1 => at(half),
        _ => f64::midpoint(at(half.saturating_sub(1)), at(half)),
    };
    Cost {
        middle,
        runs: CostRuns {
            pairs: u32::try_from(ratios.len()).unwrap_or(u32::MAX),
            least: at(0),
            most: at(last),
        },
    }
}

/// How long the command runs.
fn once(
    asked: &Asked,
    with: bool,
    command: &[OsString],
    identity: Option<&Identity>,
) -> Result<Duration, Failure> {
    let holder = Holder::fork(command, identity)?;
    let is_of_cgroup = with && asked.instrument == Instrument::Cgroup;
    let place = is_of_cgroup.then(|| Place::take(holder.pid)).flatten();
    let pid = holder.pid.as_raw().unsigned_abs();
    let eye = Sampler::new(asked, pid, place.as_ref()).filter(|_| with);
    let eyes = eye.zip(asked.every).into_iter().collect();
    let (watch, start) =
        Watch::start(holder.pid, eyes).context("the samplers cannot be started")?;
    let began = Instant::now();
    let pid = holder.release()?;
    start.now();
    let Reaped { status, .. } = reap(pid).context("the command cannot be waited for")?;
    let took = began.elapsed();
    watch.finish();
    if let Ok(WaitStatus::Signaled(_, signal, _)) = WaitStatus::from_raw(pid, status) {
        let error = anyhow::anyhow!("a run for --cost was ended by {signal}; nothing is judged");
        return Err(error.into());
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_ratios_counts() {
        let odd = summed(vec![1.5, 0.9, 1.1]);
        assert_eq!((odd.middle, odd.runs.least, odd.runs.most), (1.1, 0.9, 1.5));
        let even = summed(vec![2.0, 1.0]);
        assert_eq!((even.middle, even.runs.pairs), (1.5, 2));
    }
}
