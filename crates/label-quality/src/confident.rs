//! Confident learning (Northcutt and others, as cleanlab has it): thresholds of self-confidence, and how many pixels are
//! confidently of another class than their label.
//!
//! `thr_k` is the mean probability of k over the pixels labelled k. A pixel counts where its most probable class m is not
//! its label and `p_m ≥ thr_m − 1e-6`. Sums are integers, so that images add in any order to the same bytes.

use marquetry_evaluation::entries;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Parts of a probability in the sums: exact to 2^-25, and 2^40 pixels fit.
const ONE: f32 = 16_777_216.0;

/// How far below its threshold a probability still counts.
const TOLERANCE: f64 = 1e-6;

/// Sums of self-confidence, by class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfidentSums {
    classes: Vec<ClassSum>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct ClassSum {
    pixels: u64,
    /// Σ p, in parts of 2^-24.
    confidence: u64,
}

impl ConfidentSums {
    /// No pixel of any of `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes: vec![ClassSum::default(); classes] }
    }

    /// Adds a pixel labelled `label`, of which that class has probability `p`, 0 to 1. Other labels do not count.
    pub fn add(&mut self, label: u16, p: f32) {
        if let Some(sum) = self.classes.get_mut(usize::from(label)) {
            sum.pixels += 1;
            // A product with a power of two is exact, and a cast takes what is no number for 0.
            sum.confidence += (p.min(1.0) * ONE).round() as u64;
        }
    }

    /// Adds the pixels of others; classes that only one side has stay as they are.
    pub fn merge(&mut self, others: &Self) {
        self.classes.resize(self.classes.len().max(others.classes.len()), ClassSum::default());
        for (sum, more) in self.classes.iter_mut().zip(&others.classes) {
            sum.pixels += more.pixels;
            sum.confidence += more.confidence;
        }
    }

    /// The thresholds.
    pub fn thresholds(&self) -> Thresholds {
        let of = |sum: &ClassSum| {
            (sum.pixels > 0).then(|| sum.confidence as f64 / f64::from(ONE) / sum.pixels as f64)
        };
        Thresholds { classes: self.classes.iter().map(of).collect() }
    }
}

/// Thresholds of self-confidence, by class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    classes: Vec<Option<f64>>,
}

impl Thresholds {
    /// That of a class; none where no pixel is labelled so, and then no pixel is confidently of it.
    pub fn of(&self, class: usize) -> Option<f64> {
        self.classes.get(class).copied().flatten()
    }
}

/// Bins of the probability of a predicted class.
const BINS: f32 = 1024.0;

/// Pixels whose most probable class is not their label, by that class and its probability: what the thresholds are held
/// against once all images are known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConfidentCounts {
    /// How many, by class and bin.
    #[serde(with = "entries")]
    pixels: BTreeMap<(u16, u16), u64>,
}

impl ConfidentCounts {
    /// Counts a pixel that is predicted to be of `class` with probability `p`, 0 to 1, and labelled otherwise.
    pub fn add(&mut self, class: u16, p: f32) {
        let bin = (p * BINS).min(BINS - 1.0) as u16;
        *self.pixels.entry((class, bin)).or_default() += 1;
    }

    /// How many are confidently of that class: those of a bin count together, by its middle, so that a pixel nearer than
    /// 1/2048 to its threshold may count otherwise than in cleanlab.
    pub fn beyond(&self, thresholds: &Thresholds) -> u64 {
        let reaches = |&(class, bin): &(u16, u16)| {
            let middle = (f64::from(bin) + 0.5) / f64::from(BINS);
            thresholds.of(usize::from(class)).is_some_and(|threshold| middle >= threshold - TOLERANCE)
        };
        self.pixels.iter().filter(|(at, _)| reaches(at)).map(|(_, pixels)| pixels).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_evaluation::LEFT_OUT;
    use proptest::prelude::*;

    /// Values of cleanlab itself.
    #[test]
    fn as_cleanlab() {
        let first = [0.9, 0.6, 0.2, 0.3, 0.1, 0.55];
        let labels = [0, 0, 0, 1, 1, 1];
        let probabilities: Vec<f32> = first.iter().copied().chain(first.iter().map(|p| 1.0 - p)).collect();
        let mut sums = ConfidentSums::new(2);
        for (x, &label) in labels.iter().enumerate() {
            sums.add(label, probabilities[usize::from(label) * 6 + x]);
        }
        let thresholds = sums.thresholds();
        let [a, b] = [0, 1].map(|class| thresholds.of(class).expect("labelled"));
        assert!((a - 0.566_667).abs() < 1e-6 && (b - 0.683_333).abs() < 1e-6, "{a} {b}");
        // Of the third and the sixth pixel the other class is more probable: .8, and .55 of the first.
        let mut counts = ConfidentCounts::default();
        counts.add(1, 0.8);
        counts.add(0, 0.55);
        assert_eq!(counts.beyond(&thresholds), 1);
        let stored = serde_json::to_string(&counts).expect("numbers");
        assert_eq!(serde_json::from_str::<ConfidentCounts>(&stored).expect("as written"), counts);
        assert_eq!(counts.beyond(&ConfidentSums::new(2).thresholds()), 0, "nothing is labelled");
    }

    #[test]
    fn a_class_that_no_pixel_has_is_never_confident() {
        let mut sums = ConfidentSums::new(2);
        sums.add(0, 0.5);
        sums.add(LEFT_OUT, 1.0);
        let thresholds = sums.thresholds();
        assert_eq!((thresholds.of(0), thresholds.of(1)), (Some(0.5), None));
        let mut counts = ConfidentCounts::default();
        counts.add(1, 0.9);
        assert_eq!(counts.beyond(&thresholds), 0);
    }

    proptest! {
        /// Sums of parts are the sums of the whole, in any order, bit by bit.
        #[test]
        fn sums_add(pixels in proptest::collection::vec((0_u16..4, 0.0_f32..=1.0), 0..60), cut in 0_usize..60) {
            let of = |pixels: &[(u16, f32)]| {
                let mut sums = ConfidentSums::new(3);
                pixels.iter().for_each(|&(label, p)| sums.add(label, p));
                sums
            };
            let (a, b) = pixels.split_at(cut.min(pixels.len()));
            let mut sum = of(b);
            sum.merge(&of(a));
            prop_assert_eq!(sum, of(&pixels));
        }
    }
}
