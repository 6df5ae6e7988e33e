//! The image itself, read a second time: for its georeference and for the report's picture.

use marquetry_geometry::Reading;
use marquetry_imagery::{ImageError, PlannedVersion};
use marquetry_job::PlannedImage;
use marquetry_raster::read::{Image, Limits};
use marquetry_raster::write::GeoTags;
use marquetry_transport::Files;

/// An image of the plan; read in the version that was planned, or not at all.
#[derive(Debug, Clone)]
pub(crate) struct SourceImage {
    planned: PlannedImage,
    reading: Reading,
    files: Files,
    limits: Limits,
    planned_here: bool,
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

    /// Where the image lies on a map. What there is to tell of that was told when it was planned.
    pub(crate) fn georeference(&self) -> Result<Option<GeoTags>, ImageError> {
        let found = self.in_planned_version(|version| version.georeference(&self.files, &self.limits))?;
        Ok(found.tags)
    }

    fn in_planned_version<T>(&self, read: impl FnOnce(PlannedVersion<'_>) -> T) -> T {
        let PlannedImage { uri, sidecars, size, bands, .. } = &self.planned;
        let is_planned = |fingerprint: &str| self.planned.is_version(fingerprint);
        read(PlannedVersion {
            uri,
            sidecars,
            size: *size,
            bands: *bands,
            reading: &self.reading,
            is_planned: &is_planned,
            planned_here: self.planned_here,
        })
    }
}
