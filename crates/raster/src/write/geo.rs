//! Where an image lies on earth: GeoTIFF tags, carried from the source to what is made of it.

use super::big_tiff::Values;
use crate::read::error::ReadFault;
use crate::read::file::{ReadAt, Source};
use crate::read::tiff::directory::{Directory, tag};
use crate::read::{Format, ReadError, detect};
use std::path::Path;

/// Most values of a tag; ground control points, the longest list, are some hundreds.
const VALUES_MAX: u64 = 1 << 20;

/// The tags that tie an image's pixels to places, as its source had them.
///
/// GDAL's own tags for metadata (42112) and nodata (42113) are not among them: they speak of the source's *values*
/// (a scale, statistics, a nodata of 0 that would be the background class), which a mask does not share.
#[derive(Debug, Clone, PartialEq)]
pub struct GeoTags {
    tags: Vec<(u16, Values)>,
}

impl GeoTags {
    /// Reads the tags of a TIFF file's first image; `None` where it is no TIFF by its first bytes, has no such tags, or
    /// is rotated by its orientation tag. `name` is what messages call it. No pixel is looked at.
    ///
    /// # Errors
    /// When the bytes cannot be read, or the directory or one of these tags is damaged. The pixels may be fine all the
    /// same: an output without its place on earth is what is lost.
    pub fn read(bytes: Box<dyn ReadAt>, name: &Path) -> Result<Option<Self>, ReadError> {
        Source::of(bytes)
            .and_then(|source| Self::of(&source))
            .map_err(|fault| ReadError::new(name, "reading the GeoTIFF tags", fault))
    }

    fn of(source: &Source) -> Result<Option<Self>, ReadFault> {
        if detect(source)? != Format::Tiff {
            return Ok(None);
        }
        let directory = Directory::first(source)?;
        // An image that is shown turned is not in the frame its tags speak of.
        if directory.integer(source, tag::ORIENTATION)?.unwrap_or(1) != 1 {
            return Ok(None);
        }
        let mut tags = Vec::new();
        for tag in [tag::PIXEL_SCALE, tag::TIE_POINTS, tag::TRANSFORMATION] {
            tags.extend(directory.numbers(source, tag, VALUES_MAX)?.map(|all| (tag, Values::Double(all))));
        }
        if let Some(keys) = directory.integers(source, tag::GEO_KEYS, VALUES_MAX)? {
            let shorts: Result<Vec<u16>, _> = keys.into_iter().map(u16::try_from).collect();
            let wide = |error| ReadFault::unreadable("its geo keys do not fit 16 bits").because(error);
            tags.push((tag::GEO_KEYS, Values::Short(shorts.map_err(wide)?)));
        }
        let doubles = directory.numbers(source, tag::GEO_DOUBLES, VALUES_MAX)?;
        tags.extend(doubles.map(|all| (tag::GEO_DOUBLES, Values::Double(all))));
        // Keys name places in the text, so it keeps its bytes, whatever letters they stand for (Latin-1 is common).
        let texts = directory.bytes(source, tag::GEO_TEXTS, VALUES_MAX)?;
        tags.extend(texts.map(|mut text| {
            while text.last() == Some(&0) {
                text.pop();
            }
            (tag::GEO_TEXTS, Values::Ascii(text))
        }));
        Ok((!tags.is_empty()).then_some(Self { tags }))
    }

    pub(super) fn tags(&self) -> Vec<(u16, Values)> {
        self.tags.clone()
    }

    fn doubles(&self, tag: u16) -> Option<&[f64]> {
        self.tags.iter().find_map(|(found, values)| match values {
            Values::Double(all) if *found == tag => Some(all.as_slice()),
            _ => None,
        })
    }

    /// The value of a short geo key.
    fn key(&self, key: u16) -> Option<u16> {
        let keys = self.tags.iter().find_map(|(found, values)| match values {
            Values::Short(all) if *found == tag::GEO_KEYS => Some(all),
            _ => None,
        })?;
        // After the header, each key is its number, where it is (0: here), a count, and the value.
        keys.chunks_exact(4).skip(1).find(|entry| entry[0] == key && entry[1] == 0).map(|entry| entry[3])
    }

    /// The map from pixel edges to places, where it is affine: a transformation, or a tie point (the first) and a pixel
    /// scale.
    ///
    /// `None` for ground control points and for no tie at all. Coordinates are in the source's own reference system.
    pub fn transform(&self) -> Option<GeoTransform> {
        let mut affine = if let Some(&[a, b, _, c, d, e, _, f, ..]) = self.doubles(tag::TRANSFORMATION) {
            [a, b, c, d, e, f]
        } else {
            let (&[sx, sy, ..], &[column, row, _, x, y, _, ..]) =
                (self.doubles(tag::PIXEL_SCALE)?, self.doubles(tag::TIE_POINTS)?)
            else {
                return None;
            };
            [sx, 0.0, x - column * sx, 0.0, -sy, y + row * sy]
        };
        // RasterPixelIsPoint: the tags tie pixel centres, and edges are half a pixel before them.
        if self.key(1025) == Some(2) {
            affine[2] -= f64::midpoint(affine[0], affine[1]);
            affine[5] -= f64::midpoint(affine[3], affine[4]);
        }
        affine.iter().all(|number| number.abs() < 1e100).then_some(GeoTransform { affine })
    }
}

/// An affine map from pixel edges (x to the right, y down) to map coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoTransform {
    affine: [f64; 6],
}

impl GeoTransform {
    /// The map coordinates of a point in pixel-edge coordinates: (0, 0) is the outer corner of the first pixel.
    pub fn to_map(&self, x: f64, y: f64) -> [f64; 2] {
        let [a, b, c, d, e, f] = self.affine;
        [a * x + b * y + c, d * x + e * y + f]
    }

    /// Whether it turns clockwise into counter-clockwise, as every north-up image does.
    pub fn mirrors(&self) -> bool {
        let [a, b, _, d, e, _] = self.affine;
        a * e - b * d < 0.0
    }
}
