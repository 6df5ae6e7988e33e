//! Arrays of numbers from 0 to 1: a band for each class, or for whatever else there is for each pixel.

use super::SinkContext;
use crate::output_file::{OutputFile, ScratchFolder};
use crate::sink::{FinishedImage, SinkError};
use marquetry_raster::write::{ScoreDepth, ScoreSink, ScoreTiff, ScoreZarr, TiffOptions};
use marquetry_spec::{ScoreDtype, ScoreFormat};
use std::path::{Path, PathBuf};

/// Side of a chunk of a Zarr array, px.
pub(crate) const ZARR_CHUNK_PX: u32 = 512;

/// What an array of an image is.
pub(super) struct ArrayForm<'a> {
    /// Where it lies below the job's outputs.
    pub(super) place: String,
    /// Tells it from the image's other files.
    pub(super) name: String,
    pub(super) format: ScoreFormat,
    pub(super) dtype: ScoreDtype,
    /// A name for each band.
    pub(super) bands: &'a [String],
    /// What a Zarr array says of itself where its bands are not the probabilities of classes.
    pub(super) attributes: Option<serde_json::Value>,
}

/// An encoder that writes a file, or all files of a folder.
pub(super) struct ScoreFiles {
    encoder: Box<dyn ScoreSink>,
    written: Written,
}

/// Where an array is written to.
enum Written {
    File(OutputFile),
    /// A folder, and where it goes.
    Folder {
        place: String,
        path: PathBuf,
        within: ScratchFolder,
    },
}

impl ScoreFiles {
    /// An array of the context's image.
    pub(super) fn open(context: &SinkContext<'_>, form: ArrayForm<'_>) -> Result<Self, SinkError> {
        let depth = depth(form.dtype);
        let (place, size, bands) = (form.place, context.image.size, form.bands);
        let (written, encoder): (_, Box<dyn ScoreSink>) = match form.format {
            ScoreFormat::Tiff => {
                let (file, out) = context.new_file(place, &form.name);
                let (bands, geo) = (bands.to_vec(), context.geo.clone());
                (
                    Written::File(file),
                    Box::new(ScoreTiff::new(out, size, bands, depth, geo, TiffOptions::default())?),
                )
            }
            ScoreFormat::Zarr => {
                let path = context.folder.file(&form.name)?;
                let mut encoder = ScoreZarr::new(path.clone(), size, bands, depth, ZARR_CHUNK_PX)?;
                if let Some(attributes) = form.attributes {
                    encoder = encoder.with_attributes(attributes)?;
                }
                (Written::Folder { place, path, within: context.folder.clone() }, Box::new(encoder))
            }
        };
        Ok(Self { encoder, written })
    }

    /// Takes a row, `[bands, W]`.
    pub(super) fn row(&mut self, row: &[f32]) -> Result<(), SinkError> {
        Ok(self.encoder.band(row, 1)?)
    }

    /// Ends the array, and hands its files over.
    pub(super) fn finish(self, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.encoder.finish()?;
        match self.written {
            Written::File(file) => image.files.push(file),
            Written::Folder { place, path, within } => {
                for name in files_below(&path)? {
                    let at = format!("{place}/{name}");
                    image.files.push(OutputFile::at(at, path.join(&name), within.clone()));
                }
            }
        }
        Ok(())
    }
}

/// How an array of this type keeps a number.
pub(crate) const fn depth(dtype: ScoreDtype) -> ScoreDepth {
    match dtype {
        ScoreDtype::U8 => ScoreDepth::U8,
        ScoreDtype::F16 => ScoreDepth::F16,
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
