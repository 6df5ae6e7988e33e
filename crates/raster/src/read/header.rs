//! What a file says of its image before any pixel is decoded.

use super::colour::Colour;
use super::error::ReadFault;
use super::samples::SampleType;
use marquetry_geometry::{D4, Size};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How an image's samples are stored, and so what range its values have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// 0 to 255. Samples of fewer bits are stretched to that range, palettes are expanded.
    U8,
    /// 0 to 65,535. Samples of 9 to 15 bits keep their values.
    U16,
    /// Anything else: floats, signed integers, integers of 32 and more bits, rounded to the nearest `f32`.
    F32,
}

/// A file format, found from the file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG, baseline or progressive.
    Jpeg,
    /// WebP, lossy or lossless; of an animation the first frame.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// TIFF, `BigTIFF`, `GeoTIFF`; of several pages the first.
    Tiff,
}

/// What is known of an image from its header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// Rows and columns as shown, px: after the file's orientation was applied.
    pub size: Size,
    /// Colour bands without alpha; palettes and CMYK count as 3.
    pub bands: u16,
    /// How samples are stored.
    pub depth: Depth,
    /// The file's format.
    pub format: Format,
}

/// What reading an image may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Images of more pixels are refused.
    pub pixels_max: u64,
    /// Most bytes of decoded pixels held for one image.
    pub memory_bytes: u64,
    /// Folder for the decoded pixels of PNG files that are larger than that. The files there have no name and vanish
    /// with the image or the process.
    pub scratch_dir: PathBuf,
}

/// What a reader needs to know. All of it but the orientation speaks of the image as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) format: Format,
    pub(super) size: Size,
    pub(super) orientation: D4,
    pub(super) sample: SampleType,
    /// Samples of a pixel in the file, alpha included.
    pub(super) per_pixel: u16,
    /// The samples that are read, in their order: all but alpha.
    pub(super) kept: Vec<u16>,
    pub(super) colour: Colour,
}

impl Header {
    /// The header of an image of `colours` bands as they are, followed by samples that are not wanted.
    pub(super) fn plain(
        format: Format,
        size: Size,
        sample: SampleType,
        colours: u16,
        per_pixel: u16,
    ) -> Self {
        let kept = (0..colours).collect();
        Self { format, size, orientation: D4::IDENTITY, sample, per_pixel, kept, colour: Colour::AsStored }
    }

    pub(super) fn info(&self) -> ImageInfo {
        ImageInfo {
            size: self.orientation.apply_to_size(self.size),
            bands: self.colour.bands(self.kept.len() as u16),
            depth: match self.sample {
                _ if matches!(self.colour, Colour::Palette(_)) => Depth::U8,
                SampleType::U8 => Depth::U8,
                SampleType::U16 => Depth::U16,
                _ => Depth::F32,
            },
            format: self.format,
        }
    }

    /// Bytes of one pixel, decoded.
    pub(super) const fn pixel_bytes(&self) -> usize {
        self.per_pixel as usize * self.sample.bytes()
    }

    /// Bytes of all pixels, decoded.
    pub(super) const fn decoded_bytes(&self) -> u64 {
        self.size.area().saturating_mul(self.pixel_bytes() as u64)
    }

    /// Refuses images that have no pixel or too many.
    pub(super) fn check(self, limits: &Limits) -> Result<Self, ReadFault> {
        if self.size.is_empty() {
            return Err(ReadFault::unreadable(format!("it has no pixels, its size is {}", self.size)));
        }
        if self.size.area() > limits.pixels_max {
            return Err(ReadFault::too_large(
                format!("it has {} pixels, {} are allowed", self.size, limits.pixels_max),
                "raise the limit on pixels if the image is to be trusted",
            ));
        }
        Ok(self)
    }

    /// Refuses images that must be held whole and are too large for that.
    pub(super) fn check_fits(self, limits: &Limits) -> Result<Self, ReadFault> {
        if self.fits(limits) {
            return Ok(self);
        }
        let found = format!(
            "its {} pixels take {} bytes decoded, {} are allowed, and this kind of file is only read whole",
            self.size,
            self.decoded_bytes(),
            limits.memory_bytes
        );
        Err(ReadFault::too_large(
            found,
            "raise the memory limit or convert the image to a tiled TIFF, as with `gdal_translate -co TILED=YES -co \
             COMPRESS=DEFLATE in out.tif`",
        ))
    }

    /// Whether the decoded image may be held in memory.
    pub(super) const fn fits(&self, limits: &Limits) -> bool {
        self.decoded_bytes() <= limits.memory_bytes
    }
}

/// The symmetry that shows an image rightly, from the number that EXIF and TIFF tag 274 share. Numbers without a
/// meaning change nothing.
pub(super) const fn orientation(number: u64) -> D4 {
    match number {
        2 => D4::HFLIP,
        3 => D4::ROT180,
        4 => D4::VFLIP,
        5 => D4::TRANSPOSE,
        6 => D4::ROT270,
        7 => D4::ANTITRANSPOSE,
        8 => D4::ROT90,
        _ => D4::IDENTITY,
    }
}

/// The orientation in a raw EXIF block, if it has one.
pub(super) fn exif_orientation(exif: &[u8]) -> D4 {
    image::metadata::Orientation::from_exif_chunk(exif)
        .map_or(D4::IDENTITY, |found| orientation(u64::from(found.to_exif())))
}
