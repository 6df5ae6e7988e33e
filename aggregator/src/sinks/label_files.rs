//! Files that are made of labels.

use crate::output_file::OutputFile;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_raster::write::LabelSink;

/// Feeds final labels to an encoder that writes one file or several.
pub(super) struct LabelFiles {
    pub(super) encoder: Box<dyn LabelSink>,
    pub(super) files: Vec<OutputFile>,
}

impl RowSink for LabelFiles {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let Some(labels) = row.labels() else { return Ok(()) };
        Ok(self.encoder.row(labels)?)
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.encoder.finish()?;
        image.files.extend(self.files);
        Ok(())
    }
}
