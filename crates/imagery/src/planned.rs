//! Images in the version that a job was planned with: other pixels of the same size would pass for it.

use crate::{Georeference, ImageError, ImageFiles};
use marquetry_geometry::{Reading, Size};
use marquetry_raster::read::{Image, Limits};
use marquetry_transport::uri::is_uri;
use marquetry_transport::{FileStat, Files, StoreErrorKind};

/// An image as it was when its job was planned.
#[derive(Clone, Copy)]
pub struct PlannedVersion<'a> {
    /// Where it lies.
    pub uri: &'a str,
    /// The names of the files in its folder that speak of it too.
    pub sidecars: &'a [String],
    /// Its size, px, after any rotation that its metadata asks for.
    pub size: Size,
    /// Number of bands.
    pub bands: u16,
    /// Which part of the file is the image.
    pub reading: &'a Reading,
    /// Whether what has this [fingerprint](crate::fingerprint) is the planned one. Asked of objects always, of files of a
    /// machine only where they were planned: they are told apart by when they were written too, which is another time on each
    /// machine.
    pub is_planned: &'a dyn Fn(&str) -> bool,
    /// Whether files of this machine were planned on it.
    pub planned_here: bool,
}

impl PlannedVersion<'_> {
    /// The version of an object, which must be the planned one; nothing for a file of this machine, which must be so too
    /// where it was planned.
    ///
    /// # Errors
    /// When it cannot be had or was replaced.
    pub fn stat(&self, files: &Files) -> Result<Option<FileStat>, ImageError> {
        let is_object = is_uri(self.uri);
        if !(is_object || self.planned_here) {
            return Ok(None);
        }
        let stat = files.stat(self.uri)?;
        let replaced = || ImageError::Replaced { uri: self.uri.to_owned() };
        match crate::fingerprint(files, &self.files(Some(&stat))) {
            Ok(fingerprint) if (self.is_planned)(&fingerprint) => Ok(is_object.then_some(stat)),
            // A file beside it is gone.
            Err(ImageError::File(error)) if error.kind == StoreErrorKind::NotFound => Err(replaced()),
            Ok(_) => Err(replaced()),
            Err(error) => Err(error),
        }
    }

    /// What changes with any change of its files and is had without reading them, file by file; `None` where one of them cannot
    /// be looked at, or may change and keep it.
    pub fn stamps(&self, files: &Files) -> Option<Vec<String>> {
        let stamps = self.files(None).uris().map(|uri| files.stamp(&uri, None).ok());
        stamps.map(|stamp| stamp.filter(|stamp| stamp.is_settled).map(|stamp| stamp.text)).collect()
    }

    fn files<'s>(&'s self, stat: Option<&'s FileStat>) -> ImageFiles<'s> {
        ImageFiles { uri: self.uri, stat, sidecars: self.sidecars }
    }

    /// Opens the image. Strips and tiles that are damaged are missing pixels ([`Image::damage`]).
    ///
    /// # Errors
    /// When the file cannot be had or is damaged, was replaced, or has another size or other bands than were planned.
    pub fn open(&self, files: &Files, limits: &Limits) -> Result<Image, ImageError> {
        let stat = self.stat(files)?;
        let image = crate::open(files, &self.files(stat.as_ref()), limits, self.reading)?;
        let info = image.info();
        if (info.size, info.bands) != (self.size, self.bands) {
            let shape = |size: Size, bands: u16| format!("{size} px and {bands} bands");
            return Err(ImageError::Reshaped {
                uri: self.uri.to_owned(),
                found: shape(info.size, info.bands),
                planned: shape(self.size, self.bands),
            });
        }
        Ok(image.tolerating_damage())
    }

    /// Where the image lies on a map.
    ///
    /// # Errors
    /// When a file cannot be had or was replaced.
    pub fn georeference(&self, files: &Files, limits: &Limits) -> Result<Georeference, ImageError> {
        let stat = self.stat(files)?;
        crate::georeference(files, &self.files(stat.as_ref()), limits, self.reading)
    }
}
