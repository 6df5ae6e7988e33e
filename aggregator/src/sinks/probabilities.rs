//! Probabilities of all classes, as an array.

use super::SinkContext;
use crate::outputs::output_path;
use crate::row::Row;
use crate::sink::{FinishedImage, OutputFile, RowSink, SinkError};
use marquetry_raster::write::{ScoreDepth, ScoreSink, ScoreTiff, ScoreZarr, TiffOptions};
use marquetry_spec::{Output, Probabilities, ScoreDtype, ScoreFormat};
use std::path::Path;

/// Side of a chunk of a Zarr array, px.
const ZARR_CHUNK_PX: u32 = 512;

/// Feeds probabilities to an encoder that writes a file, or all files of a folder.
struct ScoreFiles {
    encoder: Box<dyn ScoreSink>,
    /// The file or the folder.
    written: OutputFile,
}

/// The array of output `number`.
pub(crate) fn open(
    context: &SinkContext<'_>,
    number: usize,
    output: &Output,
    probabilities: Probabilities,
) -> Result<Box<dyn RowSink>, SinkError> {
    let depth = match probabilities.dtype {
        ScoreDtype::U8 => ScoreDepth::U8,
        ScoreDtype::F16 => ScoreDepth::F16,
    };
    let (place, name) = (output_path(output, &context.image.id, None), format!("probabilities-{number}"));
    let (size, names) = (context.image.size, context.legend.names());
    let (written, encoder): (_, Box<dyn ScoreSink>) = match probabilities.format {
        ScoreFormat::Tiff => {
            let (file, out) = context.new_file(place, &name)?;
            let (names, geo) = (names.to_vec(), context.geo.clone());
            (file, Box::new(ScoreTiff::new(out, size, names, depth, geo, TiffOptions::default())?))
        }
        ScoreFormat::Zarr => {
            let path = context.folder.join(name);
            let encoder = ScoreZarr::new(path.clone(), size, names, depth, ZARR_CHUNK_PX)?;
            (OutputFile { place, path }, Box::new(encoder))
        }
    };
    Ok(Box::new(ScoreFiles { encoder, written }))
}

impl RowSink for ScoreFiles {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let Some(scores) = row.scores() else { return Ok(()) };
        // A row `[C, W]` is a band `[C, 1, W]`.
        Ok(self.encoder.band(scores.probabilities()?, 1)?)
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.encoder.finish()?;
        let OutputFile { place, path } = self.written;
        if !path.is_dir() {
            image.files.push(OutputFile { place, path });
            return Ok(());
        }
        for name in files_below(&path)? {
            image.files.push(OutputFile { place: format!("{place}/{name}"), path: path.join(&name) });
        }
        Ok(())
    }
}

/// All files below a folder, hidden ones too: a Zarr array keeps its description in them.
fn files_below(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            found.extend(files_below(&entry.path())?.into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}
