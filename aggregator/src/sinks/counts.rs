//! Numbers of an image: pixels of each class, missing pixels, mean confidence.

use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};

/// Counts pixels and adds up confidence.
pub(crate) struct Counts {
    /// Whether classes exclude each other.
    exclusive: bool,
    class_pixels: Vec<u64>,
    missing: u64,
    /// Pixels with scores, and the sum of their confidence.
    scored: u64,
    confidence: f64,
}

impl Counts {
    /// Nothing counted yet.
    pub(crate) fn new(classes: usize, exclusive: bool) -> Self {
        Self { exclusive, class_pixels: vec![0; classes], missing: 0, scored: 0, confidence: 0.0 }
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
            let missing = row.missing();
            let sure = scores.confidence()?.iter().zip(missing).filter(|(_, missing)| !**missing);
            self.confidence += sure.map(|(sure, _)| f64::from(*sure)).sum::<f64>();
            let holes = missing.iter().filter(|missing| **missing).count() as u64;
            self.missing += holes;
            self.scored += missing.len() as u64 - holes;
        }
        if let Some(labels) = row.labels() {
            self.count_labels(labels, row.width());
        }
        Ok(())
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        image.result.class_pixels = self.class_pixels;
        image.result.missing_pixels = self.missing;
        image.result.confidence = if self.scored > 0 { self.confidence / self.scored as f64 } else { 0.0 };
        Ok(())
    }
}
