//! What a storm costs, from the times of its passes on a machine that is not always as fast: the
//! least tenth of them, which nothing else disturbed, and how far chance may have moved it.

/// Of the passes, so many are faster than the one that counts.
const TENTH: usize = 10;

/// How often the rounds are drawn anew to see what chance does.
const DRAWS: usize = 500;

/// Times of passes, round by round.
pub(crate) type Rounds = [Vec<f64>];

/// The time that a tenth of the passes of these rounds stay below; `None` of nothing.
fn undisturbed<'a>(rounds: impl Iterator<Item = &'a Vec<f64>>) -> Option<f64> {
    let mut passes: Vec<f64> = rounds.flatten().copied().collect();
    passes.sort_by(f64::total_cmp);
    passes.get(passes.len() / TENTH).copied()
}

/// A figure, and what 90 of 100 draws of the rounds lie between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) figure: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// `figure` of the undisturbed times of each of `series`, which have the same rounds; `None` if one
/// is empty.
pub(crate) fn estimate<const N: usize>(
    series: [&Rounds; N],
    figure: fn([f64; N]) -> f64,
) -> Option<Estimate> {
    let of = |draw: &[usize]| -> Option<f64> {
        let mut times = [0.0; N];
        for (time, rounds) in times.iter_mut().zip(series) {
            *time = undisturbed(draw.iter().map(|round| &rounds[*round]))?;
        }
        Some(figure(times))
    };
    let rounds = series.iter().map(|rounds| rounds.len()).min()?;
    let all = of(&(0..rounds).collect::<Vec<_>>())?;
    // The same draws each time (Numerical Recipes' generator): a page made again of the same runs
    // says the same.
    let mut state = 1_u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % rounds
    };
    let mut drawn = (0..DRAWS)
        .map(|_| of(&(0..rounds).map(|_| draw()).collect::<Vec<_>>()))
        .collect::<Option<Vec<_>>>()?;
    drawn.sort_by(f64::total_cmp);
    Some(Estimate {
        figure: all,
        low: drawn[DRAWS / 20],
        high: drawn[DRAWS - 1 - DRAWS / 20],
    })
}

#[cfg(test)]
mod tests {
    use super::{Estimate, estimate};

    #[test]
    fn what_disturbs_some_passes_does_not_count() {
        let bare = vec![vec![100.0, 170.0]; 20];
        let traced = vec![vec![105.0, 300.0]; 20];
        let found = estimate([&bare, &traced], |[bare, traced]| traced / bare);
        let (figure, low, high) = (1.05, 1.05, 1.05);
        assert_eq!(found, Some(Estimate { figure, low, high }));
    }

    #[test]
    fn rounds_that_differ_leave_doubt() {
        let bare = vec![vec![100.0]; 20];
        let traced: Vec<_> = (0..20)
            .map(|round| vec![100.0 + f64::from(round)])
            .collect();
        let found = estimate([&bare, &traced], |[bare, traced]| traced / bare).unwrap();
        assert_eq!(found.figure, 1.02);
        assert!(found.low < 1.02 && found.high > 1.02, "{found:?}");
    }

    #[test]
    fn of_nothing_there_is_none() {
        assert_eq!(estimate([&[], &[]], |[bare, traced]| traced / bare), None);
    }
}
