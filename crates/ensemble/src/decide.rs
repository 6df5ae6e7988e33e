//! From scores to labels.

use crate::vectors::{Kernel, with_widest_vectors};
use serde::{Deserialize, Serialize};

/// The triplet rule of the first place of SIIM-ACR Pneumothorax: a class is in an image only if at least `area_px`
/// pixels score over `top`; its mask is then what scores over `bottom`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Triplet {
    /// Probability that counts as certain.
    pub top: f32,
    /// Fewest certain pixels, px.
    pub area_px: u64,
    /// Probability that is enough once the class is there.
    pub bottom: f32,
}

/// How probabilities become labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The class with the greatest score; of equal ones the first.
    Argmax,
    /// The class with the greatest probability times its factor; of equal ones the first.
    Factors(Vec<f32>),
    /// A class is a candidate if its probability exceeds its threshold. With exclusive classes the candidate with the
    /// greatest probability wins, and `background` where there is none; its own threshold is not used.
    Threshold(Vec<f32>),
    /// As `Threshold` with each class's `bottom`; the classes without enough certain pixels are taken out at the end.
    Triplet(Vec<Triplet>),
}

/// A rule for one job, fed with rows of scores; counts what the triplet rule must know of the whole image.
#[derive(Debug, Clone)]
pub struct Decision {
    rule: Rule,
    classes: usize,
    background: Option<usize>,
    certain: Vec<u64>,
}

impl Decision {
    /// A decision over `classes` classes. `background` is the class of pixels without a candidate; `None` means that
    /// classes are independent (multi-label) and each has its own plane of 0 and 1.
    ///
    /// # Panics
    /// When the rule does not name every class, or picks one class (argmax) where classes are independent.
    pub fn new(rule: Rule, classes: usize, background: Option<usize>) -> Self {
        let named = match &rule {
            Rule::Argmax => {
                assert!(background.is_some(), "argmax picks one class, and these are independent");
                classes
            }
            Rule::Factors(factors) => {
                assert!(background.is_some(), "argmax picks one class, and these are independent");
                factors.len()
            }
            Rule::Threshold(t) => t.len(),
            Rule::Triplet(t) => t.len(),
        };
        assert_eq!(named, classes, "the rule must name every class");
        Self { rule, classes, background, certain: vec![0; classes] }
    }

    /// Number of planes of labels: 1 for exclusive classes, one per class otherwise.
    pub const fn planes(&self) -> usize {
        if self.background.is_some() { 1 } else { self.classes }
    }

    /// Decides one row. `scores` is `[C, W]`: probabilities, or any scores for argmax. `labels` is `[planes, W]`.
    ///
    /// # Panics
    /// When the sizes do not fit.
    pub fn row(&mut self, scores: &[f32], labels: &mut [u16]) {
        let width = scores.len() / self.classes;
        assert_eq!(labels.len(), self.planes() * width);
        if let Rule::Triplet(triplets) = &self.rule {
            for ((line, t), certain) in scores.chunks_exact(width).zip(triplets).zip(&mut self.certain) {
                *certain += line.iter().filter(|&&p| p > t.top).count() as u64;
            }
        }
        match self.background {
            Some(background) => self.exclusive(scores, labels, background),
            None => self.independent(scores, labels, width),
        }
    }

    /// After the last row: which classes stay in this image. Pixels of the others become background (or 0).
    pub fn kept_classes(&self) -> Vec<bool> {
        match &self.rule {
            Rule::Triplet(triplets) => {
                let enough = self.certain.iter().zip(triplets).map(|(n, t)| *n >= t.area_px);
                enough.enumerate().map(|(class, kept)| kept || Some(class) == self.background).collect()
            }
            _ => vec![true; self.classes],
        }
    }

    fn threshold(&self, class: usize) -> f32 {
        match &self.rule {
            Rule::Argmax | Rule::Factors(_) => f32::NEG_INFINITY,
            Rule::Threshold(t) => t[class],
            Rule::Triplet(t) => t[class].bottom,
        }
    }

