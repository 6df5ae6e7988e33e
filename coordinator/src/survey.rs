//! Between the two passes of a job: what all images come to together.

use crate::collected_results::each_result;
use crate::{Finished, TableError};
use marquetry_aggregator::ImageResult;
use marquetry_ensemble::ConfidenceCounts;
use marquetry_label_quality::{Findings, Survey};
use marquetry_spec::{JobSpec, Output};
use marquetry_transport::ObjectStore;
use std::sync::Arc;

/// What the first pass of a job counted.
#[derive(Debug)]
pub struct Surveyed {
    /// How sure the ensemble is of the pixels of each class.
    confidences: ConfidenceCounts,
    /// What is usual of labels.
    labels: Survey,
}

impl Surveyed {
    /// Adds up what is counted of all images whose first pass, `survey`, is done. An image that was given up does not count.
    ///
    /// # Errors
    /// When the store is away, or a result in it is damaged.
    pub async fn of(store: Arc<dyn ObjectStore>, survey: &Finished<'_>) -> Result<Self, TableError> {
        let classes = survey.spec.classes.len();
        let is_labels = |output: &Output| matches!(output, Output::CorrectedLabels(_));
        let number = survey.spec.outputs.iter().position(is_labels);
        let none = Self { confidences: ConfidenceCounts::new(classes), labels: Survey::new(classes) };
        each_result(store, survey, none, move |sum, result| {
            if let Some(counts) = counts_of(&result, classes)? {
                sum.confidences.merge(&counts).map_err(std::io::Error::other)?;
            }
            if let Some(text) = number.and_then(|number| result.table_rows.get(&number)) {
                let findings: Findings = serde_json::from_str(text).map_err(std::io::Error::other)?;
                sum.labels.add(&findings);
            }
            Ok(())
        })
        .await
    }

    /// The second pass of `spec`.
    ///
    /// # Errors
    /// When what is usual cannot be written down.
    pub fn settle(&self, spec: &JobSpec) -> Result<JobSpec, TableError> {
        let usual = serde_json::to_string(&self.labels).map_err(std::io::Error::other)?;
        Ok(spec.settled(&self.confidences, &usual))
    }
}

/// How sure the ensemble was of the pixels of each class of an image, where that was counted.
fn counts_of(result: &ImageResult, classes: usize) -> Result<Option<ConfidenceCounts>, TableError> {
    let damaged = |source| TableError::ImageResult { key: format!("image {}", result.image_id), source };
    result.confidences(classes).map_err(damaged)
}
