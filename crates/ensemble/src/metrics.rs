//! How well a label map agrees with the ground truth.

/// Pixels by true and predicted class, over any number of images.
///
/// A prediction that is no class (the ignore value, or a number beyond the last class) has a column of its own: it is a
/// miss of its true class and nobody's false alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// `[classes, classes + 1]`, rows by truth; the last column is what is no class.
    counts: Vec<u64>,
}

impl Confusion {
    /// Nothing counted yet, for `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * (classes + 1)] }
    }

    /// Counts one stretch of pixels. Where the truth is `ignore` or no class at all, nothing is counted.
    pub fn add(&mut self, truth: &[u16], predicted: &[u16], ignore: Option<u16>) {
        for (&t, &p) in truth.iter().zip(predicted) {
            if (t as usize) < self.classes && Some(t) != ignore {
                let column = if Some(p) == ignore { self.classes } else { (p as usize).min(self.classes) };
                self.counts[t as usize * (self.classes + 1) + column] += 1;
            }
        }
    }

    /// Pixels of true class `truth` that were predicted to be `predicted`, or no class.
    fn count(&self, truth: usize, predicted: Option<usize>) -> u64 {
        self.counts[truth * (self.classes + 1) + predicted.unwrap_or(self.classes)]
    }

    /// Pixels of each true class whose prediction is no class.
    pub fn unclassified(&self) -> Vec<u64> {
        (0..self.classes).map(|class| self.count(class, None)).collect()
    }

    /// Intersection over union of each class over the whole data set (mmsegmentation's mIoU, Pascal VOC's); `None` for
    /// a class that neither the truth nor the prediction has.
    pub fn iou(&self) -> Vec<Option<f64>> {
        let of_class = |class: usize| {
            let found = self.count(class, Some(class));
            let others = (0..self.classes).filter(|&other| other != class);
            let confused: u64 = others.map(|k| self.count(class, Some(k)) + self.count(k, Some(class))).sum();
            let union = found + confused + self.count(class, None);
            (union > 0).then(|| found as f64 / union as f64)
        };
        (0..self.classes).map(of_class).collect()
    }

    /// The mean over the classes that occur.
    pub fn mean_iou(&self) -> f64 {
        let known: Vec<f64> = self.iou().into_iter().flatten().collect();
        known.iter().sum::<f64>() / known.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iou_by_hand() {
        let mut confusion = Confusion::new(3);
        confusion.add(&[0, 0, 1, 1, 255], &[0, 1, 1, 1, 0], Some(255));
        assert_eq!(confusion.iou(), [Some(0.5), Some(2.0 / 3.0), None]);
        assert!((confusion.mean_iou() - 7.0 / 12.0).abs() < 1e-12);
    }

    /// Of six pixels of class 0 two are right, one is taken for class 1 and three are no class: 2 / 6. Class 1 has two
    /// right and one false alarm: 2 / 3. No other class is charged for what is no class.
    #[test]
    fn what_is_no_class_is_a_miss_and_nobodys_false_alarm() {
        let mut confusion = Confusion::new(3);
        confusion.add(&[0, 0, 0, 0, 0, 0, 1, 1], &[0, 0, 1, 3, 255, 65535, 1, 1], Some(255));
        assert_eq!(confusion.iou(), [Some(2.0 / 6.0), Some(2.0 / 3.0), None]);
        assert_eq!(confusion.unclassified(), [3, 0, 0]);
    }

    #[test]
    fn with_one_class_what_is_no_class_is_not_right() {
        let mut confusion = Confusion::new(1);
        confusion.add(&[0, 0, 0, 0], &[0, 7, 7, 7], None);
        assert_eq!(confusion.iou(), [Some(0.25)]);
    }
}
