//! A metric as a function of one number, and where it is best.

use crate::counts::Sweep;
use crate::{Metric, WeightedCounts};

/// A label that changes where the number passes `at`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Flip {
    pub(crate) at: f32,
    pub(crate) truth: u16,
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) weight: f32,
}

/// The exact metric between two ends: constant between flips (Och's line search, 2003).
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    ends: [f64; 2],
    /// Where each piece ends, and the integral of the metric up to there.
    pieces: Vec<(f64, f64)>,
    /// The metric in each piece.
    values: Vec<f64>,
}

impl Curve {
    /// The curve that begins with `counts` at the first of `ends`; `flips` lie between them.
    pub(crate) fn new(counts: WeightedCounts, mut flips: Vec<Flip>, metric: Metric, ends: [f64; 2]) -> Self {
        flips.sort_by(|a, b| a.at.total_cmp(&b.at));
        let mut sweep = Sweep::new(counts, metric);
        let (mut pieces, mut values) = (Vec::new(), Vec::new());
        let (mut at, mut integral) = (ends[0], 0.0);
        for flip in flips {
            let next = f64::from(flip.at).clamp(ends[0], ends[1]);
            if next > at {
                let value = sweep.mean();
                integral += value * (next - at);
                pieces.push((next, integral));
                values.push(value);
                at = next;
            }
            sweep.relabel(flip.truth, flip.from, flip.to, flip.weight);
        }
        if at < ends[1] {
            let value = sweep.mean();
            pieces.push((ends[1], integral + value * (ends[1] - at)));
            values.push(value);
        }
        Self { ends, pieces, values }
    }

    /// The integral from the first end to `x`.
    fn integral(&self, x: f64) -> f64 {
        let piece = self.pieces.partition_point(|(end, _)| *end < x).min(self.pieces.len() - 1);
        let (start, before) = if piece == 0 { (self.ends[0], 0.0) } else { self.pieces[piece - 1] };
        before + self.values[piece] * (x - start)
    }

    /// Mean of the metric within `half` of `x`.
    fn around(&self, x: f64, half: f64) -> f64 {
        let [from, to] = [(x - half).max(self.ends[0]), (x + half).min(self.ends[1])];
        (self.integral(to) - self.integral(from)) / (to - from)
    }

    /// Where the mean of the metric within `half` is greatest, in steps of `half / 4`: an optimum that is only a point wide is an
    /// accident of the sample. Of equal ones the nearest to `start`, which stays where nothing is better.
    pub(crate) fn best(&self, start: f64, half: f64) -> f64 {
        if self.pieces.is_empty() {
            return start;
        }
        let step = half / 4.0;
        let steps = ((self.ends[1] - self.ends[0]) / step).floor() as u32;
        let places = (0..=steps).map(|n| self.ends[0] + f64::from(n) * step);
        let mut best = (start, self.around(start.clamp(self.ends[0], self.ends[1]), half));
        for x in places {
            let value = self.around(x, half);
            let nearer = (x - start).abs() < (best.0 - start).abs();
            if value > best.1 + 1e-12 || (value > best.1 - 1e-12 && nearer) {
                best = (x, value);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One class of one pixel that is right between .2 and .3, and one of many that is right between .5 and .9.
    #[test]
    fn a_wide_optimum_is_taken_before_a_point() {
        let flip = |at, from, to, weight| Flip { at, truth: 1, from, to, weight };
        let mut counts = WeightedCounts::new(2);
        counts.add(1, 0, 1.0);
        counts.add(1, 0, 5.0);
        counts.add(0, 0, 10.0);
        let flips =
            vec![flip(0.9, 1, 0, 5.0), flip(0.2, 0, 1, 6.0), flip(0.205, 1, 0, 6.0), flip(0.5, 0, 1, 5.0)];
        let curve = Curve::new(counts, flips, Metric::MeanIou, [0.0, 1.0]);
        let at = |x| curve.around(x, 1e-4);
        assert!(at(0.2025) > at(0.7) && at(0.7) > at(0.3), "{} {} {}", at(0.2025), at(0.7), at(0.3));
        let best = curve.best(0.1, 0.04);
        assert!((0.54..0.86).contains(&best), "{best}");
        // All of it: (16 - 6) / 16 and 6 / 6 in pieces.
        let right = [(0.2, 0.625 / 2.0), (0.205, 1.0), (0.5, 0.625 / 2.0)];
        let mut from = 0.0;
        for (to, value) in right {
            assert!((curve.around(f64::midpoint(from, to), 1e-4) - value).abs() < 1e-9, "{to}");
            from = to;
        }
    }

    #[test]
    fn where_nothing_is_better_the_start_stays() {
        let curve = Curve::new(WeightedCounts::new(2), Vec::new(), Metric::MeanDice, [-1.0, 1.0]);
        assert_eq!(curve.best(0.25, 0.1), 0.25);
    }
}
