//! Whether a model is right as often as it says: reliability curve and expected calibration error.

use serde::{Deserialize, Serialize};

/// Bins of confidence, of equal width, as in Guo and others, "On Calibration of Modern Neural Networks" (2017).
const BINS: usize = 15;
/// Confidences add as whole numbers of this, so that sums are the same in any order.
const UNIT: f64 = (1_u32 << 24) as f64;

/// Pixels of one bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Bin {
    pixels: u64,
    right: u64,
    /// The sum of confidences, in 2⁻²⁴.
    sum: u64,
}

/// Pixels by the probability of their label, and how many of them are right. They add over images.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CalibrationCounts {
    bins: [Bin; BINS],
}

/// One point of the reliability curve: pixels whose label has a probability above `from` and up to `to`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// 0 to 1.
    pub from: f64,
    /// 0 to 1.
    pub to: f64,
    /// How many there are; at least one.
    pub pixels: u64,
    /// The mean of their probabilities.
    pub confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
}

impl CalibrationCounts {
    /// Counts a pixel whose label has probability `p`, 0 to 1, and is right or not.
    pub fn add(&mut self, p: f32, is_right: bool) {
        let p = f64::from(p).clamp(0.0, 1.0);
        let bin = &mut self.bins[((p * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
        bin.pixels += 1;
        bin.right += u64::from(is_right);
        bin.sum += (p * UNIT).round() as u64;
    }

    /// Adds those of another image.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.bins.iter_mut().zip(&other.bins) {
            sum.pixels += more.pixels;
            sum.right += more.right;
            sum.sum += more.sum;
        }
    }

    /// The reliability curve: the bins that have pixels, in ascending order.
    pub fn curve(&self) -> impl Iterator<Item = ReliabilityBin> + '_ {
        let edge = |at: usize| at as f64 / BINS as f64;
        self.bins.iter().enumerate().filter(|(_, bin)| bin.pixels > 0).map(move |(at, bin)| ReliabilityBin {
            from: edge(at),
            to: edge(at + 1),
            pixels: bin.pixels,
            confidence: bin.sum as f64 / UNIT / bin.pixels as f64,
            accuracy: bin.right as f64 / bin.pixels as f64,
        })
    }

    /// The expected calibration error: how far confidence and accuracy of a bin are apart, in the mean over pixels. None
    /// without pixels.
    pub fn expected_error(&self) -> Option<f64> {
        self.mean(|bin| (bin.confidence - bin.accuracy).abs())
    }

    /// The mean of the probabilities, less the share of pixels that are right: above 0 it is surer than it is right.
    pub fn overconfidence(&self) -> Option<f64> {
        self.mean(|bin| bin.confidence - bin.accuracy)
    }

    fn mean(&self, of: impl Fn(ReliabilityBin) -> f64) -> Option<f64> {
        let pixels: u64 = self.bins.iter().map(|bin| bin.pixels).sum();
        let sum: f64 = self.curve().map(|bin| bin.pixels as f64 * of(bin)).sum();
        (pixels > 0).then(|| sum / pixels as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pixels: &[(f32, bool)]) -> CalibrationCounts {
        let mut counts = CalibrationCounts::default();
        pixels.iter().for_each(|(p, is_right)| counts.add(*p, *is_right));
        counts
    }

    #[test]
    fn errors_by_hand() {
        let counts = of(&[(0.95, true), (0.95, false), (0.65, true), (0.55, false)]);
        // (2 · .45 + .35 + .55) / 4, and (.95 · 2 + .65 + .55 − 2) / 4.
        assert!((counts.expected_error().unwrap() - 0.45).abs() < 1e-6);
        assert!((counts.overconfidence().unwrap() - 0.275).abs() < 1e-6);
        let curve: Vec<_> = counts.curve().map(|bin| (bin.pixels, bin.accuracy)).collect();
        assert_eq!(curve, [(1, 0.0), (1, 1.0), (2, 0.5)]);
        assert_eq!(CalibrationCounts::default().expected_error(), None);
    }

    #[test]
    fn the_ends_and_edges_have_a_bin() {
        let curve = |p| of(&[(p, true)]).curve().next().unwrap();
        assert_eq!((curve(0.0).from, curve(1.0).to), (0.0, 1.0));
        assert_eq!(curve(0.2).to, 0.2 + 1.0 / 15.0, "0.2 as f32 lies above 3/15");
        assert_eq!((curve(1.5).confidence, curve(f32::NAN).pixels), (1.0, 1), "no panic");
    }

    #[test]
    fn counts_add_in_any_order() {
        let pixels: Vec<(f32, bool)> = (0..999).map(|n| (n as f32 / 998.0, n % 3 == 0)).collect();
        let (a, b) = pixels.split_at(400);
        let mut sum = of(b);
        sum.merge(&of(a));
        assert_eq!(sum, of(&pixels));
    }
}
