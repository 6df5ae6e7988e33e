//! In which order candidates are worth running.

use crate::Metric;
use crate::sample::{Growing, Sample, Space};
use serde::Serialize;

/// A candidate, and what it and those before it come to together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// Its place among the candidates.
    pub candidate: usize,
    /// The metric of all up to this one, with the job's own weights.
    pub score: f64,
}

/// The candidates, each the one that adds most to those before it; the best single one comes first. Without factors, since these
/// are fitted to an ensemble that is there.
pub fn rounds(sample: &Sample, space: Space, metric: Metric) -> Vec<Round> {
    let all: Vec<usize> = (0..sample.images()).collect();
    let none = vec![0.0; sample.classes];
    let mut left: Vec<usize> = (0..sample.candidates).collect();
    let mut growing = Growing::new(sample, &all, space);
    let mut rounds = Vec::new();
    while !left.is_empty() {
        let scored = left.iter().map(|candidate| {
            let score = growing.counts_with(*candidate, &none).mean(metric);
            Round { candidate: *candidate, score }
        });
        let best = scored.reduce(|best, next| if next.score > best.score { next } else { best });
        let Some(best) = best else { break };
        left.retain(|candidate| *candidate != best.candidate);
        growing.add(best.candidate);
        rounds.push(best);
    }
    rounds
}
