//! Whether two models give the same labels: the model as it is and one that is computed otherwise.

use crate::{Labelling, OutputActivation};

/// Labels of two models, or of one that is run in two ways, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LabelAgreement {
    /// Labels: of each pixel one, or one for each class where classes do not exclude each other.
    pub labels: u64,
    /// Those that are the same.
    pub same: u64,
    /// Numbers of the second model that are none, or infinite.
    pub not_finite: u64,
    /// The greatest size of a score of the second model.
    pub largest: f64,
}

impl LabelAgreement {
    /// Counts one window: scores of both, `[channels, pixels]`.
    pub fn of(rule: LabelRule, first: &[f32], other: &[f32], channels: usize) -> Self {
        let mut counts = Self::default();
        for number in other {
            if number.is_finite() {
                counts.largest = counts.largest.max(f64::from(number.abs()));
            } else {
                counts.not_finite += 1;
            }
        }
        match rule {
            LabelRule::Greatest if channels > 1 => {
                let pixels = first.len() / channels;
                for pixel in 0..pixels {
                    counts.labels += 1;
                    let is_same = greatest(first, pixel, pixels) == greatest(other, pixel, pixels);
                    counts.same += u64::from(is_same);
                }
            }
            LabelRule::Greatest | LabelRule::Number => {
                counts.labels = first.len() as u64;
                counts.same = first.iter().zip(other).filter(|(a, b)| a == b).count() as u64;
            }
            LabelRule::Above(least) => {
                counts.labels = first.len() as u64;
                let same = first.iter().zip(other).filter(|(a, b)| (**a > least) == (**b > least));
                counts.same = same.count() as u64;
            }
        }
        counts
    }

    /// Both together.
    #[must_use]
    pub fn joined(self, more: Self) -> Self {
        Self {
            labels: self.labels + more.labels,
            same: self.same + more.same,
            not_finite: self.not_finite + more.not_finite,
            largest: self.largest.max(more.largest),
        }
    }

    /// Share of labels that are the same.
    pub fn share(&self) -> f64 {
        if self.labels == 0 { 0.0 } else { self.same as f64 / self.labels as f64 }
    }
}

/// The channel with the greatest score of a pixel, the first of equals.
fn greatest(scores: &[f32], pixel: usize, pixels: usize) -> usize {
    let (mut best, mut score) = (0, f32::NEG_INFINITY);
    for (channel, of) in scores.iter().skip(pixel).step_by(pixels).enumerate() {
        if *of > score {
            (best, score) = (channel, *of);
        }
    }
    best
}

/// How scores become labels here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LabelRule {
    /// The channel with the greatest.
    Greatest,
    /// Each channel where it is above this: a probability of one half.
    Above(f32),
    /// They are labels.
    Number,
}

impl LabelRule {
    /// The rule for scores to which `applied` has been applied, in so many channels.
    pub fn of(applied: OutputActivation, labelling: Labelling, channels: usize) -> Self {
        match (applied, channels, labelling) {
            (OutputActivation::Labels, ..) => Self::Number,
            (OutputActivation::None, 1, _) | (OutputActivation::None, _, Labelling::Multilabel) => {
                Self::Above(0.0)
            }
            (_, 1, _) | (_, _, Labelling::Multilabel) => Self::Above(0.5),
            _ => Self::Greatest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Labelling::{Multiclass, Multilabel};

    #[test]
    fn labels_are_compared_as_a_job_decides_them() {
        let rule = |applied, labelling, channels| LabelRule::of(applied, labelling, channels);
        assert_eq!(rule(OutputActivation::None, Multiclass, 3), LabelRule::Greatest);
        assert_eq!(rule(OutputActivation::Softmax, Multiclass, 3), LabelRule::Greatest);
        assert_eq!(rule(OutputActivation::None, Multiclass, 1), LabelRule::Above(0.0));
        assert_eq!(rule(OutputActivation::Sigmoid, Multilabel, 3), LabelRule::Above(0.5));
        assert_eq!(rule(OutputActivation::None, Multilabel, 3), LabelRule::Above(0.0));
        assert_eq!(rule(OutputActivation::Labels, Multiclass, 1), LabelRule::Number);
        // Two channels of three pixels; the second pixel changes sides, and the third is a tie in both.
        let counts = LabelAgreement::of(
            LabelRule::Greatest,
            &[1.0, 2.0, 5.0, 0.0, 1.0, 5.0],
            &[1.0, 1.0, 5.0, 0.5, 2.0, 5.0],
            2,
        );
        assert_eq!((counts.labels, counts.same, counts.largest), (3, 2, 5.0));
        let counts = LabelAgreement::of(LabelRule::Above(0.5), &[0.4, 0.6], &[0.4, 0.5], 2);
        assert_eq!((counts.labels, counts.same), (2, 1));
        let broken = LabelAgreement::of(LabelRule::Greatest, &[0.0, 1.0], &[f32::NAN, f32::INFINITY], 2);
        assert_eq!((broken.not_finite, broken.same), (2, 1));
    }
}
