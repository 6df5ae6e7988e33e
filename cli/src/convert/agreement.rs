//! How far two models agree on windows of a job, and whether that is enough.

use marquetry_ensemble::{Labelling, OutputActivation};
use marquetry_model::Difference;

/// Of all labels that the f32 model gives at least this share must be the same.
pub(crate) const AGREE_MIN: f64 = 0.999;
/// By so much the mean IoU may differ, where there is truth.
pub(crate) const IOU_APART_MAX: f64 = 0.001;
/// Scores may be no greater: half precision ends at 65,504, and other images have greater ones.
pub(crate) const SCORE_MAX: f64 = 3e4;

/// What both models gave.
#[derive(Debug, Clone, Default)]
pub(crate) struct Agreement {
    pub(crate) windows: usize,
    pub(crate) images: usize,
    pub(crate) counts: Counts,
    pub(crate) difference: Difference,
    /// Whether the models give labels, and no scores.
    pub(crate) are_labels: bool,
    /// Mean IoU of the model as it was, and of the converted one; where there is truth.
    pub(crate) mean_iou: Option<(f64, f64)>,
}

/// Labels and numbers, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    /// Labels: of each pixel one, or one for each class where classes do not exclude each other.
    pub(crate) labels: u64,
    /// Those that are the same.
    pub(crate) same: u64,
    /// Numbers of the converted model that are none, or infinite.
    pub(crate) not_finite: u64,
    /// The greatest size of a score of the converted model.
    pub(crate) largest: f64,
}

impl Counts {
    /// Counts one window: `[channels, pixels]` of both.
    pub(crate) fn of(rule: LabelRule, first: &[f32], other: &[f32], channels: usize) -> Self {
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

    pub(crate) fn joined(self, more: Self) -> Self {
        Self {
            labels: self.labels + more.labels,
            same: self.same + more.same,
            not_finite: self.not_finite + more.not_finite,
            largest: self.largest.max(more.largest),
        }
    }

    /// Share of labels that are the same.
    pub(crate) fn share(&self) -> f64 {
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
pub(crate) enum LabelRule {
    /// The channel with the greatest.
    Greatest,
    /// Each channel where it is above this: a probability of one half.
    Above(f32),
    /// They are labels.
    Number,
}

impl LabelRule {
    pub(crate) fn of(applied: OutputActivation, labelling: Labelling, channels: usize) -> Self {
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

impl Agreement {
    /// Why the converted model is not good enough; none where it is.
    pub(crate) fn refusal(&self) -> Option<String> {
        let counts = &self.counts;
        if counts.labels == 0 {
            return Some("no label could be compared".into());
        }
        if counts.not_finite > 0 {
            return Some(format!("{} of its scores are no numbers, or infinite", counts.not_finite));
        }
        if counts.largest >= SCORE_MAX {
            return Some(format!(
                "its scores reach {:.3e}, and may not reach {SCORE_MAX:.0e}",
                counts.largest
            ));
        }
        if counts.share() < AGREE_MIN {
            return Some(format!(
                "{} of labels are the same, and {:.1} % are needed",
                percent(counts.share()),
                100.0 * AGREE_MIN
            ));
        }
        let (before, after) = self.mean_iou?;
        ((before - after).abs() > IOU_APART_MAX).then(|| {
            format!(
                "its mean IoU is {after:.5} and was {before:.5}, and may differ by {IOU_APART_MAX} at most"
            )
        })
    }
}

/// A share in percent, not rounded up to all of them.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", (share * 1e6).floor() / 1e4)
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
        let counts = Counts::of(
            LabelRule::Greatest,
            &[1.0, 2.0, 5.0, 0.0, 1.0, 5.0],
            &[1.0, 1.0, 5.0, 0.5, 2.0, 5.0],
            2,
        );
        assert_eq!((counts.labels, counts.same, counts.largest), (3, 2, 5.0));
        let counts = Counts::of(LabelRule::Above(0.5), &[0.4, 0.6], &[0.4, 0.5], 2);
        assert_eq!((counts.labels, counts.same), (2, 1));
        let broken = Counts::of(LabelRule::Greatest, &[0.0, 1.0], &[f32::NAN, f32::INFINITY], 2);
        assert_eq!((broken.not_finite, broken.same), (2, 1));
    }

    #[test]
    fn what_is_not_good_enough_is_said() {
        let good = Counts { labels: 1000, same: 999, not_finite: 0, largest: 10.0 };
        let with = |counts, mean_iou| Agreement { counts, mean_iou, ..Agreement::default() }.refusal();
        assert_eq!(with(good, None), None);
        assert_eq!(with(good, Some((0.5, 0.5009))), None);
        for (bad, words) in [
            (with(Counts { same: 998, ..good }, None), "99.8 % of labels"),
            (with(Counts { not_finite: 1, ..good }, None), "no numbers"),
            (with(Counts { largest: 3e4, ..good }, None), "3.000e4"),
            (with(good, Some((0.5, 0.4985))), "mean IoU"),
            (with(Counts::default(), None), "no label"),
        ] {
            let bad = bad.expect("a refusal");
            assert!(bad.contains(words), "{bad}");
        }
        assert_eq!(percent(0.999_999_999), "99.9999 %");
    }
}
