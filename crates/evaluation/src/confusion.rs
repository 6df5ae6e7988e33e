//! Pixels by true and predicted class.

use crate::counts::ClassCounts;
use crate::pair::{LEFT_OUT, NO_CLASS};
use serde::{Deserialize, Serialize};

/// Pixels by true and predicted class, over any number of images.
///
/// A prediction that is no class (the ignore value, or a number beyond the last class) has a column of its own: it is a
/// miss of its true class and nobody's false alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredConfusion", into = "StoredConfusion")]
pub struct Confusion {
    classes: usize,
    /// `[classes, classes + 1]`, rows by truth; the last column is what is no class.
    counts: Vec<u64>,
}

/// Its stored form: most pairs of classes never meet.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredConfusion {
    classes: usize,
    /// True class, predicted class (none: no class), pixels.
    cells: Vec<(usize, Option<usize>, u64)>,
}

impl From<Confusion> for StoredConfusion {
    fn from(confusion: Confusion) -> Self {
        Self { classes: confusion.classes, cells: confusion.cells().collect() }
    }
}

impl TryFrom<StoredConfusion> for Confusion {
    type Error = &'static str;

    fn try_from(stored: StoredConfusion) -> Result<Self, Self::Error> {
        const WRONG: &str = "a class that there is not";
        if stored.classes > usize::from(NO_CLASS) {
            return Err(WRONG);
        }
        let mut confusion = Self::new(stored.classes);
        for (truth, predicted, pixels) in stored.cells {
            let column = predicted.unwrap_or(stored.classes);
            if truth >= stored.classes || column > stored.classes {
                return Err(WRONG);
            }
            confusion.counts[truth * (stored.classes + 1) + column] += pixels;
        }
        Ok(confusion)
    }
}

impl Confusion {
    /// Nothing counted yet, for `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * (classes + 1)] }
    }

    /// How many classes there are.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Counts one stretch of pixels. Where the truth is no class, nothing is counted; a prediction that is none goes to
    /// the last column.
    pub fn add(&mut self, truth: &[u16], predicted: &[u16]) {
        for (&t, &p) in truth.iter().zip(predicted) {
            self.add_run(t, p, 1);
        }
    }

    /// Counts `pixels` pixels alike.
    pub fn add_run(&mut self, truth: u16, predicted: u16, pixels: u64) {
        if (truth as usize) < self.classes {
            let column = (predicted as usize).min(self.classes);
            self.counts[truth as usize * (self.classes + 1) + column] += pixels;
        }
    }

    /// Adds what another of as many classes has counted.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, n)| *sum += n);
    }

    /// Pixels of true class `truth` that were predicted to be `predicted`, or no class.
    pub fn count(&self, truth: usize, predicted: Option<usize>) -> u64 {
        self.counts[truth * (self.classes + 1) + predicted.unwrap_or(self.classes)]
    }

    /// What is counted: true class, predicted class (none: no class) and pixels, where there are any.
    pub fn cells(&self) -> impl Iterator<Item = (usize, Option<usize>, u64)> + '_ {
        let place = |(index, &pixels): (usize, &u64)| {
            let (truth, column) = (index / (self.classes + 1), index % (self.classes + 1));
            (truth, (column < self.classes).then_some(column), pixels)
        };
        self.counts.iter().enumerate().map(place).filter(|&(_, _, pixels)| pixels > 0)
    }

    /// The same counts, had the pixels of `errors` been right.
    #[must_use]
    pub fn mended(&self, errors: &Self) -> Self {
        let mut mended = self.clone();
        for (truth, predicted, pixels) in errors.cells() {
            let column = predicted.unwrap_or(self.classes);
            mended.counts[truth * (self.classes + 1) + column] -= pixels;
            mended.counts[truth * (self.classes + 1) + truth] += pixels;
        }
        mended
    }

    /// Pixels that count.
    pub fn pixels(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Pixels that are right.
    pub fn right(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, Some(class))).sum()
    }

    /// Share of the pixels that count which are right; none where there are none.
    pub fn pixel_accuracy(&self) -> Option<f64> {
        let pixels = self.pixels();
        (pixels > 0).then(|| self.right() as f64 / pixels as f64)
    }

    /// Pixels of each true class whose prediction is no class.
    pub fn unclassified(&self) -> Vec<u64> {
        (0..self.classes).map(|class| self.count(class, None)).collect()
    }

    /// What it says of each class.
    pub fn class_counts(&self) -> Vec<ClassCounts> {
        let mut classes = vec![ClassCounts::default(); self.classes];
        for (truth, predicted, pixels) in self.cells() {
            if predicted == Some(truth) {
                classes[truth].true_positives += pixels;
            } else {
                classes[truth].false_negatives += pixels;
                if let Some(predicted) = predicted {
                    classes[predicted].false_positives += pixels;
                }
            }
        }
        classes
    }

    /// Intersection over union of each class over the whole data set (mmsegmentation's mIoU, Pascal VOC's); `None` for
    /// a class that neither the truth nor the prediction has.
    pub fn iou(&self) -> Vec<Option<f64>> {
        self.class_counts().iter().map(ClassCounts::iou).collect()
    }

    /// The mean over the classes that occur.
    pub fn mean_iou(&self) -> f64 {
        let known: Vec<f64> = self.iou().into_iter().flatten().collect();
        known.iter().sum::<f64>() / known.len().max(1) as f64
    }
}

