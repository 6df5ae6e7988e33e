//! Images by their URI: the pixels of [`marquetry_raster`] over the bytes of [`marquetry_transport`].
//!
//! A TIFF in a bucket is read by ranges, chunk by chunk. Other formats must be decoded whole; they are fetched into the
//! cache first.
//!
//! This crate must not know: jobs, models, queues, stores that are written to.

mod planned;

pub use planned::PlannedVersion;

use marquetry_raster::read::{Image, ImageInfo, Limits, ReadAt, ReadError, ReadErrorKind, probe_from};
use marquetry_transport::{FileError, FileStat, Files, LocalFile, RemoteFile};
use std::fs::File;
use std::io;
use std::path::Path;

/// Fetched at least when chunks are read: neighbouring windows often find theirs in the same block.
const BLOCK_BYTES: u64 = 1 << 20;
/// Fetched at least when only the header is wanted, which mostly lies in the first of these.
const HEADER_BLOCK_BYTES: u64 = 64 << 10;
/// Endings of what can be read by ranges. A wrong ending costs time, not correctness.
const ENDINGS: [&str; 5] = ["tif", "tiff", "btf", "tf8", "gtiff"];

/// Why an image cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImageError {
    /// Its file cannot be had.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its file is not right.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not the one that was planned: its object was replaced.
    #[error("{uri}: it was replaced since the job was planned; run the job again to plan it anew")]
    Replaced {
        /// Where it lies.
        uri: String,
    },
    /// It is not the one that was planned: its size or number of bands is another.
    #[error(
        "{uri}: it has {found} now, and had {planned} when the job was planned; run the job again to plan it anew"
    )]
    Reshaped {
        /// Where it lies.
        uri: String,
        /// Size and bands that it has.
        found: String,
        /// Size and bands that it had.
        planned: String,
    },
}

impl ImageError {
    /// Whether another try could go better.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::File(error) => error.may_pass(),
            Self::Read(error) => error.kind() == ReadErrorKind::Io,
            Self::Replaced { .. } | Self::Reshaped { .. } => false,
        }
    }
}

/// Reads the header of the image at `uri`. `stat` is its version, if it is known already.
///
/// # Errors
/// When the file cannot be had or its header is not right.
pub fn probe(
    files: &Files,
    uri: &str,
    stat: Option<&FileStat>,
    limits: &Limits,
) -> Result<ImageInfo, ImageError> {
    let name = Path::new(uri);
    match remote(files, uri, stat, HEADER_BLOCK_BYTES)? {
        Some(remote) => Ok(probe_from(Box::new(remote), name, limits)?),
        None => Ok(marquetry_raster::read::probe(name, limits)?),
    }
}

/// Opens the image at `uri`. `stat` is the version that is wanted; the one that is there now, if not given.
///
/// # Errors
/// When the file cannot be had, is not the version that is wanted, or is damaged.
pub fn open(files: &Files, uri: &str, stat: Option<&FileStat>, limits: &Limits) -> Result<Image, ImageError> {
    let name = Path::new(uri);
    if is_read_by_range(uri)
        && let Some(remote) = remote(files, uri, stat, BLOCK_BYTES)?
    {
        return Ok(Image::open_from(Box::new(remote), name, limits)?);
    }
    let copy = Copy::open(files.local(uri, stat, None)?);
    match copy {
        Ok(copy) => Ok(Image::open_from(Box::new(copy), name, limits)?),
        // What cannot be opened is described by the reader itself.
        Err(_) => Ok(Image::open(name, limits)?),
    }
}

/// The bytes of the image at `uri`, whatever its format, to be read in a few small places. `stat` is the version that is
/// wanted; the one that is there now, if not given.
///
/// # Errors
/// When the file cannot be had.
pub fn bytes(files: &Files, uri: &str, stat: Option<&FileStat>) -> Result<Box<dyn ReadAt>, ImageError> {
    if let Some(remote) = remote(files, uri, stat, HEADER_BLOCK_BYTES)? {
        return Ok(Box::new(remote));
    }
    let file = File::open(uri).map_err(|error| FileError::of_disk("read", uri, &error))?;
    Ok(Box::new(file))
}

fn is_read_by_range(uri: &str) -> bool {
    let ending = uri.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.iter().any(|e| ending.eq_ignore_ascii_case(e))
}

/// The image's object, to be read by ranges; nothing for a file of this machine.
fn remote(
    files: &Files,
    uri: &str,
    stat: Option<&FileStat>,
    block_bytes: u64,
) -> Result<Option<Remote>, FileError> {
    if !marquetry_transport::uri::is_uri(uri) {
        return Ok(None);
    }
    let stat = match stat {
        Some(stat) => stat.clone(),
        None => files.stat(uri)?,
    };
    Ok(files.remote(uri, &stat, block_bytes)?.map(Remote))
}

#[derive(Debug)]
struct Remote(RemoteFile);

impl ReadAt for Remote {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.size_bytes())
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(at, out)
    }
}

/// A file that is kept where it is for as long as it is read.
#[derive(Debug)]
struct Copy {
    file: File,
    _kept: LocalFile,
}

impl Copy {
    fn open(kept: LocalFile) -> io::Result<Self> {
        Ok(Self { file: File::open(kept.path())?, _kept: kept })
    }
}

impl ReadAt for Copy {
    fn length(&self) -> io::Result<u64> {
        ReadAt::length(&self.file)
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        ReadAt::read_at(&self.file, at, out)
    }
}
