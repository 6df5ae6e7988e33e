//! What people call the mean IoU: ten numbers from the same counts.

use crate::counts::ClassCounts;
use serde::Serialize;

/// Every convention, by name. None where nothing can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct MeanIous {
    /// Counts of all images added up, mean over the classes that occur (mmsegmentation, Cityscapes, Pascal VOC). The
    /// headline.
    pub dataset: Option<f64>,
    /// The same, without the background.
    pub dataset_without_background: Option<f64>,
    /// The same, over the classes that the truth has.
    pub dataset_truth_classes: Option<f64>,
    /// The same over all classes, those that do not occur counting 0.
    pub dataset_absent_zero: Option<f64>,
    /// The same over all classes, those that do not occur counting 1.
    pub dataset_absent_one: Option<f64>,
    /// Mean over images of the mean over the classes that occur in the image (torchmetrics' functional `mean_iou`).
    pub images_then_classes: Option<f64>,
    /// Mean over classes of the mean over the images where the class occurs (torchmetrics' `MeanIoU(per_class=True)`).
    pub classes_then_images: Option<f64>,
    /// Mean over all pairs of image and class that occurs in it (torchmetrics' `MeanIoU` from 1.7.1).
    pub pairs: Option<f64>,
    /// Mean over all pairs of image and class, those without the class counting 0 (torchmetrics before 1.7.1).
    pub pairs_absent_zero: Option<f64>,
    /// Mean over all pairs of image and class, those without the class counting 1.
    pub pairs_absent_one: Option<f64>,
}

/// All conventions over `images`, each with the counts of the classes that occur in it, among `classes` of which
/// `background` may be one. Sums are taken in the order of images.
pub fn mean_ious<'a>(
    classes: usize,
    background: Option<usize>,
    images: impl IntoIterator<Item = &'a [(u16, ClassCounts)]>,
) -> MeanIous {
    let mut pooled = vec![ClassCounts::default(); classes];
    let mut by_class = vec![Mean::default(); classes];
    let (mut by_image, mut pairs, mut images_all) = (Mean::default(), Mean::default(), 0_u64);
    for image in images {
        images_all += 1;
        let mut own = Mean::default();
        for (class, counts) in image {
            pooled[usize::from(*class)].add(counts);
            if let Some(iou) = counts.iou() {
                own.add(iou);
                pairs.add(iou);
                by_class[usize::from(*class)].add(iou);
            }
        }
        if let Some(mean) = own.get() {
            by_image.add(mean);
        }
    }
    let over = |kept: &dyn Fn(usize) -> bool, absent: Option<f64>| {
        let mut mean = Mean::default();
        let values = pooled.iter().enumerate().filter(|&(class, _)| kept(class));
        values.filter_map(|(_, counts)| counts.iou().or(absent)).for_each(|iou| mean.add(iou));
        mean.get()
    };
    let with_absent = |value: f64| {
        let all = images_all * classes as u64;
        (all > 0).then(|| (pairs.sum + value * (all - pairs.number) as f64) / all as f64)
    };
    let mut of_classes = Mean::default();
    by_class.iter().filter_map(Mean::get).for_each(|mean| of_classes.add(mean));
    let any = (images_all > 0).then_some(());
    MeanIous {
        dataset: over(&|_| true, None),
        dataset_without_background: over(&|class| Some(class) != background, None),
        dataset_truth_classes: over(&|class| pooled[class].truth() > 0, None),
        dataset_absent_zero: any.and_then(|()| over(&|_| true, Some(0.0))),
        dataset_absent_one: any.and_then(|()| over(&|_| true, Some(1.0))),
        images_then_classes: by_image.get(),
        classes_then_images: of_classes.get(),
        pairs: pairs.get(),
        pairs_absent_zero: with_absent(0.0),
        pairs_absent_one: with_absent(1.0),
    }
}