const _: () = assert!(LEFT_OUT > NO_CLASS, "neither is a class");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn iou_by_hand() {
        let mut confusion = Confusion::new(3);
        confusion.add(&[0, 0, 1, 1, LEFT_OUT], &[0, 1, 1, 1, 0]);
        assert_eq!(confusion.iou(), [Some(0.5), Some(2.0 / 3.0), None]);
        assert!((confusion.mean_iou() - 7.0 / 12.0).abs() < 1e-12);
        assert_eq!(confusion.pixel_accuracy(), Some(0.75));
    }

    /// Of six pixels of class 0 two are right, one is taken for class 1 and three are no class: 2 / 6. Class 1 has two
    /// right and one false alarm: 2 / 3. No other class is charged for what is no class.
    #[test]
    fn what_is_no_class_is_a_miss_and_nobodys_false_alarm() {
        let mut confusion = Confusion::new(3);
        confusion.add(&[0, 0, 0, 0, 0, 0, 1, 1], &[0, 0, 1, 3, 255, NO_CLASS, 1, 1]);
        assert_eq!(confusion.iou(), [Some(2.0 / 6.0), Some(2.0 / 3.0), None]);
        assert_eq!(confusion.unclassified(), [3, 0, 0]);
    }

    #[test]
    fn with_one_class_what_is_no_class_is_not_right() {
        let mut confusion = Confusion::new(1);
        confusion.add(&[0, 0, 0, 0], &[0, 7, 7, 7]);
        assert_eq!(confusion.iou(), [Some(0.25)]);
        assert_eq!(Confusion::new(1).pixel_accuracy(), None);
    }

    proptest! {
        /// Counts of parts add up to those of the whole, whatever the order of pixels; errors that are mended are right.
        #[test]
        fn counts_add(
            pixels in proptest::collection::vec((0_u16..6, 0_u16..6), 0..60), cut in 0_usize..60,
        ) {
            let of = |pixels: &[(u16, u16)]| {
                let mut confusion = Confusion::new(4);
                pixels.iter().for_each(|&(t, p)| confusion.add_run(t, p, 1));
                confusion
            };
            let whole = of(&pixels);
            let (a, b) = pixels.split_at(cut.min(pixels.len()));
            let mut sum = of(b);
            sum.merge(&of(a));
            prop_assert_eq!(&sum, &whole);
            prop_assert!(whole.iou().iter().flatten().all(|iou| (0.0..=1.0).contains(iou)));
            prop_assert!(whole.right() <= whole.pixels());
            let wrong: Vec<_> = pixels.iter().copied().filter(|(t, p)| t != p).collect();
            let mended = whole.mended(&of(&wrong));
            prop_assert_eq!(mended.right(), whole.pixels());
        }
    }
}
