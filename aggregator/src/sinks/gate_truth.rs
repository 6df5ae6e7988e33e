//! Which classes an image truly has.

use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_job::NO_TRUTH;

/// Counts the pixels of each class in the truth.
pub(crate) struct GateTruth {
    pixels: Option<Vec<u64>>,
    classes: usize,
}

impl GateTruth {
    pub(crate) const fn new(classes: usize) -> Self {
        Self { pixels: None, classes }
    }
}

impl RowSink for GateTruth {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let (Some(_), Some(truth)) = (row.labels(), row.truth()) else { return Ok(()) };
        let pixels = self.pixels.get_or_insert_with(|| vec![0; self.classes]);
        for class in truth.iter().filter(|class| **class != NO_TRUTH) {
            if let Some(count) = pixels.get_mut(usize::from(*class)) {
                *count += 1;
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        if let Some(gate) = &mut image.result.gate {
            gate.truth = self.pixels;
        }
        Ok(())
    }
}
