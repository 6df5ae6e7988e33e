//! How sure the first members of a cascade must be, so that hardly anything is lost where no others look.

use crate::counts::Sweep;
use crate::sample::{Sample, Space, best};
use crate::tune::Parts;
use crate::{Metric, Tuned, WeightedCounts};
use serde::Serialize;

/// What the metric may lose where only the first members look.
pub const LOSS_MAX: f64 = 1e-3;
/// The greatest margin there is: only pixels of one probability of 1 are sure.
const NEVER: f32 = 1.0;

/// A margin that was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FittedMargin {
    /// A pixel is sure where the first members' probabilities lead by at least so much, 0 to 1; 1 where no less will do.
    pub margin: f32,
    /// The share of pixels that are sure then, 0 to 1.
    pub sure: f64,
    /// What the metric of all members loses by it, over all probes.
    pub loss: f64,
    /// What it loses where the margin was fitted to other groups of images: the one to believe.
    pub held_out_loss: f64,
}

/// A probe, as far as a cascade knows it.
struct Pair {
    margin: f32,
    truth: u16,
    /// The labels of the first members, and of all.
    first: u16,
    all: u16,
    weight: f32,
}

/// The least margin with which the metric of the ensemble `tuned` loses at most [`LOSS_MAX`], over all images and in each fifth of their
/// groups, where its members `first` (`[candidates]`) look at everything and the others only at what these are unsure of. `agreement`:
/// the least share of the first members that must give a sure pixel its label, each by itself. `None` where an image has none of the first, or
/// none of the others.
///
/// # Panics
/// When there is not a word on each candidate.
pub fn fit_margin(
    sample: &Sample,
    tuned: &Tuned,
    first: &[bool],
    agreement: Option<f32>,
    metric: Metric,
) -> Option<FittedMargin> {
    assert_eq!(first.len(), sample.candidates, "a word on each candidate");
    let of = |is: bool| -> Vec<f32> {
        let weights = tuned.weights.iter().zip(first);
        weights.map(|(weight, first)| if *first == is { *weight } else { 0.0 }).collect()
    };
    let (own, others) = (of(true), of(false));
    if !sample.is_covered(&own) || !sample.is_covered(&others) {
        return None;
    }
    let parts = Parts::of(sample);
    let mut pairs: Vec<Vec<Pair>> = (0..parts.number.max(1)).map(|_| Vec::new()).collect();
    for image in 0..sample.images() {
        let part = parts.images.get(image).map_or(0, |(part, _)| *part);
        pairs[part].extend(pairs_of(sample, image, tuned, &own, agreement));
    }
    let classes = sample.classes;
    let all: Vec<&Pair> = pairs.iter().flatten().collect();
    // One margin for all would be that of the images in which the first members know themselves best.
    let each: Vec<f32> =
        pairs.iter().map(|of| least_margin(&of.iter().collect::<Vec<_>>(), classes, metric)).collect();
    let greatest = |without: Option<usize>| {
        let taken: Vec<usize> = (0..pairs.len()).filter(|part| Some(*part) != without).collect();
        let together: Vec<&Pair> = taken.iter().flat_map(|part| &pairs[*part]).collect();
        taken.iter().map(|part| each[*part]).fold(least_margin(&together, classes, metric), f32::max)
    };
    let margin = greatest(None);
    let by_others = |part: usize| if pairs.len() > 1 { greatest(Some(part)) } else { margin };
    let mut held_out: Vec<(&Pair, f32)> = Vec::new();
    for (part, pairs) in pairs.iter().enumerate() {
        let margin = by_others(part);
        held_out.extend(pairs.iter().map(|pair| (pair, margin)));
    }
    let at = |margin: f32| all.iter().map(move |pair| (*pair, margin));
    let score = |probes: &mut dyn Iterator<Item = (&Pair, f32)>| {
        let mut counts = WeightedCounts::new(classes);
        for (pair, margin) in probes {
            let label = if pair.margin >= margin { pair.first } else { pair.all };
            counts.add(pair.truth, label, pair.weight);
        }
        counts.mean(metric)
    };
    let whole = score(&mut at(f32::INFINITY));
    let weight =
        |pairs: &mut dyn Iterator<Item = &&Pair>| pairs.map(|pair| f64::from(pair.weight)).sum::<f64>();
    let sure = weight(&mut all.iter().filter(|pair| pair.margin >= margin));
    Some(FittedMargin {
        margin,
        sure: sure / weight(&mut all.iter()).max(f64::MIN_POSITIVE),
        loss: whole - score(&mut at(margin)),
        held_out_loss: whole - score(&mut held_out.into_iter()),
    })
}

