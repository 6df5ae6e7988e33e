//! Images by their URI: the pixels of [`marquetry_raster`] over the bytes of [`marquetry_transport`].
//!
//! A TIFF in a bucket is read by ranges, chunk by chunk. Other formats must be decoded whole; they are fetched into the
//! cache first.
//!
//! This crate must not know: jobs, models, queues, stores that are written to.

mod error;
mod nonblank;
mod planned;
mod sidecars;
#[cfg(test)]
mod tests;

pub use error::ImageError;
pub use nonblank::nonblank;
pub use planned::PlannedVersion;
pub use sidecars::{Georeference, ImageFiles, find_sidecars, georeference, georeference_told};

use marquetry_geometry::Reading;
use marquetry_raster::read::{Beside, Image, ImageInfo, Limits, ReadAt, probe_from};
use marquetry_transport::{FileError, Files, LocalFile, RemoteFile};
use std::fs::File;
use std::io;
use std::path::Path;

/// Fetched at least when chunks are read: neighbouring windows often find theirs in the same block.
const BLOCK_BYTES: u64 = 1 << 20;
/// Fetched at least when only the header is wanted, which mostly lies in the first of these.
const HEADER_BLOCK_BYTES: u64 = 64 << 10;
/// Endings of what can be read by ranges. A wrong ending costs time, not correctness.
const ENDINGS: [&str; 5] = ["tif", "tiff", "btf", "tf8", "gtiff"];

/// Reads the header of an image, and what files beside it say. `reading` says which part of the file is the image.
///
/// # Errors
/// When a file cannot be had or its header is not right.
pub fn probe(
    files: &Files,
    image: &ImageFiles<'_>,
    limits: &Limits,
    reading: &Reading,
) -> Result<ImageInfo, ImageError> {
    let (beside, remarks) = image.pixels_beside(files, limits, reading)?;
    let mut info = own_header(files, image, limits, reading, &beside)?;
    info.traits.remarks.extend(remarks);
    if image.has_place_beside() {
        let place = georeference_told(files, image, limits, reading)?;
        info.traits.crs = place.in_words().or(info.traits.crs);
        info.traits.remarks.extend(place.remarks);
    }
    Ok(info)
}

/// The header of the image's own file.
fn own_header(
    files: &Files,
    image: &ImageFiles<'_>,
    limits: &Limits,
    reading: &Reading,
    beside: &Beside,
) -> Result<ImageInfo, ImageError> {
    let name = Path::new(image.uri);
    if let Some(object) = object(files, image, HEADER_BLOCK_BYTES)? {
        return Ok(probe_from(Box::new(object), name, limits, reading, beside)?);
    }
    match File::open(name) {
        Ok(file) => Ok(probe_from(Box::new(file), name, limits, reading, beside)?),
        // What cannot be opened is described by the reader itself.
        Err(_) => Ok(marquetry_raster::read::probe(name, limits, reading)?),
    }
}

/// Opens an image. `reading` says which part of the file is the image.
///
/// # Errors
/// When a file cannot be had, is not the version that is wanted, or is damaged.
pub fn open(
    files: &Files,
    image: &ImageFiles<'_>,
    limits: &Limits,
    reading: &Reading,
) -> Result<Image, ImageError> {
    let name = Path::new(image.uri);
    let (beside, _) = image.pixels_beside(files, limits, reading)?;
    if is_read_by_range(image.uri)
        && let Some(object) = object(files, image, BLOCK_BYTES)?
    {
        return Ok(Image::open_from(Box::new(object), name, limits, reading, beside)?);
    }
    match HeldFile::open(files.local(image.uri, image.stat, None)?) {
        Ok(file) => Ok(Image::open_from(Box::new(file), name, limits, reading, beside)?),
        // What cannot be opened is described by the reader itself.
        Err(_) => Ok(Image::open(name, limits, reading)?),
    }
}

/// The bytes of an image, whatever its format, to be read in a few small places.
///
/// # Errors
/// When the file cannot be had.
pub fn bytes(files: &Files, image: &ImageFiles<'_>) -> Result<Box<dyn ReadAt>, ImageError> {
    if let Some(object) = object(files, image, HEADER_BLOCK_BYTES)? {
        return Ok(Box::new(object));
    }
    let file = File::open(image.uri).map_err(|error| FileError::of_disk("read", image.uri, error))?;
    Ok(Box::new(file))
}

/// Names an image and the files beside it that speak of it, as they are now: quickly, and well enough to notice a change.
///
/// # Errors
/// When one of them cannot be looked at.
pub fn fingerprint(files: &Files, image: &ImageFiles<'_>) -> Result<String, ImageError> {
    named(
        image,
        |uri| {
            let stat = match image.stat.filter(|_| uri == image.uri) {
                Some(stat) => stat.clone(),
                None => files.stat(uri)?,
            };
            Ok(files.fingerprint(uri, &stat)?)
        },
        files,
    )
}

/// Names the content of an image and of the files beside it that speak of it: what is made of it hangs on all of them, and not
/// on where they lie or when they were written. Files of this machine are read to their end.
///
/// # Errors
/// When one of them cannot be read.
pub fn content(files: &Files, image: &ImageFiles<'_>) -> Result<String, ImageError> {
    named(image, |uri| Ok(files.content(uri, image.stat.filter(|_| uri == image.uri))?), files)
}

/// What `name` says of each file of the image. Of an `.aux.xml` what is read of it says it.
fn named(
    image: &ImageFiles<'_>,
    name: impl Fn(&str) -> Result<String, ImageError>,
    files: &Files,
) -> Result<String, ImageError> {
    let mut text = String::new();
    for (place, uri) in image.uris().enumerate() {
        if place > 0 {
            let ending = image.sidecars[place - 1].rsplit_once('.').map_or("", |(_, ending)| ending);
            text += &format!("\n{ending}\n");
        }
        text += &match image.said_by_aux_xml(files, &uri)? {
            Some(said) => said,
            None => name(&uri)?,
        };
    }
    Ok(text)
}

fn is_read_by_range(uri: &str) -> bool {
    let ending = uri.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.iter().any(|e| ending.eq_ignore_ascii_case(e))
}

/// The image's object, to be read by ranges; nothing for a file of this machine.
fn object(files: &Files, image: &ImageFiles<'_>, block_bytes: u64) -> Result<Option<RangeSource>, FileError> {
    let uri = image.uri;
    if !marquetry_transport::uri::is_uri(uri) {
        return Ok(None);
    }
    let stat = match image.stat {
        Some(stat) => stat.clone(),
        None => files.stat(uri)?,
    };
    Ok(files.remote(uri, &stat, block_bytes)?.map(RangeSource))
}

/// An object, of which the reader fetches what it needs.
#[derive(Debug)]
struct RangeSource(RemoteFile);

impl ReadAt for RangeSource {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.size_bytes())
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(at, out)
    }
}

/// A file that is kept where it is for as long as it is read.
#[derive(Debug)]
struct HeldFile {
    file: File,
    _held: LocalFile,
}

impl HeldFile {
    fn open(held: LocalFile) -> io::Result<Self> {
        Ok(Self { file: File::open(held.path())?, _held: held })
    }
}

impl ReadAt for HeldFile {
    fn length(&self) -> io::Result<u64> {
        ReadAt::length(&self.file)
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        ReadAt::read_at(&self.file, at, out)
    }
}
