//! An exact search for the weight of one candidate.

use crate::curve::{Curve, Flip};
use crate::sample::Blend;
use crate::{Metric, WeightedCounts};

/// How wide an optimum must be, as a share of all weight.
const HALF_WIDTH: f64 = 0.02;

/// Where on the way from one ensemble to another the metric is greatest: 0 is `from`, 1 is `to`. On the way the score of a class
/// is a line, and the label the line on top, so the metric is known exactly everywhere (techniques of machine translation's
/// minimum error rate training).
pub(crate) fn between(from: &Blend, to: &Blend, ln_factors: &[f32], metric: Metric) -> f32 {
    let mut counts = WeightedCounts::new(from.classes);
    let mut flips = Vec::new();
    let factors = from.space.factors(ln_factors);
    let pairs = from.probes().zip(to.probes()).zip(from.labels(ln_factors));
    for (((start, truth, weight), (end, ..)), mut label) in pairs {
        let line = |class: usize| {
            let at = |scores: &[f32]| from.space.times(scores[class], factors[class]);
            (at(start), at(end) - at(start))
        };
        counts.add(truth, label, weight);
        let mut at = 0.0_f32;
        while let Some((next, above)) = overtaken(from.classes, &line, usize::from(label), at) {
            flips.push(Flip { at: next, truth, from: label, to: above as u16, weight });
            (at, label) = (next, above as u16);
        }
    }
    Curve::new(counts, flips, metric, [0.0, 1.0]).best(0.0, HALF_WIDTH) as f32
}

/// Where after `from` the line of `label` is first crossed by a steeper one, and whose that is.
fn overtaken(
    classes: usize,
    line: &impl Fn(usize) -> (f32, f32),
    label: usize,
    from: f32,
) -> Option<(f32, usize)> {
    let (own, slope) = line(label);
    let mut first: Option<(f32, usize, f32)> = None;
    for class in (0..classes).filter(|class| *class != label) {
        let (other, steeper) = line(class);
        if steeper <= slope {
            continue;
        }
        let at = ((own - other) / (steeper - slope)).max(from);
        let is_first = first.is_none_or(|(first, _, most)| at < first || (at == first && steeper > most));
        if at < 1.0 && is_first {
            first = Some((at, class, steeper));
        }
    }
    first.map(|(at, class, _)| (at, class))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Space;
    use marquetry_evaluation::SplitMix64;

    fn random(random: &mut SplitMix64, probes: usize, classes: usize, truth: &[u16]) -> Blend {
        let scores = (0..probes * classes).map(|_| random.below(1 << 20) as f32 / (1 << 20) as f32).collect();
        Blend {
            classes,
            space: Space::Probabilities,
            scores,
            truth: truth.to_vec(),
            weights: vec![1.0; probes],
        }
    }

    /// The curve is that of brute force.
    #[test]
    fn the_way_is_known_exactly() {
        let (probes, classes) = (400, 5);
        let mut numbers = SplitMix64::new(3);
        let truth: Vec<u16> = (0..probes).map(|_| numbers.below(classes) as u16).collect();
        let (a, b) =
            (random(&mut numbers, probes, classes, &truth), random(&mut numbers, probes, classes, &truth));
        let ln_factors = [0.0, 0.3, -0.2, 0.0, 0.1];
        let found = between(&a, &b, &ln_factors, Metric::MeanIou);
        let at = |t: f32| {
            let mixed = a.scores.iter().zip(&b.scores).map(|(a, b)| a + t * (b - a)).collect();
            Blend { scores: mixed, ..a.clone() }.mean(&ln_factors, Metric::MeanIou)
        };
        let around = |t: f32| {
            let places = (-20..=20).map(|n| (t + n as f32 / 1000.0).clamp(0.0, 1.0));
            places.map(at).sum::<f64>() / 41.0
        };
        let best = (0..=100).map(|n| around(n as f32 / 100.0)).fold(0.0, f64::max);
        assert!(around(found) > best - 5e-4, "{} at {found}, {best} elsewhere", around(found));
    }
}
