//! Probabilities of all classes, as an array.

use super::SinkContext;
use super::score_files::{ArrayForm, ScoreFiles};
use crate::outputs::output_path;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_spec::{Output, Probabilities};

struct ProbabilityRows(ScoreFiles);

/// The array of output `number`.
pub(crate) fn open(
    context: &SinkContext<'_>,
    number: usize,
    output: &Output,
    Probabilities { format, dtype }: Probabilities,
) -> Result<Box<dyn RowSink>, SinkError> {
    let form = ArrayForm {
        place: output_path(output, &context.image.id, None),
        name: format!("probabilities-{number}"),
        format,
        dtype,
        bands: context.legend.names(),
        attributes: None,
    };
    Ok(Box::new(ProbabilityRows(ScoreFiles::open(context, form)?)))
}

impl RowSink for ProbabilityRows {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let Some(scores) = row.scores() else { return Ok(()) };
        self.0.row(scores.probabilities()?)
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.0.finish(image)
    }
}
