//! Where an image lies on earth: GeoTIFF tags, carried from the source to what is made of it.

use super::big_tiff::Values;
use super::error::{Result, WriteError};
use std::io::{Read, Seek};
use tiff::decoder::Decoder;
use tiff::decoder::ifd::Value;
use tiff::tags::Tag;

const PIXEL_SCALE: u16 = 33550;
const TIE_POINTS: u16 = 33922;
const TRANSFORMATION: u16 = 34264;
const KEYS: u16 = 34735;
const KEY_DOUBLES: u16 = 34736;
const KEY_TEXTS: u16 = 34737;

/// The tags that tie an image's pixels to places, as its source had them.
///
/// GDAL's own tags for metadata (42112) and nodata (42113) are not among them: they speak of the source's *values*
/// (a scale, statistics, a nodata of 0 that would be the background class), which a mask does not share.
#[derive(Debug, Clone, PartialEq)]
pub struct GeoTags {
    tags: Vec<(u16, Values)>,
}

impl GeoTags {
    /// Reads the tags of a TIFF file's first image; `None` where it has none, or is rotated by its orientation tag.
    ///
    /// # Errors
    /// When the file is no TIFF or its directory is damaged.
    pub fn read(source: impl Read + Seek) -> Result<Option<Self>> {
        let fault = |error: tiff::TiffError| WriteError::malformed("the GeoTIFF tags", error.to_string());
        let mut decoder = Decoder::new(source).map_err(fault)?;
        // An image that is shown turned is not in the frame its tags speak of.
        let turned = decoder.find_tag_unsigned::<u16>(Tag::Orientation).map_err(fault)?.unwrap_or(1) != 1;
        let mut tags = Vec::new();
        for tag in [PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, KEYS, KEY_DOUBLES, KEY_TEXTS] {
            if let Some(value) = decoder.find_tag(Tag::Unknown(tag)).map_err(fault)? {
                tags.push((tag, values(tag, value).map_err(fault)?));
            }
        }
        Ok((!turned && !tags.is_empty()).then_some(Self { tags }))
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
        let keys = self.tags.iter().find_map(|(tag, values)| match values {
            Values::Short(all) if *tag == KEYS => Some(all),
            _ => None,
        })?;
        // After the header, each key is its number, where it is (0: here), a count, and the value.
        keys.chunks_exact(4).skip(1).find(|entry| entry[0] == key && entry[1] == 0).map(|entry| entry[3])
    }

    /// The map from pixel edges to places, where it is affine: a transformation, or one tie point and a pixel scale.
    ///
    /// `None` for ground control points and for no tie at all. Coordinates are in the source's own reference system.
    pub fn transform(&self) -> Option<GeoTransform> {
        let mut affine = if let Some(&[a, b, _, c, d, e, _, f, ..]) = self.doubles(TRANSFORMATION) {
            [a, b, c, d, e, f]
        } else {
            let (&[sx, sy, ..], &[column, row, _, x, y, _]) =
                (self.doubles(PIXEL_SCALE)?, self.doubles(TIE_POINTS)?)
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

fn values(tag: u16, value: Value) -> std::result::Result<Values, tiff::TiffError> {
    Ok(match tag {
        KEYS => Values::Short(value.into_u16_vec()?),
        KEY_TEXTS => Values::Ascii(value.into_string()?),
        _ => Values::Double(value.into_f64_vec()?),
    })
}

/// An affine map from pixel edges (x to the right, y down) to places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoTransform {
    affine: [f64; 6],
}

impl GeoTransform {
    /// The place of a point in pixel-edge coordinates: (0, 0) is the outer corner of the first pixel.
    pub fn place(&self, x: f64, y: f64) -> [f64; 2] {
        let [a, b, c, d, e, f] = self.affine;
        [a * x + b * y + c, d * x + e * y + f]
    }

    /// Whether it turns clockwise into counter-clockwise, as every north-up image does.
    pub fn mirrors(&self) -> bool {
        let [a, b, _, d, e, _] = self.affine;
        a * e - b * d < 0.0
    }
}
