//! The labels of an image, as they are kept for comparison with those of another night.

use super::SinkContext;
use crate::output_file::{OutputFile, UnfinishedFile};
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_geometry::Size;
use marquetry_job::{LabelWriter, NO_TRUTH, key};
use std::io::Write;

/// Writes labels in the form of a truth. Of classes that share pixels each row has a row for each class, of 0 and 1.
struct NightLabels {
    writer: LabelWriter<UnfinishedFile>,
    file: OutputFile,
    row: Vec<u16>,
}

pub(crate) fn open(context: &SinkContext<'_>) -> Result<Box<dyn RowSink>, SinkError> {
    let (size, planes) = (context.image.size, context.planes());
    let place = key::night_labels(context.outputs, &context.image.key);
    let (file, out) = context.new_file(place, "night-labels");
    let writer = LabelWriter::new(out, Size::new(size.height * planes, size.width))?;
    Ok(Box::new(NightLabels { writer, file, row: Vec::new() }))
}

impl RowSink for NightLabels {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let Some(labels) = row.labels() else { return Ok(()) };
        for plane in labels.chunks_exact(row.width().max(1)) {
            let known = plane.iter().zip(row.missing());
            self.row.clear();
            self.row.extend(known.map(|(label, missing)| if *missing { NO_TRUTH } else { *label }));
            self.writer.row(&self.row)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.writer.finish()?.flush()?;
        image.files.push(self.file);
        Ok(())
    }
}
