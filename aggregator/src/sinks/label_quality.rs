//! What an image's given label looks like beside what the ensemble says of it, for the tables of suspicious labels.

use super::SinkContext;
use super::label_panels::LabelPanels;
use crate::outputs::label_quality_picture;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use crate::source_image::SourceImage;
use marquetry_evaluation::LEFT_OUT;
use marquetry_label_quality::{Findings, LabelledScores};

/// Keeps label, predicted class and evidence of each pixel: areas take the whole image.
struct Suspicion {
    number: usize,
    panels: LabelPanels,
    scores: LabelledScores,
    /// Of the row in hand: each class's share, `[C, W]`, and the label, `[W]`.
    shares: Vec<f32>,
    labels: Vec<u16>,
}

/// The rows of output `number`, of an image that has a truth.
pub(crate) fn open(context: &SinkContext<'_>, source: &SourceImage, number: usize) -> Box<dyn RowSink> {
    let panels = LabelPanels::new(context, source);
    let scores = LabelledScores::new(context.image.size, panels.colours.len());
    Box::new(Suspicion { number, panels, scores, shares: Vec::new(), labels: Vec::new() })
}

impl RowSink for Suspicion {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let (Some(scores), Some(truth)) = (row.scores(), row.truth()) else { return Ok(()) };
        scores.write_shares(row.missing(), &mut self.shares)?;
        self.labels.clear();
        self.labels.extend_from_slice(truth);
        // What nobody scored says nothing about its label.
        let missing = self.labels.iter_mut().zip(row.missing()).filter(|(_, missing)| **missing);
        missing.for_each(|(label, _)| *label = LEFT_OUT);
        self.scores.push_row(&self.shares, &self.labels);
        Ok(())
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        let findings = Findings::new(&self.scores, self.panels.background);
        let text = serde_json::to_string(&findings).map_err(std::io::Error::other)?;
        image.result.table_rows.insert(self.number, text);
        let place = label_quality_picture(&self.panels.source.planned().id);
        self.panels.write(&self.scores.pair(), (place, "label-quality.png", "label"), image)
    }
}
