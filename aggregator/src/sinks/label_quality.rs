//! What an image's given label looks like beside what the ensemble says of it, for the tables of suspicious labels.

use super::SinkContext;
use super::label_panels::LabelPanels;
use super::label_scores::LabelScores;
use crate::outputs::label_quality_picture;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use crate::source_image::SourceImage;
use marquetry_label_quality::Findings;

struct Suspicion {
    number: usize,
    panels: LabelPanels,
    scores: LabelScores,
}

/// The rows of output `number`, of an image that has a truth.
pub(crate) fn open(context: &SinkContext<'_>, source: &SourceImage, number: usize) -> Box<dyn RowSink> {
    Box::new(Suspicion {
        number,
        panels: LabelPanels::new(context, source),
        scores: LabelScores::new(context),
    })
}

impl RowSink for Suspicion {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        self.scores.row(row)
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        let findings = Findings::new(self.scores.all(), self.panels.background);
        let text = serde_json::to_string(&findings).map_err(std::io::Error::other)?;
        image.result.table_rows.insert(self.number, text);
        let place = label_quality_picture(&self.panels.source.planned().id);
        self.panels.write(&self.scores.all().pair(), (place, "label"), image)
    }
}
