//! How well a label map agrees with the ground truth.

/// Pixels by true and predicted class, over any number of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// Nothing counted yet, for `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Counts one stretch of pixels. Where the truth is `ignore` or no class at all, nothing is counted; a prediction
    /// that is no class counts against its true class.
    pub fn add(&mut self, truth: &[u16], predicted: &[u16], ignore: Option<u16>) {
        for (&t, &p) in truth.iter().zip(predicted) {
            if (t as usize) < self.classes && Some(t) != ignore {
                let p =
                    if (p as usize) < self.classes { p as usize } else { (t as usize + 1) % self.classes };
                self.counts[t as usize * self.classes + p] += 1;
            }
        }
    }

    /// Intersection over union of each class over the whole data set (mmsegmentation's mIoU, Pascal VOC's); `None` for
    /// a class that neither the truth nor the prediction has.
    pub fn iou(&self) -> Vec<Option<f64>> {
        let at = |t: usize, p: usize| self.counts[t * self.classes + p];
        let of_class = |c: usize| {
            let union: u64 = (0..self.classes).map(|k| at(c, k) + at(k, c)).sum::<u64>() - at(c, c);
            (union > 0).then(|| at(c, c) as f64 / union as f64)
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
}
