//! How well the images of each fold are scored out of fold: one that stands out has most likely been seen in training.

use std::collections::BTreeMap;

/// So many images a fold must have to be compared.
const IMAGES_MIN: u64 = 5;
/// Standard errors that a fold must lie above the others.
const ERRORS: f64 = 3.0;
/// A smaller difference is told of nobody, however sure it is.
const GAP_MIN: f64 = 0.02;

/// Sums over the images of a fold of the mean IoU of each.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    count: u64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The variance of the mean: the sample's, divided by its count.
    fn error(&self) -> f64 {
        let count = self.count as f64;
        let spread = (self.squares - self.sum * self.sum / count).max(0.0) / (count - 1.0);
        spread / count
    }
}

/// The mean IoU of images by fold, as images are counted.
#[derive(Debug, Default)]
pub(crate) struct FoldScores {
    folds: BTreeMap<String, Sums>,
}

impl FoldScores {
    /// Adds an image of `fold`, whose mean IoU over its own classes is `mean_iou`.
    pub(crate) fn add(&mut self, fold: &str, mean_iou: f64) {
        let own = Sums { count: 1, sum: mean_iou, squares: mean_iou * mean_iou };
        self.folds.entry(fold.to_owned()).or_default().add(own);
    }

    /// A sentence for each fold that scores better than the others by more than chance allows.
    pub(crate) fn told(&self) -> impl Iterator<Item = String> {
        self.folds.iter().filter_map(|(fold, own)| {
            let mut others = Sums::default();
            self.folds.iter().filter(|(other, _)| *other != fold).for_each(|(_, sums)| others.add(*sums));
            if own.count < IMAGES_MIN || others.count < IMAGES_MIN {
                return None;
            }
            let gap = own.mean() - others.mean();
            let error = (own.error() + others.error()).sqrt();
            (gap > GAP_MIN && gap > ERRORS * error).then(|| {
                format!(
                    "folds: fold {fold} scores better than it should: mean IoU of its {} images {:.3}, of the {} others {:.3} (± {error:.3}); \
                     have its members seen these images in training, or is `fold` what they were trained on (folds: {{tags: \
                     seen}})?",
                    own.count,
                    own.mean(),
                    others.count,
                    others.mean(),
                )
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(folds: &[&[f64]]) -> Vec<String> {
        let mut scores = FoldScores::default();
        for (fold, images) in folds.iter().enumerate() {
            images.iter().for_each(|mean_iou| scores.add(&fold.to_string(), *mean_iou));
        }
        scores.told().collect()
    }

    #[test]
    fn a_fold_that_stands_out_is_told() {
        let usual = [0.7, 0.8, 0.75, 0.72, 0.78, 0.74];
        let told = scores(&[&usual, &[0.97, 0.98, 0.96, 0.99, 0.97], &usual]);
        assert!(told.len() == 1 && told[0].starts_with("folds: fold 1 scores better"), "{told:?}");
        assert!(told[0].contains("5 images 0.974, of the 12 others 0.748"), "{told:?}");
        assert!(scores(&[&usual, &usual, &usual]).is_empty());
        assert!(scores(&[&usual, &[0.99, 0.99]]).is_empty(), "too few to tell");
        assert!(scores(&[&[0.7; 9], &[0.71; 9]]).is_empty(), "sure, and no matter");
        assert!(scores(&[&[0.2, 0.9, 0.5, 0.99, 0.4], &[0.3, 0.8, 0.95, 0.5, 0.6]]).is_empty(), "chance");
        assert!(scores(&[&usual]).is_empty());
    }
}
