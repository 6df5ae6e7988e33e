//! The image itself, read a second time: for its georeference and for the report's picture.

use bytes::Bytes;
use marquetry_geometry::Reading;
use marquetry_imagery::{ImageError, PlannedVersion};
use marquetry_job::PlannedImage;
use marquetry_raster::read::{Image, Limits, ReadError};
use marquetry_raster::write::GeoTags;
use marquetry_transport::uri::is_uri;
use marquetry_transport::{FileError, Files, StoreErrorKind};
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
    /// The world file beside it cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The world file beside it makes no sense.
    #[error("{uri}: {reason}")]
    WorldFile {
        /// The file.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
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

    /// `tags` with the map of the world file that lies beside the image, where they have none of their own.
    pub(crate) fn with_world_file(&self, tags: Option<GeoTags>) -> Result<Option<GeoTags>, GeoError> {
        if tags.as_ref().is_some_and(GeoTags::is_tied) {
            return Ok(tags);
        }
        let Some((uri, text)) = self.world_file()? else { return Ok(tags) };
        let wrong = |reason: String| GeoError::WorldFile { uri: uri.clone(), reason };
        // It speaks of the pixels as they are stored.
        if self.open()?.is_turned() {
            return Err(wrong(
                "it is not used, since the image is shown turned, as its metadata says".to_owned(),
            ));
        }
        let text = std::str::from_utf8(&text).map_err(|_| wrong("it is no text".to_owned()))?;
        GeoTags::with_world_file(tags, text).map(Some).map_err(wrong)
    }

    /// The world file of the image, if it has one: `a.pgw` or `a.wld` beside `a.png`; on a disk `a.pngw` and capital
    /// letters too, for each of which a bucket would be asked.
    fn world_file(&self) -> Result<Option<(String, Bytes)>, GeoError> {
        let uri = &self.planned.uri;
        let Some((stem, ending)) = uri.rsplit_once('.').filter(|(_, ending)| !ending.contains('/')) else {
            return Ok(None);
        };
        let ends: Vec<char> = ending.chars().collect();
        let [first, .., last] = ends.as_slice() else { return Ok(None) };
        let mut endings = vec![format!("{first}{last}w"), "wld".to_owned()];
        if !is_uri(uri) {
            endings.push(format!("{ending}w"));
            endings.extend(endings.clone().iter().map(|e| e.to_ascii_lowercase()));
            endings.extend(endings.clone().iter().map(|e| e.to_ascii_uppercase()));
        }
        for ending in endings {
            let uri = format!("{stem}.{ending}");
            match self.files.read(&uri) {
                Ok(text) => return Ok(Some((uri, text))),
                Err(error) if error.kind == StoreErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
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
