//! How far two models agree on windows of a job, and whether that is enough.

use marquetry_ensemble::LabelAgreement;
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
    pub(crate) counts: LabelAgreement,
    pub(crate) difference: Difference,
    /// Whether the models give labels, and no scores.
    pub(crate) are_labels: bool,
    /// Mean IoU of the model as it was, and of the converted one; where there is truth.
    pub(crate) mean_iou: Option<(f64, f64)>,
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

    #[test]
    fn what_is_not_good_enough_is_said() {
        let good = LabelAgreement { labels: 1000, same: 999, not_finite: 0, largest: 10.0 };
        let with = |counts, mean_iou| Agreement { counts, mean_iou, ..Agreement::default() }.refusal();
        assert_eq!(with(good, None), None);
        assert_eq!(with(good, Some((0.5, 0.5009))), None);
        for (bad, words) in [
            (with(LabelAgreement { same: 998, ..good }, None), "99.8 % of labels"),
            (with(LabelAgreement { not_finite: 1, ..good }, None), "no numbers"),
            (with(LabelAgreement { largest: 3e4, ..good }, None), "3.000e4"),
            (with(good, Some((0.5, 0.4985))), "mean IoU"),
            (with(LabelAgreement::default(), None), "no label"),
        ] {
            let bad = bad.expect("a refusal");
            assert!(bad.contains(words), "{bad}");
        }
        assert_eq!(percent(0.999_999_999), "99.9999 %");
    }
}
