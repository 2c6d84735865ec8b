//! The intervals that pollers are judged at: a ladder for everyone, and finer steps where the
//! question is how often one has to look.

use super::fold::LONGEST_NS;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

/// What every judgement tells, nanoseconds.
pub const LADDER: [u64; 15] = [
    MS,
    2 * MS,
    5 * MS,
    10 * MS,
    20 * MS,
    50 * MS,
    100 * MS,
    200 * MS,
    500 * MS,
    S,
    2 * S,
    5 * S,
    10 * S,
    30 * S,
    60 * S,
];

const _: () = assert!(LADDER[LADDER.len() - 1] <= LONGEST_NS);

/// Steps between two neighbours of the ladder, without them: two digits each, some 5 % apart.
pub fn between(lower_ns: u64, upper_ns: u64) -> Vec<u64> {
    let mut steps = Vec::new();
    let mut at_ns = lower_ns;
    loop {
        let digit = 10_u64.pow(at_ns.ilog10() - 1);
        at_ns += match at_ns / digit {
            10..20 => digit,
            20..50 => 2 * digit,
            _ => 5 * digit,
        };
        if at_ns >= upper_ns {
            return steps;
        }
        steps.push(at_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_lie_between() {
        let ms = |steps: Vec<u64>| steps.iter().map(|ns| ns / MS).collect::<Vec<_>>();
        let between = |lower, upper| ms(between(lower * MS, upper * MS));
        assert_eq!(
            between(100, 200),
            [110, 120, 130, 140, 150, 160, 170, 180, 190]
        );
        assert_eq!(between(20, 50), (11..25).map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(between(5_000, 10_000).len(), 9);
        assert!(LADDER.is_sorted());
    }
}
