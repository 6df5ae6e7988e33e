//! What of all that can be fitted is worth it: step by step, each accepted only if it gains more than one standard error on
//! groups that it was not fitted to.

use crate::accept::{Gain, gain, sampling_error};
use crate::sample::{Sample, Space};
use crate::{Metric, WeightedCounts, factors, weights};
use serde::Serialize;
use std::collections::BTreeSet;

/// Parts that groups are cut into for cross-validation.
const PARTS: usize = 5;

/// What an ensemble is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The space in which members are merged.
    pub space: Space,
    /// Factors on the job's own weights, `[candidates]`; 0 leaves a candidate out.
    pub weights: Vec<f32>,
    /// Logarithms of factors on the probabilities of classes, `[C]`: the job's own where others are no better.
    pub ln_factors: Vec<f32>,
    /// The metric of the job as it is, over all probes.
    pub before: f64,
    /// How far that may be from the metric over all pixels of these images: its standard error.
    pub sampling_error: f64,
    /// The metric of what was fitted, over all probes: of the data that it was fitted to.
    pub after: f64,
    /// What was tried.
    pub steps: Vec<Step>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It gains more than one standard error.
    Accepted,
    /// It does not.
    NoGain,
    /// There is one group only, so nothing says how it does on another.
    OneGroup,
    /// Fewer than two candidates.
    NothingToWeigh,
    /// Too few images to fit to some and look at others.
    TooFew,
}

/// Something that was tried, on top of what had been accepted before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// `logits` or `probabilities`, `class factors`, `member weights`.
    pub name: &'static str,
    /// The metric over all probes when it is fitted to all of them.
    pub fitted: Option<f64>,
    /// The metric when each part is scored by what was fitted to the others.
    pub held_out: Option<f64>,
    /// What it gains over what had been accepted, in the same way.
    pub gain: Option<Gain>,
    /// What became of it.
    pub verdict: Verdict,
}

/// What is fitted of an ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Recipe {
    space: Space,
    factors: bool,
    weights: bool,
}

/// An ensemble that was fitted.
struct Fitted {
    weights: Vec<f32>,
    ln_factors: Vec<f32>,
}

