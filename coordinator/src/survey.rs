//! Between the two passes of a job: what all images come to together.

use crate::collected_results::each_result;
use crate::{Finished, TableError};
use marquetry_ensemble::ConfidenceCounts;
use marquetry_transport::ObjectStore;
use std::sync::Arc;

/// Adds up how sure the ensemble is of the pixels of each class, over all images whose first pass, `survey`, is done. An image
/// that was given up does not count.
///
/// # Errors
/// When the store is away, or a result in it is damaged.
pub async fn confidence_counts(
    store: Arc<dyn ObjectStore>,
    survey: &Finished<'_>,
) -> Result<ConfidenceCounts, TableError> {
    let classes = survey.spec.classes.len();
    each_result(store, survey, ConfidenceCounts::new(classes), move |sum, result| {
        if let Some(counts) = result.confidences(classes)? {
            sum.merge(&counts).map_err(std::io::Error::other)?;
        }
        Ok(())
    })
    .await
}
