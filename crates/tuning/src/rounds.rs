//! In which order candidates are worth running.

use crate::sample::{Growing, Sample};
use crate::{Metric, Tuned, WeightedCounts};
use serde::Serialize;

/// Costs that differ by less than this factor are alike. They are estimates, which for models of one kind are wrong by so much, and
/// what they cannot tell is to decide nothing.
const ALIKE: f64 = 2.0;

/// A candidate, and what it and those before it come to together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// Its place among the candidates.
    pub candidate: usize,
    /// The metric of all up to this one, with the weights, the space and the factors that were fitted: what the tuned job of these
    /// members comes to.
    pub score: f64,
}

/// The candidates that `tuned` gives a weight, each the one whose gain over those before it is the greatest for what it costs; of
/// those that cost alike it is the one that gains most. The first one's gain is that over the best label for all pixels alike.
/// Where none gains anything, the one that loses least comes next, whatever it costs. `costs` are of any one unit,
/// `[candidates]`; what costs nothing scores no image and comes last.
///
/// # Panics
/// When there is not a cost for each candidate.
pub fn rounds(sample: &Sample, tuned: &Tuned, costs: &[f64], metric: Metric) -> Vec<Round> {
    assert_eq!(costs.len(), sample.candidates, "a cost for each candidate");
    let all: Vec<usize> = (0..sample.images()).collect();
    let mut left: Vec<usize> = (0..sample.candidates).filter(|k| tuned.weights[*k] > 0.0).collect();
    let costs = alike(costs, &left);
    let mut growing = Growing::new(sample, &all, tuned.space).weighing(&tuned.weights);
    let mut score = one_label(sample, metric);
    let mut rounds = Vec::new();
    while !left.is_empty() {
        let scored = left.iter().map(|candidate| {
            let with = growing.counts_with(*candidate, &tuned.ln_factors).mean(metric);
            (worth(with - score, costs[*candidate]), Round { candidate: *candidate, score: with })
        });
        let best = scored.reduce(|best, next| if next.0 > best.0 { next } else { best });
        let Some((_, best)) = best else { break };
        left.retain(|candidate| *candidate != best.candidate);
        growing.add(best.candidate);
        score = best.score;
        rounds.push(best);
    }
    rounds
}

/// How early something belongs that gains and costs so much. A loss is not made smaller by what it costs.
fn worth(gain: f64, cost: f64) -> f64 {
    match (cost > 0.0, gain > 0.0) {
        (true, true) => gain / cost,
        (true, false) => gain,
        (false, _) => f64::NEG_INFINITY,
    }
}

/// `costs` with one number for those of `among` that are alike: the least of them.
fn alike(costs: &[f64], among: &[usize]) -> Vec<f64> {
    let mut sorted: Vec<usize> = among.iter().copied().filter(|k| costs[*k] > 0.0).collect();
    sorted.sort_by(|a, b| costs[*a].total_cmp(&costs[*b]));
    let (mut alike, mut least) = (costs.to_vec(), 0.0);
    for k in sorted {
        if costs[k] > least * ALIKE {
            least = costs[k];
        }
        alike[k] = least;
    }
    alike
}

/// The metric of the one label that is best for all probes alike.
fn one_label(sample: &Sample, metric: Metric) -> f64 {
    let of = |label: usize| {
        let mut counts = WeightedCounts::new(sample.classes);
        for probes in sample.images.iter().map(|image| &image.probes) {
            let labelled = probes.truth.iter().zip(&probes.weights);
            labelled.for_each(|(truth, weight)| counts.add(*truth, label as u16, *weight));
        }
        counts.mean(metric)
    };
    (0..sample.classes).map(of).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_differences_of_costs_are_none() {
        let costs = [1.0, 10.0, 1.8, 2.1, 0.0, 12.0, 0.7];
        assert_eq!(alike(&costs, &[0, 1, 2, 3, 4, 5]), [1.0, 10.0, 1.0, 2.1, 0.0, 10.0, 0.7]);
    }

    #[test]
    fn a_gain_counts_by_its_cost_and_a_loss_does_not() {
        assert!(worth(0.1, 1.0) > worth(0.2, 3.0) && worth(0.2, 1.0) > worth(0.1, 1.0));
        assert!(worth(0.001, 1000.0) > worth(0.0, 1.0));
        assert!(worth(-0.01, 1.0) > worth(-0.02, 1000.0));
        assert!(worth(-0.5, 1.0) > worth(0.5, 0.0), "what scores no image is last");
    }
}