/// Fits what gains: the space, class factors, weights of candidates, in this order. The space and the logarithms of class factors
/// are the job's own. Sums are taken in the order of images, so equal samples give equal numbers.
///
/// # Panics
/// When there is not a factor for each class.
pub fn tune(sample: &Sample, (space, own_factors): (Space, &[f32]), metric: Metric) -> Tuned {
    assert_eq!(own_factors.len(), sample.classes, "a factor for each class");
    let all: Vec<usize> = (0..sample.images()).collect();
    let parts = Parts::of(sample);
    let mut accepted = Recipe { space, factors: false, weights: false };
    let as_it_is = sample.blend(&all, &vec![1.0; sample.candidates], space);
    let (before, sampling_error) =
        (as_it_is.mean(own_factors, metric), sampling_error(&as_it_is, own_factors, metric));
    drop(as_it_is);
    let mut held = parts.held_out(sample, (accepted, own_factors), metric);
    let other = if space == Space::Probabilities { Space::Logits } else { Space::Probabilities };
    let name = if other == Space::Logits { "logits" } else { "probabilities" };
    let mut steps = Vec::new();
    for (name, recipe) in [
        (name, |was: Recipe, other| Recipe { space: other, ..was }),
        ("class factors", |was: Recipe, _| Recipe { factors: true, ..was }),
        ("member weights", |was: Recipe, _| Recipe { weights: true, ..was }),
    ] as [(&'static str, fn(Recipe, Space) -> Recipe); 3]
    {
        let recipe = recipe(accepted, other);
        let unjudged = |verdict| Step { name, fitted: None, held_out: None, gain: None, verdict };
        if (recipe.weights || recipe.space != space) && sample.candidates < 2 {
            steps.push(unjudged(Verdict::NothingToWeigh));
            continue;
        }
        if parts.number < 2 {
            steps.push(unjudged(Verdict::TooFew));
            continue;
        }
        if recipe.weights && sample.groups() < 2 {
            steps.push(unjudged(Verdict::OneGroup));
            continue;
        }
        let counts = parts.held_out(sample, (recipe, own_factors), metric);
        let gained = gain(&counts, &held, metric);
        let is_better = gained.gain > gained.standard_error;
        let sum = |counts: &[WeightedCounts]| {
            let mut sum = WeightedCounts::new(sample.classes);
            counts.iter().for_each(|own| sum.merge(own));
            sum.mean(metric)
        };
        let fitted = fit(sample, &all, (recipe, own_factors), metric);
        steps.push(Step {
            name,
            fitted: Some(sample.blend(&all, &fitted.weights, recipe.space).mean(&fitted.ln_factors, metric)),
            held_out: Some(sum(&counts)),
            gain: Some(gained),
            verdict: if is_better { Verdict::Accepted } else { Verdict::NoGain },
        });
        if is_better {
            (accepted, held) = (recipe, counts);
        }
    }
    let Fitted { weights, ln_factors } = fit(sample, &all, (accepted, own_factors), metric);
    let after = sample.blend(&all, &weights, accepted.space).mean(&ln_factors, metric);
    Tuned { space: accepted.space, weights, ln_factors, before, sampling_error, after, steps }
}

/// What `recipe` comes to at the images `among`.
fn fit(sample: &Sample, among: &[usize], (recipe, own_factors): (Recipe, &[f32]), metric: Metric) -> Fitted {
    let mut fitted = Fitted { weights: vec![1.0; sample.candidates], ln_factors: own_factors.to_vec() };
    let images = sample.images_of_classes(among);
    let fit_factors = |weights: &[f32]| {
        let blend = sample.blend(among, weights, recipe.space);
        factors::shrunk(&factors::fit(&blend, metric), &images)
    };
    if recipe.factors {
        fitted.ln_factors = fit_factors(&fitted.weights);
    }
    if recipe.weights {
        let groups: BTreeSet<usize> = among.iter().map(|image| sample.images[*image].group).collect();
        let how = (recipe.space, fitted.ln_factors.as_slice());
        fitted.weights = weights::fit(sample, among, groups.len(), how, metric);
        if recipe.factors {
            fitted.ln_factors = fit_factors(&fitted.weights);
        }
    }
    fitted
}

/// The parts of cross-validation. Groups are not torn apart; where there is one, its images are.
pub(crate) struct Parts {
    /// Of each image: its part, and what is drawn together with it.
    pub(crate) images: Vec<(usize, usize)>,
    /// Number of parts.
    pub(crate) number: usize,
    /// Number of what is drawn together.
    units: usize,
}

impl Parts {
    pub(crate) fn of(sample: &Sample) -> Self {
        let one_group = sample.groups() < 2;
        let mut known: Vec<usize> = Vec::new();
        let units: Vec<usize> = sample
            .images
            .iter()
            .enumerate()
            .map(|(image, of)| {
                let group = if one_group { image } else { of.group };
                known.iter().position(|other| *other == group).unwrap_or_else(|| {
                    known.push(group);
                    known.len() - 1
                })
            })
            .collect();
        let number = PARTS.min(known.len());
        let images = units.iter().map(|unit| (unit % number.max(1), *unit)).collect();
        Self { images, number, units: known.len() }
    }

    /// The counts of each unit, scored by what was fitted to the other parts.
    fn held_out(
        &self,
        sample: &Sample,
        (recipe, own_factors): (Recipe, &[f32]),
        metric: Metric,
    ) -> Vec<WeightedCounts> {
        let mut counts = vec![WeightedCounts::new(sample.classes); self.units];
        for part in 0..self.number {
            let (own, others): (Vec<usize>, Vec<usize>) =
                (0..sample.images()).partition(|image| self.images[*image].0 == part);
            let fitted = fit(sample, &others, (recipe, own_factors), metric);
            for image in own {
                let blend = sample.blend(&[image], &fitted.weights, recipe.space);
                counts[self.images[image].1].merge(&blend.counts(&fitted.ln_factors));
            }
        }
        counts
    }
}

#[cfg(test)]
#[path = "tune_tests.rs"]
mod tests;
