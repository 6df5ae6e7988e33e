//! Maps of uncertainty, as an array.

use super::SinkContext;
use super::measures::measure_row;
use super::score_files::{ArrayForm, ScoreFiles};
use crate::outputs::output_path;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_spec::{Measure, Output, ScoreDtype, Uncertainty};

/// The maps of output `number`.
pub(crate) fn open(
    context: &SinkContext<'_>,
    number: usize,
    output: &Output,
    uncertainty: &Uncertainty,
) -> Result<Box<dyn RowSink>, SinkError> {
    let bands: Vec<String> = uncertainty.measures.iter().map(|measure| measure.name().to_owned()).collect();
    let attributes = serde_json::json!({
        "_ARRAY_DIMENSIONS": ["measure", "y", "x"],
        "measures": bands,
    });
    let form = ArrayForm {
        place: output_path(output, &context.image.id, None),
        name: format!("uncertainty-{number}"),
        format: uncertainty.format,
        dtype: uncertainty.dtype,
        bands: &bands,
        attributes: Some(attributes),
    };
    let files = ScoreFiles::open(context, form)?;
    // A byte has no number for what is not known.
    let unknown = if uncertainty.dtype == ScoreDtype::U8 { 0.0 } else { f32::NAN };
    Ok(Box::new(Maps { measures: uncertainty.measures.clone(), unknown, files, row: Vec::new() }))
}

struct Maps {
    measures: Vec<Measure>,
    /// What stands for missing and skipped pixels.
    unknown: f32,
    files: ScoreFiles,
    /// The row in hand, `[measures, W]`.
    row: Vec<f32>,
}

impl RowSink for Maps {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let Some(scores) = row.scores() else { return Ok(()) };
        let (width, unscored) = (row.width(), row.unscored());
        self.row.resize(self.measures.len() * width, 0.0);
        for (measure, line) in self.measures.iter().zip(self.row.chunks_exact_mut(width)) {
            measure_row(*measure, row, scores, line)?;
            line.iter_mut()
                .zip(unscored.iter())
                .filter(|(_, unscored)| **unscored)
                .for_each(|(x, _)| *x = self.unknown);
        }
        self.files.row(&self.row)
    }

    fn needs_whole_rows(&self) -> bool {
        self.measures.contains(&Measure::VoteShare)
    }

    fn needs_members(&self) -> bool {
        self.measures.iter().any(|measure| measure.needs_members())
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.files.finish(image)
    }
}