/// The probes of an image, by what the first members (of these weights) and all say.
fn pairs_of(
    sample: &Sample,
    image: usize,
    tuned: &Tuned,
    first: &[f32],
    agreement: Option<f32>,
) -> Vec<Pair> {
    let (space, classes) = (tuned.space, sample.classes);
    let factors = space.factors(&tuned.ln_factors);
    let own = sample.image_scores(image, first, space);
    let all = sample.image_scores(image, &tuned.weights, space);
    let agree = agreement.map(|least| (least, sample.agreement(image, first, (space, &factors), &own)));
    let probes = &sample.images[image].probes;
    let pair = |at: usize| {
        let [own, all] = [&own, &all].map(|scores| &scores[at * classes..][..classes]);
        let is_agreed = agree.as_ref().is_none_or(|(least, agree)| agree[at] >= *least);
        // Those who disagree are never sure.
        let margin = if is_agreed { lead(space, own, &tuned.ln_factors) } else { f32::NEG_INFINITY };
        let (first, all) = (best(space, own, &factors).0, best(space, all, &factors).0);
        Pair { margin, truth: probes.truth[at], first, all, weight: probes.weights[at] }
    };
    (0..probes.truth.len()).map(pair).collect()
}

/// By how much the greatest probability times its factor leads, as a share of all.
fn lead(space: Space, scores: &[f32], ln_factors: &[f32]) -> f32 {
    let logits = scores.iter().zip(ln_factors).map(|(score, ln_factor)| match space {
        Space::Probabilities => score.ln() + ln_factor,
        Space::Logits => score + ln_factor,
    });
    let logits: Vec<f32> = logits.collect();
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut first, mut second, mut sum) = (0.0_f32, 0.0_f32, 0.0_f32);
    for share in logits.iter().map(|logit| (logit - most).exp()) {
        sum += share;
        (first, second) = if share > first { (share, first) } else { (first, second.max(share)) };
    }
    if sum > 0.0 { (first - second) / sum } else { 0.0 }
}

/// The least margin from which on no greater one loses more than [`LOSS_MAX`].
fn least_margin(pairs: &[&Pair], classes: usize, metric: Metric) -> f32 {
    let mut counts = WeightedCounts::new(classes);
    pairs.iter().for_each(|pair| counts.add(pair.truth, pair.all, pair.weight));
    let whole = counts.mean(metric);
    let mut sorted: Vec<&&Pair> = pairs.iter().filter(|pair| pair.margin >= 0.0).collect();
    sorted.sort_by(|a, b| b.margin.total_cmp(&a.margin));
    let mut sweep = Sweep::new(counts, metric);
    let mut margin = NEVER;
    for alike in sorted.chunk_by(|a, b| a.margin == b.margin) {
        for pair in alike.iter().filter(|pair| pair.first != pair.all) {
            sweep.relabel(pair.truth, pair.all, pair.first, pair.weight);
        }
        if whole - sweep.mean() > LOSS_MAX {
            return margin;
        }
        margin = alike[0].margin.min(NEVER);
    }
    // Of what is less sure than any probe nothing is known.
    margin
}

#[cfg(test)]
#[path = "margin_tests.rs"]
mod tests;
