//! Numbers of an image: pixels of each class, missing pixels, mean confidence.

use crate::image_result::TruthOutside;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_job::NO_TRUTH;

/// Counts pixels and adds up confidence.
pub(crate) struct Counts {
    /// Whether classes exclude each other.
    exclusive: bool,
    class_pixels: Vec<u64>,
    missing: u64,
    /// Pixels with scores, and the sum of their confidence.
    scored: u64,
    confidence: f64,
    skipped: u64,
    /// The class of pixels outside of a region, where there is one.
    stated: Option<u16>,
    truth: Option<TruthOutside>,
}

impl Counts {
    /// Nothing counted yet. `stated` is the class of pixels outside of the image's region.
    pub(crate) fn new(classes: usize, exclusive: bool, stated: Option<u16>) -> Self {
        Self {
            exclusive,
            class_pixels: vec![0; classes],
            missing: 0,
            scored: 0,
            confidence: 0.0,
            skipped: 0,
            stated,
            truth: None,
        }
    }

    /// Counts what of the truth lies outside.
    fn count_truth(&mut self, truth: &[u16], skipped: &[bool]) {
        let counts = self.truth.get_or_insert_default();
        for (label, skipped) in truth.iter().zip(skipped) {
            if *label != NO_TRUTH && Some(*label) != self.stated {
                counts.foreground += 1;
                counts.outside += u64::from(*skipped);
            }
        }
    }

    fn count_labels(&mut self, labels: &[u16], width: usize) {
        if self.exclusive {
            for label in labels {
                if let Some(n) = self.class_pixels.get_mut(*label as usize) {
                    *n += 1;
                }
            }
            return;
        }
        for (plane, n) in labels.chunks_exact(width).zip(&mut self.class_pixels) {
            *n += plane.iter().filter(|label| **label == 1).count() as u64;
        }
    }
}

impl RowSink for Counts {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        if let Some(scores) = row.scores() {
            let unscored = row.unscored();
            let sure = scores.confidence()?.iter().zip(&*unscored).filter(|(_, unscored)| !**unscored);
            self.confidence += sure.map(|(sure, _)| f64::from(*sure)).sum::<f64>();
            let count = |marks: &[bool]| marks.iter().filter(|mark| **mark).count() as u64;
            self.missing += count(row.missing());
            self.skipped += row.skipped().map_or(0, count);
            self.scored += unscored.len() as u64 - count(&unscored);
        }
        if let Some(labels) = row.labels() {
            self.count_labels(labels, row.width());
            if let Some((truth, skipped)) = row.truth().zip(row.skipped()) {
                self.count_truth(truth, skipped);
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        image.result.class_pixels = self.class_pixels;
        image.result.missing_pixels = self.missing;
        if let Some(region) = &mut image.result.region {
            region.skipped_pixels = self.skipped;
            region.truth = self.truth;
        }
        image.result.confidence = if self.scored > 0 { self.confidence / self.scored as f64 } else { 0.0 };
        Ok(())
    }
}
