//! Factors on the probabilities of classes before the greatest is taken.

use crate::curve::{Curve, Flip};
use crate::sample::{Blend, best};
use crate::{Metric, WeightedCounts};

/// Greatest factor, and the inverse of the least.
const GREATEST: f32 = 16.0;
/// How wide an optimum must be, as a logarithm: 5 %.
const HALF_WIDTH: f64 = 0.05;
/// Times that all classes are gone through.
const ROUNDS: u32 = 3;
/// Images of a class at which its factor is trusted half.
const HALF_TRUSTED: f64 = 20.0;

/// The logarithms of factors on each class, `[C]`, that make the metric greatest at `blend`, one class after the other, each by
/// an exact search. The most frequent class keeps 1: only ratios count.
pub(crate) fn fit(blend: &Blend, metric: Metric) -> Vec<f32> {
    let mut ln_factors = vec![0.0; blend.classes];
    let truth = blend.counts(&ln_factors).truth;
    let fixed = (0..blend.classes).max_by(|a, b| truth[*a].total_cmp(&truth[*b]).then(b.cmp(a)));
    let moved: Vec<usize> =
        (0..blend.classes).filter(|class| Some(*class) != fixed && truth[*class] > 0.0).collect();
    for _ in 0..ROUNDS {
        let before = ln_factors.clone();
        for class in &moved {
            ln_factors[*class] = search(blend, &ln_factors, *class, metric);
        }
        if before == ln_factors {
            break;
        }
    }
    ln_factors
}

/// The same, drawn towards 1 where few images have the class: by n / (n + 20).
pub(crate) fn shrunk(ln_factors: &[f32], images: &[usize]) -> Vec<f32> {
    let trust = |images: usize| images as f64 / (images as f64 + HALF_TRUSTED);
    ln_factors.iter().zip(images).map(|(f, images)| (f64::from(*f) * trust(*images)) as f32).collect()
}

/// The best logarithm of the factor on `class`, the others staying.
fn search(blend: &Blend, ln_factors: &[f32], class: usize, metric: Metric) -> f32 {
    let end = GREATEST.ln();
    let mut counts = WeightedCounts::new(blend.classes);
    let mut flips = Vec::new();
    let to = class as u16;
    let factors = blend.space.factors(ln_factors);
    for (scores, truth, weight) in blend.probes() {
        let (from, high) = without(blend, scores, &factors, class);
        let at = blend.space.ln_ratio(high, scores[class]);
        // What is certain of another class, or of this one, never flips.
        let label = if at < -end { to } else { from };
        counts.add(truth, label, weight);
        if (-end..end).contains(&at) {
            flips.push(Flip { at, truth, from, to, weight });
        }
    }
    let ends = [f64::from(-end), f64::from(end)];
    let curve = Curve::new(counts, flips, metric, ends);
    curve.best(f64::from(ln_factors[class]), HALF_WIDTH) as f32
}

/// The best class but `class`, and its score times factor.
fn without(blend: &Blend, scores: &[f32], factors: &[f32], class: usize) -> (u16, f32) {
    let (before, after) = (0..class, class + 1..blend.classes);
    let one = |range: std::ops::Range<usize>| {
        let (label, value) = best(blend.space, &scores[range.clone()], &factors[range.clone()]);
        (label + range.start as u16, value)
    };
    match (before.is_empty(), after.is_empty()) {
        (true, _) => one(after),
        (_, true) => one(before),
        _ => {
            let (low, high) = (one(before), one(after));
            if high.1 > low.1 { high } else { low }
        }
    }
}
