//! Medians, ranges, and ratios within a round.

use crate::compare::Run;

/// The median, and what it lies between.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of these values; nothing of nothing.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => return None,
            len if len % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        Some(Self { median, least: sorted[0], most: sorted[sorted.len() - 1] })
    }
}

/// A figure of each run that has it.
pub fn values<'a>(runs: impl IntoIterator<Item = &'a Run>, figure: &str) -> Vec<f64> {
    runs.into_iter().filter_map(|run| run.figures.get(figure).copied()).collect()
}

/// A figure's ratio to the same of others' runs in the same round, for each round that has both.
pub fn ratios<'a>(
    runs: impl IntoIterator<Item = &'a Run>,
    others: impl IntoIterator<Item = &'a Run>,
    figure: &str,
) -> Vec<f64> {
    let others: Vec<_> = others.into_iter().collect();
    let of_round = |round| others.iter().find(|run| run.round == round)?.figures.get(figure).copied();
    runs.into_iter()
        .filter_map(|run| Some(run.figures.get(figure)? / of_round(run.round)?))
        .filter(|ratio| ratio.is_finite())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Figures;
    use crate::plan::{Effort, Workload};

    fn run(round: usize, value: f64) -> Run {
        Run {
            workload: Workload::W1,
            shape: Workload::W1.shapes(Effort::Quick)[0],
            peer: String::new(),
            round,
            figures: Figures::from([("x".to_owned(), value)]),
            failure: None,
        }
    }

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of(&[3.0, 1.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn ratios_are_of_the_same_round_and_skip_rounds_that_lack_one() {
        let runs = [run(0, 10.0), run(1, 30.0), run(2, 7.0), run(4, 1.0)];
        let others = [run(1, 10.0), run(0, 5.0), run(2, 0.0)];
        assert_eq!(ratios(&runs, &others, "x"), [2.0, 3.0]);
        assert!(ratios(&runs, &others, "y").is_empty());
    }
}
