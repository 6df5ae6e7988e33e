//! Whether one ensemble is better than another by more than chance.

use crate::sample::Blend;
use crate::{Metric, WeightedCounts};
use marquetry_evaluation::SplitMix64;
use serde::Serialize;

/// Resamples of the bootstrap.
const RESAMPLES: u32 = 1000;

/// How much greater a metric is than another, over groups that were not fitted to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gain {
    /// The difference.
    pub gain: f64,
    /// Its standard error, by the paired bootstrap over groups.
    pub standard_error: f64,
    /// 2.5 % of the resamples have a smaller one.
    pub low: f64,
    /// 2.5 % of the resamples have a greater one.
    pub high: f64,
}

/// The gain of `new` over `old`, each the counts of every group, in the same order. Groups are drawn with replacement, both
/// sides of a group together.
pub(crate) fn gain(new: &[WeightedCounts], old: &[WeightedCounts], metric: Metric) -> Gain {
    let difference = |drawn: &mut dyn Iterator<Item = usize>| {
        let classes = new.first().map_or(0, |counts| counts.hits.len());
        let mut sums = [WeightedCounts::new(classes), WeightedCounts::new(classes)];
        for group in drawn {
            sums[0].merge(&new[group]);
            sums[1].merge(&old[group]);
        }
        sums[0].mean(metric) - sums[1].mean(metric)
    };
    let mut numbers = SplitMix64::new(0x7475_6e65);
    let mut resampled: Vec<f64> =
        (0..RESAMPLES).map(|_| difference(&mut (0..new.len()).map(|_| numbers.below(new.len())))).collect();
    resampled.sort_by(f64::total_cmp);
    let at = |share: f64| resampled[((f64::from(RESAMPLES) * share) as usize).min(resampled.len() - 1)];
    Gain {
        gain: difference(&mut (0..new.len())),
        standard_error: deviation(&resampled),
        low: at(0.025),
        high: at(0.975),
    }
}

/// Resamples of the probes.
const REDRAWN: u32 = 100;

/// How far the metric at the probes may be from that over all pixels of the same images: its standard error, by drawing probes anew
/// with Poisson's numbers. A probe that stands for itself alone has no part in it.
pub(crate) fn sampling_error(blend: &Blend, ln_factors: &[f32], metric: Metric) -> f64 {
    let labels: Vec<u16> = blend.labels(ln_factors).collect();
    let mut numbers = SplitMix64::new(0x7072_6f62);
    let redrawn = (0..REDRAWN).map(|_| {
        let mut counts = WeightedCounts::new(blend.classes);
        for ((_, truth, weight), label) in blend.probes().zip(&labels) {
            // The finite population's correction: of w pixels one is known.
            let spread = (1.0 - 1.0 / weight.max(1.0)).sqrt();
            let times = 1.0 + (poisson(&mut numbers) - 1.0) * spread;
            counts.add(truth, *label, weight * times);
        }
        counts.mean(metric)
    });
    deviation(&redrawn.collect::<Vec<_>>())
}

/// A number of Poisson's distribution of mean 1.
fn poisson(numbers: &mut SplitMix64) -> f32 {
    let share = (numbers.next() >> 11) as f64 / (1_u64 << 53) as f64;
    let (mut number, mut term) = (0.0, (-1.0_f64).exp());
    let mut sum = term;
    while share > sum && number < 12.0 {
        number += 1.0;
        term /= number;
        sum += term;
    }
    number as f32
}

fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Space;

    /// Of one class and its background: share p of n is right, so the error is that of a share.
    #[test]
    fn the_error_of_probes_is_that_of_a_share() {
        let n = 4000;
        let scores: Vec<f32> =
            (0..n).flat_map(|i| if i % 5 == 0 { [0.6, 0.4] } else { [0.4, 0.6] }).collect();
        let blend = |weight| Blend {
            classes: 2,
            space: Space::Probabilities,
            scores: scores.clone(),
            truth: vec![1; n],
            weights: vec![weight; n],
        };
        let found = sampling_error(&blend(1e6), &[0.0; 2], Metric::MeanIou);
        // IoU of class 1 is that share, of class 0 always 0: half of it.
        let right = (0.2_f64 * 0.8 / n as f64).sqrt() / 2.0;
        assert!((found / right - 1.0).abs() < 0.25, "{found} for {right}");
        assert!(sampling_error(&blend(1.0), &[0.0; 2], Metric::MeanIou) < 1e-12, "all pixels are known");
        let half = sampling_error(&blend(2.0), &[0.0; 2], Metric::MeanIou);
        assert!((half / found - 0.5_f64.sqrt()).abs() < 0.2, "{half}");
    }

    #[test]
    fn poissons_numbers_have_mean_and_variance_1() {
        let mut numbers = SplitMix64::new(5);
        let drawn: Vec<f64> = (0..20_000).map(|_| f64::from(poisson(&mut numbers))).collect();
        let mean = drawn.iter().sum::<f64>() / 2e4;
        assert!((mean - 1.0).abs() < 0.03 && (deviation(&drawn) - 1.0).abs() < 0.03, "{mean}");
    }
}
