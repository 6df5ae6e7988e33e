//! What a file says of its image before any pixel is decoded.

use super::beside::Beside;
use super::colour::Colour;
use super::error::ReadFault;
use super::missing::MissingRule;
use super::samples::SampleType;
use super::traits::{AlphaUse, ImageTraits, PageUse};
use marquetry_geometry::{Alpha, D4, Nodata, Reading, Size};
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
    /// Netpbm: PBM, PGM or PPM.
    Pnm,
    /// TIFF, `BigTIFF`, `GeoTIFF`; of several pages the first.
    Tiff,
}

/// What is known of an image from its header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// Rows and columns as shown, px: after the file's orientation was applied.
    pub size: Size,
    /// Bands; palettes and CMYK count as 3, and alpha only where it was asked for.
    pub bands: u16,
    /// How samples are stored.
    pub depth: Depth,
    /// The greatest value that an unsigned sample may have: 255 for [`Depth::U8`], 256 to 65,535 for [`Depth::U16`]; nothing
    /// where the depth says nothing of it.
    pub full: Option<u16>,
    /// Whether its bands are red, green and blue, and no others.
    pub rgb: bool,
    /// The file's format.
    pub format: Format,
    /// The symmetry that shows it as its metadata asks for: what is stored has the size before it.
    pub turn: D4,
    /// What else the file says of itself, and what is done about it.
    pub traits: ImageTraits,
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
    /// The greatest value that a sample of 16 bits without a sign may have, where the file says that it is less than 65,535.
    pub(super) greatest: Option<u16>,
    /// Samples of a pixel in the file, alpha included; of all pages that are its bands.
    pub(super) per_pixel: u16,
    /// The samples that are bands, in their order: all but alpha, unless it is asked for.
    pub(super) kept: Vec<u16>,
    /// The sample that is alpha.
    pub(super) alpha: Option<u16>,
    pub(super) alpha_use: AlphaUse,
    pub(super) colour: Colour,
    /// Whether its colours are red, green and blue, or become them.
    pub(super) rgb: bool,
    /// The value that the file says stands for no data.
    pub(super) nodata: Option<f64>,
    /// What it says in its place that is no number.
    pub(super) nodata_unread: Option<String>,
    /// Which pixels are none.
    pub(super) missing: MissingRule,
    pub(super) pages: PageUse,
    /// The sample of a mask that is no part of the image: 0 where a pixel is missing.
    pub(super) mask: Option<u16>,
    /// The reference system of a georeference.
    pub(super) crs: Option<String>,
    /// What else there is to tell of the file.
    pub(super) remarks: Vec<String>,
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
        Self {
            format,
            size,
            orientation: D4::IDENTITY,
            sample,
            greatest: None,
            per_pixel,
            kept: (0..colours).collect(),
            alpha: (per_pixel > colours).then_some(colours),
            alpha_use: AlphaUse::None,
            colour: Colour::AsStored,
            rgb: colours >= 3,
            nodata: None,
            nodata_unread: None,
            missing: MissingRule::default(),
            pages: PageUse::default(),
            mask: None,
            crs: None,
            remarks: Vec::new(),
        }
    }

    /// Settles what the job, and files beside the image's own, say of alpha and of missing pixels.
    pub(super) fn read_as(mut self, reading: &Reading, beside: &Beside) -> Result<Self, ReadFault> {
        beside.settle(&mut self, reading)?;
        let named = reading.bands.iter().flatten().max();
        let bands = self.colour.bands(self.kept.len() as u16);
        let wants_alpha = match reading.alpha {
            Alpha::Auto => named.is_some_and(|&band| band >= bands),
            Alpha::Band => true,
            Alpha::Drop | Alpha::Nodata => false,
        };
        self.alpha_use = match self.alpha {
            None => AlphaUse::None,
            Some(alpha) if wants_alpha => {
                let place = self.kept.partition_point(|&sample| sample < alpha);
                self.kept.insert(place, alpha);
                AlphaUse::Band(self.colour.bands(place as u16))
            }
            Some(_) if reading.alpha == Alpha::Nodata => AlphaUse::Nodata,
            Some(_) => AlphaUse::Dropped,
        };
        let nodata = match reading.nodata {
            Nodata::Auto => self.nodata,
            Nodata::None => None,
            Nodata::Value(value) => Some(value),
        };
        self.nodata_unread = self.nodata_unread.filter(|_| reading.nodata == Nodata::Auto);
        let alpha = self.alpha.filter(|_| self.alpha_use == AlphaUse::Nodata);
        let mask = alpha.or(self.mask.filter(|_| reading.nodata == Nodata::Auto));
        // Only where samples are bands is it known which samples a band comes of.
        let bands = reading.bands.as_deref().filter(|_| self.colour.keeps_bands());
        self.missing = MissingRule::new(self.sample, nodata, mask, bands);
        Ok(self)
    }

    /// The samples to be read: the bands, and what says which pixels are missing.
    pub(super) fn read_samples(&self) -> Vec<u16> {
        self.kept.iter().copied().chain(self.missing.mask).collect()
    }

    pub(super) fn info(&self) -> ImageInfo {
        let full = match self.sample {
            _ if matches!(self.colour, Colour::Palette(_)) => Some(255),
            SampleType::U8 => Some(255),
            SampleType::U16 => Some(self.greatest.unwrap_or(u16::MAX)),
            _ => None,
        };
        ImageInfo {
            full,
            size: self.orientation.apply_to_size(self.size),
            bands: self.colour.bands(self.kept.len() as u16),
            rgb: self.rgb && self.colour.bands(self.kept.len() as u16) == 3,
            depth: match self.sample {
                _ if matches!(self.colour, Colour::Palette(_)) => Depth::U8,
                SampleType::U8 => Depth::U8,
                SampleType::U16 => Depth::U16,
                _ => Depth::F32,
            },
            format: self.format,
            turn: self.orientation,
            traits: ImageTraits::of(self),
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
