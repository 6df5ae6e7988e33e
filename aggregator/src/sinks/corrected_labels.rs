//! Given labels in which what is surely wrong is changed, and what counts for it.

use super::SinkContext;
use super::label_scores::LabelScores;
use super::masks;
use crate::output_file::OutputFile;
use crate::outputs::output_path;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_evaluation::LEFT_OUT;
use marquetry_label_quality::{Corrected, Findings, Kind, Survey, Usual, corrected};
use marquetry_raster::write::LabelSink;
use marquetry_spec::{CorrectedLabels, Output};
use serde::{Deserialize, Serialize};

/// What an image adds to the table of corrected labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectedLabelRow {
    /// Where its mask lies, below the job's outputs.
    pub label: String,
    /// Pixels that were changed.
    pub changed_px: u64,
    /// Areas that were changed: objects that were not labelled, that are not there, and areas of another class.
    pub areas: [u64; 3],
}

/// The corrected labels of output `number`, of an image that has a truth.
pub(crate) fn open(
    context: &SinkContext<'_>,
    number: usize,
    output: &Output,
    wanted: &CorrectedLabels,
) -> Result<Box<dyn RowSink>, SinkError> {
    let scores = LabelScores::new(context);
    let background = context.spec.background();
    let Some(usual) = &wanted.usual else {
        return Ok(Box::new(Counting { number, scores, background }));
    };
    let survey: Survey = serde_json::from_str(usual).map_err(|error| {
        std::io::Error::other(format!("outputs[{number}].usual is not what a first pass writes: {error}"))
    })?;
    let label = output_path(output, &context.image.id, None);
    let name = format!("corrected-labels-{number}");
    let (file, encoder) = masks::encoder(context, wanted.form, label.clone(), &name, &context.legend)?;
    let ignore = context.spec.missing_label();
    let probability = wanted.probability;
    Ok(Box::new(Correcting { number, scores, background, survey, probability, ignore, label, encoder, file }))
}

/// The first pass: findings, of which what is usual follows.
struct Counting {
    number: usize,
    scores: LabelScores,
    background: Option<u16>,
}

impl RowSink for Counting {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        self.scores.row(row)
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        let findings = Findings::new(self.scores.all(), self.background);
        let text = serde_json::to_string(&findings).map_err(std::io::Error::other)?;
        image.result.table_rows.insert(self.number, text);
        Ok(())
    }
}

/// The second.
struct Correcting {
    number: usize,
    scores: LabelScores,
    background: Option<u16>,
    survey: Survey,
    probability: f64,
    ignore: u16,
    label: String,
    encoder: Box<dyn LabelSink>,
    file: OutputFile,
}

impl RowSink for Correcting {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        self.scores.row(row)
    }

    fn finish(mut self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        let usual = Usual::new(&self.survey);
        let Corrected { mut labels, components, changed_px } =
            corrected(self.scores.all(), self.background, &usual, self.probability);
        self.scores.put_back(&mut labels);
        labels.iter_mut().filter(|label| **label == LEFT_OUT).for_each(|label| *label = self.ignore);
        for row in labels.chunks_exact((self.scores.all().size().width as usize).max(1)) {
            self.encoder.row(row)?;
        }
        self.encoder.finish()?;
        image.files.push(self.file);
        let areas = [Kind::Missing, Kind::Extra, Kind::Swapped].map(|kind| components[kind as usize]);
        let row = CorrectedLabelRow { label: self.label, changed_px, areas };
        let text = serde_json::to_string(&row).map_err(std::io::Error::other)?;
        image.result.table_rows.insert(self.number, text);
        Ok(())
    }
}
