//! What is counted of a class, and what follows from it.

/// Pixels of one class: found, claimed where it is not, and not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassCounts {
    /// Pixels of the class that are predicted as it.
    pub true_positives: u64,
    /// Pixels of other classes that are predicted as it.
    pub false_positives: u64,
    /// Pixels of the class that are predicted as another, or as none.
    pub false_negatives: u64,
}

/// `part / whole`, where there is a whole.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl ClassCounts {
    /// Pixels that the truth has of it.
    pub const fn truth(&self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// Pixels that the prediction has of it, where the truth says anything.
    pub const fn predicted(&self) -> u64 {
        self.true_positives + self.false_positives
    }

    /// Pixels that the truth or the prediction has of it.
    pub const fn union(&self) -> u64 {
        self.true_positives + self.false_positives + self.false_negatives
    }

    /// Adds another's counts.
    pub const fn add(&mut self, other: &Self) {
        self.true_positives += other.true_positives;
        self.false_positives += other.false_positives;
        self.false_negatives += other.false_negatives;
    }

    /// Intersection over union (Jaccard), 0 to 1; none where neither side has the class.
    pub fn iou(&self) -> Option<f64> {
        share(self.true_positives, self.union())
    }

    /// Dice (F1), 0 to 1; none where neither side has the class.
    pub fn dice(&self) -> Option<f64> {
        share(2 * self.true_positives, self.truth() + self.predicted())
    }

    /// Share of what was predicted as the class that is it; none where nothing was.
    pub fn precision(&self) -> Option<f64> {
        share(self.true_positives, self.predicted())
    }

    /// Share of the class that was found; none where the truth has none.
    pub fn recall(&self) -> Option<f64> {
        share(self.true_positives, self.truth())
    }
}

/// Means of a measure of one class over images, by what is done where neither side has the class.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct ImageMeans {
    /// Such images are left out.
    pub empty_left_out: Option<f64>,
    /// Such images count 1 (as challenges in medicine often do, and `MetricsReloaded` for Dice and NSD).
    pub empty_one: Option<f64>,
    /// Such images count 0.
    pub empty_zero: Option<f64>,
    /// Only images whose truth has the class.
    pub truth_only: Option<f64>,
}

impl ImageMeans {
    /// Over `images`: of each the measure, none where neither side has the class, and whether the truth has it.
    pub fn of(images: impl IntoIterator<Item = (Option<f64>, bool)>) -> Self {
        let (mut images_all, mut known, mut in_truth) = (0_u64, 0_u64, 0_u64);
        let (mut sum, mut sum_in_truth) = (0.0, 0.0);
        for (measure, is_in_truth) in images {
            images_all += 1;
            if let Some(measure) = measure {
                known += 1;
                sum += measure;
                if is_in_truth {
                    in_truth += 1;
                    sum_in_truth += measure;
                }
            }
        }
        let mean = |sum: f64, n: u64| (n > 0).then(|| sum / n as f64);
        Self {
            empty_left_out: mean(sum, known),
            empty_one: mean(sum + (images_all - known) as f64, images_all),
            empty_zero: mean(sum, images_all),
            truth_only: mean(sum_in_truth, in_truth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Class 2 of three images: one found of two with one false alarm, one false alarm alone, and nothing.
    #[test]
    fn dice_of_empty_images_depends_on_what_is_agreed() {
        let of = |true_positives, false_positives, false_negatives| ClassCounts {
            true_positives,
            false_positives,
            false_negatives,
        };
        let images = [of(1, 0, 1), of(0, 1, 0), of(0, 0, 0)];
        let means = ImageMeans::of(images.map(|image| (image.dice(), image.truth() > 0)));
        let close = |value: Option<f64>, right: f64| (value.unwrap() - right).abs() < 1e-12;
        assert!(close(means.empty_left_out, 1.0 / 3.0));
        assert!(close(means.empty_one, 5.0 / 9.0));
        assert!(close(means.empty_zero, 2.0 / 9.0));
        assert!(close(means.truth_only, 2.0 / 3.0));
        let mut pooled = ClassCounts::default();
        images.iter().for_each(|image| pooled.add(image));
        assert_eq!((pooled.dice(), pooled.precision(), pooled.recall()), (Some(0.5), Some(0.5), Some(0.5)));
        assert_eq!(ImageMeans::of([]), ImageMeans::default());
    }
}
