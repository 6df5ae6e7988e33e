//! Which classes an image has at all: what the models of the gate said, held against the job's thresholds.

use crate::error::AggregateError;
use crate::image_job::ImageJob;
use crate::image_result::GateCounts;
use marquetry_ensemble::{ScoreSpace, deny};
use marquetry_job::{ImageGate, ImageGateError, PlannedImage, TaskId, TaskKind, denied, key};
use marquetry_scores::ScoreRows;
use marquetry_transport::StoreErrorKind;
use ndarray::Axis;

/// The classes that an image does not have.
#[derive(Debug, Clone)]
pub(crate) struct Denied {
    classes: Vec<bool>,
    /// The class of pixels of no other; nothing where classes share pixels.
    background: Option<usize>,
}

impl Denied {
    /// Nothing where no class is denied: then every score stays as it is.
    pub(crate) fn new(classes: &[bool], background: Option<usize>) -> Option<Self> {
        classes.contains(&true).then(|| Self { classes: classes.to_vec(), background })
    }

    /// Takes the classes that are denied out of merged scores.
    pub(crate) fn take_out(&self, rows: &mut ScoreRows, space: ScoreSpace) {
        for mut row in rows.scores.axis_iter_mut(Axis(0)) {
            if let Some(row) = row.as_slice_mut() {
                deny(row, &self.classes, space, self.background);
            }
        }
    }
}

impl ImageJob<'_> {
    /// What the gate says of the image, and which classes it denies; nothing where the job has no gate. Models are run by workers alone:
    /// what is gone or damaged is for them to find again.
    pub(crate) fn gate(&self, planned: &PlannedImage) -> Result<Option<GateCounts>, AggregateError> {
        let Some(gate) = self.spec.gate.as_ref().filter(|_| self.plan.wants_gate()) else { return Ok(None) };
        let key = key::gate(&self.plan.job, &planned.key);
        let task = TaskId { image: planned.key.clone(), kind: TaskKind::Gate };
        let stored = match self.runtime.block_on(self.store.get(&key)) {
            Ok(bytes) => ImageGate::from_bytes(&bytes, &planned.key, self.spec.classes.len()),
            Err(error) if error.kind == StoreErrorKind::NotFound => {
                Err(ImageGateError::Foreign(planned.key.clone()))
            }
            Err(error) => return Err(error.into()),
        };
        let stored = stored.map_err(|source| AggregateError::StoredGate { key, task, source })?;
        let probabilities = stored.probabilities().to_vec();
        let denied = denied(&probabilities, &gate.thresholds, self.spec.decide.background);
        Ok(Some(GateCounts { probabilities, denied, truth: None }))
    }
}
