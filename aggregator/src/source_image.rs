//! The image itself, read a second time: for its georeference and for the report's picture.

use marquetry_geometry::Reading;
use marquetry_imagery::{ImageError, PlannedVersion};
use marquetry_job::PlannedImage;
use marquetry_raster::read::{Image, Limits, ReadError};
use marquetry_raster::write::GeoTags;
use marquetry_transport::Files;
use std::path::Path;

/// An image of the plan; read in the version that was planned, or not at all.
#[derive(Debug, Clone)]
pub(crate) struct SourceImage {
    planned: PlannedImage,
    reading: Reading,
    files: Files,
    limits: Limits,
    planned_here: bool,
}

/// Why the georeference of an image cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GeoError {
    /// The image cannot be had in the version that was planned.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Its tags make no sense.
    #[error(transparent)]
    Tags(#[from] ReadError),
}

impl SourceImage {
    pub(crate) const fn new(
        planned: PlannedImage,
        reading: Reading,
        files: Files,
        limits: Limits,
        planned_here: bool,
    ) -> Self {
        Self { planned, reading, files, limits, planned_here }
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
        let bytes = self.in_planned_version(|version| version.bytes(&self.files))?;
        Ok(GeoTags::read(bytes, Path::new(&self.planned.uri))?)
    }

    fn in_planned_version<T>(&self, read: impl FnOnce(PlannedVersion<'_>) -> T) -> T {
        let PlannedImage { uri, size, bands, .. } = &self.planned;
        let is_planned = |fingerprint: &str| self.planned.is_version(fingerprint);
        read(PlannedVersion {
            uri,
            size: *size,
            bands: *bands,
            reading: &self.reading,
            is_planned: &is_planned,
            planned_here: self.planned_here,
        })
    }
}
