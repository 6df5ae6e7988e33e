//! What was counted of each image beside its truth.

use crate::collected_results::each_result;
use crate::report::Finished;
use crate::tables::TableError;
use marquetry_evaluation::Confusion;
use marquetry_transport::ObjectStore;
use marquetry_tuning::WeightedCounts;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The counts of each image of a job that evaluates, by the image's id; those that were given up have none.
///
/// # Errors
/// When the store is away, or a result in it is damaged.
pub async fn image_counts(
    store: Arc<dyn ObjectStore>,
    finished: &Finished<'_>,
) -> Result<BTreeMap<String, WeightedCounts>, TableError> {
    each_result(store, finished, BTreeMap::new(), |sum: &mut BTreeMap<_, _>, result| {
        if let Some(counts) = &result.evaluation {
            sum.insert(result.image_id.clone(), weighted(&counts.confusion));
        }
        Ok(())
    })
    .await
}

/// The same counts, each pixel weighing 1. A prediction that is no class is a miss and no false alarm.
fn weighted(confusion: &Confusion) -> WeightedCounts {
    let mut counts = WeightedCounts::new(confusion.classes());
    for (truth, predicted, pixels) in confusion.cells() {
        let pixels = pixels as f64;
        counts.truth[truth] += pixels;
        if let Some(predicted) = predicted {
            counts.predicted[predicted] += pixels;
            if predicted == truth {
                counts.hits[truth] += pixels;
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_evaluation::ClassCounts;
    use marquetry_tuning::Metric;

    /// The mean IoU is the one that an evaluation tells.
    #[test]
    fn what_is_no_class_is_missed_and_no_false_alarm() {
        let mut confusion = Confusion::new(3);
        for (truth, predicted, pixels) in [(0, 0, 50), (0, 1, 10), (1, 1, 30), (1, 9, 10)] {
            confusion.add_run(truth, predicted, pixels);
        }
        let found = weighted(&confusion);
        let ious: Vec<f64> = confusion.class_counts().iter().filter_map(ClassCounts::iou).collect();
        assert_eq!(ious, [50.0 / 60.0, 30.0 / 50.0]);
        assert!((found.mean(Metric::MeanIou) - f64::midpoint(ious[0], ious[1])).abs() < 1e-12);
    }
}
