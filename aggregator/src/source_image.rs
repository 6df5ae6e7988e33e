//! The image itself, read a second time: for its georeference and for the report's picture.

use marquetry_imagery::{ImageError, PlannedVersion};
use marquetry_job::PlannedImage;
use marquetry_raster::read::{Image, Limits};
use marquetry_raster::write::{GeoTags, WriteError};
use marquetry_transport::Files;
use std::io::{BufReader, Read, Seek, SeekFrom};

/// An image of the plan; read in the version that was planned, or not at all.
#[derive(Debug, Clone)]
pub(crate) struct SourceImage {
    planned: PlannedImage,
    files: Files,
    limits: Limits,
}

/// Why the georeference of an image cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GeoError {
    /// The image cannot be had in the version that was planned.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Its bytes cannot be read.
    #[error("the image cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Its tags make no sense.
    #[error(transparent)]
    Tags(#[from] WriteError),
}

impl SourceImage {
    pub(crate) const fn new(planned: PlannedImage, files: Files, limits: Limits) -> Self {
        Self { planned, files, limits }
    }

    pub(crate) const fn planned(&self) -> &PlannedImage {
        &self.planned
    }

    /// Opens the image for its pixels.
    pub(crate) fn open(&self) -> Result<Image, ImageError> {
        self.in_planned_version(|version| version.open(&self.files, &self.limits))
    }

    /// The georeference of the image, if it is a TIFF by its first bytes, whatever its name, and has one.
    pub(crate) fn georeference(&self) -> Result<Option<GeoTags>, GeoError> {
        let mut source = self.in_planned_version(|version| version.bytes(&self.files))?;
        let mut first = Vec::new();
        source.by_ref().take(4).read_to_end(&mut first)?;
        if !matches!(first.as_slice(), b"II*\0" | b"MM\0*" | b"II+\0" | b"MM\0+") {
            return Ok(None);
        }
        source.seek(SeekFrom::Start(0))?;
        Ok(GeoTags::read(BufReader::new(source))?)
    }

    fn in_planned_version<T>(&self, read: impl FnOnce(PlannedVersion<'_>) -> T) -> T {
        let PlannedImage { uri, key, size, bands, .. } = &self.planned;
        let is_planned = |fingerprint: &str| PlannedImage::key_of(uri, fingerprint) == *key;
        read(PlannedVersion { uri, size: *size, bands: *bands, is_planned: &is_planned })
    }
}