impl MeanIous {
    /// Each number with the name that it has everywhere.
    pub const fn named(&self) -> [(&'static str, Option<f64>); 10] {
        [
            ("dataset", self.dataset),
            ("dataset_without_background", self.dataset_without_background),
            ("dataset_truth_classes", self.dataset_truth_classes),
            ("dataset_absent_zero", self.dataset_absent_zero),
            ("dataset_absent_one", self.dataset_absent_one),
            ("images_then_classes", self.images_then_classes),
            ("classes_then_images", self.classes_then_images),
            ("pairs", self.pairs),
            ("pairs_absent_zero", self.pairs_absent_zero),
            ("pairs_absent_one", self.pairs_absent_one),
        ]
    }
}

/// A mean in the making.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    number: u64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.number += 1;
    }

    fn get(&self) -> Option<f64> {
        (self.number > 0).then(|| self.sum / self.number as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confusion::Confusion;
    use crate::pair::{LEFT_OUT as I, NO_CLASS as N};

    fn sparse(truth: &[u16], predicted: &[u16], classes: usize) -> Vec<(u16, ClassCounts)> {
        let mut confusion = Confusion::new(classes);
        confusion.add(truth, predicted);
        let counts = confusion.class_counts().into_iter().enumerate();
        counts.filter(|(_, c)| c.union() > 0).map(|(class, c)| (class as u16, c)).collect()
    }

    fn close(value: Option<f64>, right: f64) {
        assert!((value.unwrap() - right).abs() < 5e-7, "{value:?} for {right}");
    }

    /// Three images of four pixels, with the values that torchmetrics and mmsegmentation give.
    #[test]
    fn one_toy_has_six_answers() {
        let images =
            [([0, 0, 0, 1], [0, 0, 1, 1]), ([0, 0, 0, 0], [0, 0, 0, 0]), ([2, 2, 1, 0], [2, 1, 1, 0])]
                .map(|(truth, predicted)| sparse(&truth, &predicted, 3));
        let means = mean_ious(3, None, images.iter().map(Vec::as_slice));
        close(means.dataset, 0.625);
        close(means.images_then_classes, 0.75);
        close(means.classes_then_images, 17.0 / 27.0);
        close(means.pairs, 25.0 / 36.0);
        close(means.pairs_absent_zero, 25.0 / 54.0);
        close(means.pairs_absent_one, 43.0 / 54.0);
        // The order of images changes nothing but the last bits.
        let turned = mean_ious(3, None, images.iter().rev().map(Vec::as_slice));
        for ((_, a), (_, b)) in means.named().iter().zip(turned.named()) {
            close(*a, b.unwrap());
        }
    }

    /// Ignored pixels, a prediction that is no class, a class that the truth never has: by NumPy, written apart.
    #[test]
    fn ignored_foreign_and_absent() {
        let images = [
            ([0, 0, 1, 1, 0, 0, 1, I, 2, 2, I, I], [0, 1, 1, 1, 0, 0, 1, 2, 2, 0, 2, 3]),
            ([0; 12], [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]),
            ([0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0], [0, 1, 1, N, 0, 1, 0, 0, 0, 0, 0, 0]),
        ]
        .map(|(truth, predicted)| sparse(&truth, &predicted, 4));
        let means = mean_ious(4, Some(0), images.iter().map(Vec::as_slice));
        let iou = [21.0 / 26.0, 6.0 / 8.0, 1.0 / 3.0];
        close(means.dataset, iou.iter().sum::<f64>() / 3.0);
        close(means.dataset_absent_zero, iou.iter().sum::<f64>() / 4.0);
        close(means.dataset_absent_one, (iou.iter().sum::<f64>() + 1.0) / 4.0);
        close(means.dataset_without_background, f64::midpoint(iou[1], iou[2]));
        assert_eq!(means.dataset_truth_classes, means.dataset);
    }

    #[test]
    fn of_nothing_there_is_no_mean() {
        assert_eq!(mean_ious(3, None, []), MeanIous::default());
    }
}
