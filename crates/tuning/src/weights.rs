//! Weights of candidates: greedy selection with replacement (Caruana et al., 2004), then exact searches between what was selected
//! and each of them, drawn towards equal weights where there is little evidence.

use crate::Metric;
use crate::line_search::between;
use crate::sample::{Growing, Sample, Space};

/// Steps of the greedy selection: beyond 25 nothing is gained (`TabRepo`).
const STEPS: usize = 25;
/// Groups at which fitted weights are trusted half.
const HALF_TRUSTED: f64 = 20.0;

/// The weights, `[candidates]`, fitted to the images `among` of `sample`, which are of `groups` groups. All are 1 where nothing
/// else can be said.
pub(crate) fn fit(
    sample: &Sample,
    among: &[usize],
    groups: usize,
    (space, ln_factors): (Space, &[f32]),
    metric: Metric,
) -> Vec<f32> {
    let Some(selected) = select(sample, among, (space, ln_factors), metric) else {
        return vec![1.0; sample.candidates];
    };
    let polished = polish(sample, among, selected, (space, ln_factors), metric);
    let number = polished.iter().filter(|weight| **weight > 0.0).count() as f32;
    let trust = (groups as f64 / (groups as f64 + HALF_TRUSTED)) as f32;
    let drawn = |weight: f32| if weight > 0.0 { trust * weight * number + (1.0 - trust) } else { 0.0 };
    polished.into_iter().map(drawn).collect()
}

/// How often each candidate was taken, as a share: the best prefix of the steps. None where no candidate has scored every image.
fn select(
    sample: &Sample,
    among: &[usize],
    (space, ln_factors): (Space, &[f32]),
    metric: Metric,
) -> Option<Vec<f32>> {
    let candidates = 0..sample.candidates;
    let mut taken = vec![0.0_f32; sample.candidates];
    let mut best: Option<(f64, Vec<f32>)> = None;
    let mut growing = Growing::new(sample, among, space);
    for step in 0..STEPS {
        let mut next: Option<(f64, bool, usize)> = None;
        for candidate in candidates.clone() {
            let mut with = taken.clone();
            with[candidate] += 1.0;
            if !sample.is_covered(&with) {
                continue;
            }
            let value = growing.counts_with(candidate, ln_factors).mean(metric);
            let (is_used, tie) = (taken[candidate] > 0.0, 1e-12);
            let is_better = next.is_none_or(|(other, was_used, _)| {
                value > other + tie || (value > other - tie && is_used && !was_used)
            });
            if is_better {
                next = Some((value, is_used, candidate));
            }
        }
        let (value, _, candidate) = next?;
        taken[candidate] += 1.0;
        growing.add(candidate);
        if best.as_ref().is_none_or(|(other, _)| value > *other + 1e-12) {
            let share = taken.iter().map(|n| n / (step + 1) as f32).collect();
            best = Some((value, share));
        }
    }
    best.map(|(_, weights)| weights)
}

/// One round of exact searches towards each candidate that has a weight.
fn polish(
    sample: &Sample,
    among: &[usize],
    mut weights: Vec<f32>,
    (space, ln_factors): (Space, &[f32]),
    metric: Metric,
) -> Vec<f32> {
    let chosen: Vec<usize> = (0..sample.candidates).filter(|k| weights[*k] > 0.0).collect();
    if chosen.len() < 2 {
        return weights;
    }
    for candidate in chosen {
        let mut alone = vec![0.0; sample.candidates];
        alone[candidate] = 1.0;
        if !sample.is_covered(&alone) {
            continue;
        }
        let (from, to) = (sample.blend(among, &weights, space), sample.blend(among, &alone, space));
        let t = between(&from, &to, ln_factors, metric);
        // A little of each stays: whether one is left out was decided before.
        let t = t.min(0.9);
        weights.iter_mut().zip(&alone).for_each(|(weight, alone)| *weight += t * (alone - *weight));
    }
    weights
}
