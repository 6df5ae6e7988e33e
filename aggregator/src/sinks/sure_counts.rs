//! How right the first round is where it is sure and others have not looked.

use crate::image_result::SureTruth;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_job::NO_TRUTH;
use marquetry_region::Region;
use std::sync::Arc;

/// Counts unsure pixels, and sure ones whose label is not the true one.
pub(crate) struct SureCounts {
    unsure: Arc<Region>,
    /// Which pixels of a row are unsure.
    row: Vec<bool>,
    /// Unsure pixels that the image has.
    pixels: u64,
    truth: Option<SureTruth>,
}

impl SureCounts {
    /// For an image of which others have looked at `unsure`.
    pub(crate) fn new(unsure: Arc<Region>) -> Self {
        let row = vec![false; unsure.size().width as usize];
        Self { unsure, row, pixels: 0, truth: None }
    }
}

impl RowSink for SureCounts {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let Some(labels) = row.labels() else { return Ok(()) };
        self.unsure.fill_row(row.y(), &mut self.row);
        let unscored = row.unscored();
        let unsure = self.row.iter().zip(&*unscored).filter(|(unsure, unscored)| **unsure && !**unscored);
        self.pixels += unsure.count() as u64;
        // Where classes share pixels there are several labels, and one truth.
        let Some(truth) = row.truth().filter(|truth| labels.len() == truth.len()) else { return Ok(()) };
        let counts = self.truth.get_or_insert_default();
        let pixels = labels.iter().zip(truth).zip(self.row.iter().zip(&*unscored));
        for ((label, truth), _) in
            pixels.filter(|((_, truth), (unsure, unscored))| **truth != NO_TRUTH && !**unsure && !**unscored)
        {
            counts.sure += 1;
            counts.wrong += u64::from(label != truth);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        if let Some(cascade) = &mut image.result.cascade {
            (cascade.unsure_pixels, cascade.truth) = (self.pixels, self.truth);
        }
        Ok(())
    }
}