    fn exclusive(&self, scores: &[f32], labels: &mut [u16], background: usize) {
        let width = labels.len();
        let takes_greatest = matches!(self.rule, Rule::Argmax | Rule::Factors(_));
        let mut best = vec![f32::NEG_INFINITY; width];
        labels.fill(background as u16);
        for (class, line) in scores.chunks_exact(width).enumerate() {
            if class == background && !takes_greatest {
                continue;
            }
            let threshold = self.threshold(class);
            let factor = if let Rule::Factors(factors) = &self.rule { factors[class] } else { 1.0 };
            let (best, class) = (&mut best[..], class as u16);
            with_widest_vectors(Challenge { labels, best, line, class, factor, threshold });
        }
    }

    fn independent(&self, scores: &[f32], labels: &mut [u16], width: usize) {
        let planes = scores.chunks_exact(width).zip(labels.chunks_exact_mut(width));
        for (class, (line, plane)) in planes.enumerate() {
            let threshold = self.threshold(class);
            plane.iter_mut().zip(line).for_each(|(label, &p)| *label = u16::from(p > threshold));
        }
    }
}

/// One class against the best of those before it: it is the label of a pixel where its score is above the threshold and
/// greater than theirs.
struct Challenge<'a> {
    labels: &'a mut [u16],
    best: &'a mut [f32],
    line: &'a [f32],
    class: u16,
    factor: f32,
    threshold: f32,
}

impl Kernel for Challenge<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        let Self { labels, best, line, class, factor, threshold } = self;
        for ((label, best), score) in labels.iter_mut().zip(best).zip(line) {
            let score = factor * score;
            let wins = score > threshold && score > *best;
            *best = if wins { score } else { *best };
            *label = if wins { class } else { *label };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(rule: Rule, background: Option<usize>, scores: &[f32], width: usize) -> (Vec<u16>, Vec<bool>) {
        let classes = scores.len() / width;
        let mut decision = Decision::new(rule, classes, background);
        let mut out = vec![9; decision.planes() * width];
        decision.row(scores, &mut out);
        (out, decision.kept_classes())
    }

    #[test]
    fn argmax_takes_the_first_of_equals_and_any_sign() {
        let scores = [0.2, -5.0, 0.5, 0.2, -4.0, 0.1, 0.6, -9.0, 0.5];
        assert_eq!(labels(Rule::Argmax, Some(0), &scores, 3).0, [2, 1, 0]);
    }

    #[test]
    fn factors_are_taken_before_the_greatest_is() {
        let scores = [0.6, 0.7, 0.5, 0.4, 0.2, 0.5];
        assert_eq!(labels(Rule::Factors(vec![1.0, 2.0]), Some(0), &scores, 3).0, [1, 0, 1]);
        assert_eq!(
            labels(Rule::Factors(vec![1.0, 1.0]), Some(1), &scores, 3).0,
            [0, 0, 0],
            "the first of equals"
        );
        assert_eq!(
            labels(Rule::Factors(vec![0.5, 0.5]), Some(0), &scores, 3).0,
            [0, 0, 0],
            "only ratios count"
        );
    }

    #[test]
    fn thresholds_beat_the_background() {
        let scores = [0.7, 0.9, 0.3, 0.3, 0.1, 0.7];
        assert_eq!(labels(Rule::Threshold(vec![0.5, 0.25]), Some(0), &scores, 3).0, [1, 0, 1]);
        assert_eq!(labels(Rule::Threshold(vec![0.5, 0.25]), None, &scores, 3).0, [1, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn triplet_needs_certain_pixels() {
        let t = |area_px| Triplet { top: 0.7, area_px, bottom: 0.3 };
        let scores = [0.2, 0.5, 0.8, 0.9];
        let (out, kept) = labels(Rule::Triplet(vec![t(2)]), None, &scores, 4);
        assert_eq!((out, kept), (vec![0, 1, 1, 1], vec![true]));
        assert_eq!(labels(Rule::Triplet(vec![t(3)]), None, &scores, 4).1, [false]);
    }
}
