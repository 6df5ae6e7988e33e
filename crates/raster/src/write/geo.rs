//! Where an image lies on earth: GeoTIFF tags, carried from the source to what is made of it.

use super::big_tiff::Values;
use crate::read::error::ReadFault;
use crate::read::file::{ReadAt, Source};
use crate::read::tiff::directory::{Directory, tag};
use crate::read::{EpsgSystem, Format, ReadError, detect};
use marquetry_geometry::{D4, Size};
use std::path::Path;

/// Most values of a tag; ground control points, the longest list, are some hundreds.
const VALUES_MAX: u64 = 1 << 20;
/// The tags that tie pixels to places.
const TIES: [u16; 3] = [tag::PIXEL_SCALE, tag::TIE_POINTS, tag::TRANSFORMATION];

/// The tags that tie an image's pixels to places, as its source had them.
///
/// GDAL's own tags for metadata (42112) and nodata (42113) are not among them: they speak of the source's *values*
/// (a scale, statistics, a nodata of 0 that would be the background class), which a mask does not share.
#[derive(Debug, Clone, PartialEq)]
pub struct GeoTags {
    tags: Vec<(u16, Values)>,
}

impl GeoTags {
    /// Reads the tags of a TIFF file's first image, which speak of its pixels as they are stored; `None` where it is no
    /// TIFF by its first bytes, or has no such tags. `name` is what messages call it. No pixel is looked at.
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
        let mut tags = Vec::new();
        for tag in TIES {
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

    /// The reference system that the tags name by its EPSG code: a projected one, or one of longitude and latitude. `None`
    /// where none is named, or one that has no code.
    pub fn epsg(&self) -> Option<u16> {
        let (model, projected, geographic) = (self.key(1024), self.key(3072), self.key(2048));
        let named = |code: &u16| (1024..32767).contains(code);
        match model {
            Some(2) => geographic.filter(named),
            Some(1) | None => projected.or(if model.is_none() { geographic } else { None }).filter(named),
            Some(_) => None,
        }
    }

    /// Whether the tags tie pixels to places, in whichever way.
    pub fn is_tied(&self) -> bool {
        TIES.iter().any(|tag| self.doubles(*tag).is_some())
    }

    /// Tie points, each six numbers: more than one without a pixel scale are ground control points.
    pub(super) fn tie_points(&self) -> usize {
        self.doubles(tag::TIE_POINTS).map_or(0, |all| all.len() / 6)
    }

    /// Whether the tags say anything of a reference system.
    pub fn names_system(&self) -> bool {
        [1024, 2048, 3072].iter().any(|key| self.key(*key).is_some())
    }

    /// These tags with the affine map of a world file: six numbers A, D, B, E, C, F, one a line, which take the *centre* of
    /// the pixel in column x and row y to `(A·x + B·y + C, D·x + E·y + F)`. `tags` are those of the image, if it has some
    /// without a map.
    ///
    /// # Errors
    /// When it has not six numbers, or its pixels have no area.
    pub fn with_world_file(tags: Option<Self>, text: &str) -> Result<Self, String> {
        let numbers: Vec<f64> =
            text.split_whitespace().map_while(|word| word.replace(',', ".").parse().ok()).collect();
        let &[a, d, b, e, c, f] = numbers.as_slice() else {
            return Err(format!("it has {} numbers, and a world file has six", numbers.len()));
        };
        if !numbers.iter().all(|number| number.is_finite()) || a * e - b * d == 0.0 {
            return Err("its numbers make pixels without an area".to_owned());
        }
        let affine = [a, b, c - f64::midpoint(a, b), d, e, f - f64::midpoint(d, e)];
        Ok(Self::with_affine(tags, affine))
    }

    /// These tags with an affine map from pixel edges: `x = a·column + b·row + c`, `y = d·column + e·row + f`, in the order
    /// a to f.
    #[must_use]
    pub fn with_affine(tags: Option<Self>, affine: [f64; 6]) -> Self {
        let mut tags = tags.unwrap_or(Self { tags: Vec::new() });
        tags.tags.retain(|(tag, _)| !TIES.contains(tag));
        let [a, b, c, d, e, f] = affine;
        // What the tags tie: pixel centres, or their outer corners.
        let shift = if tags.ties_centres() { 0.5 } else { 0.0 };
        let (x, y) = (c + shift * (a + b), f + shift * (d + e));
        let new = if b == 0.0 && d == 0.0 && a > 0.0 && e < 0.0 {
            vec![(tag::PIXEL_SCALE, vec![a, -e, 0.0]), (tag::TIE_POINTS, vec![0.0, 0.0, 0.0, x, y, 0.0])]
        } else {
            let matrix = [[a, b, 0.0, x], [d, e, 0.0, y], [0.0; 4], [0.0, 0.0, 0.0, 1.0]];
            vec![(tag::TRANSFORMATION, matrix.concat())]
        };
        tags.put(new.into_iter().map(|(tag, values)| (tag, Values::Double(values))));
        tags
    }

    /// These tags with a reference system in place of theirs. Whether they tie centres or edges of pixels stays.
    #[must_use]
    pub fn with_system(tags: Option<Self>, system: EpsgSystem) -> Self {
        let mut tags = tags.unwrap_or(Self { tags: Vec::new() });
        let (model, key) = if system.projected { (1, 3072) } else { (2, 2048) };
        let raster = if tags.ties_centres() { 2 } else { 1 };
        tags.tags.retain(|(tag, _)| ![tag::GEO_KEYS, tag::GEO_DOUBLES, tag::GEO_TEXTS].contains(tag));
        let keys = vec![1, 1, 0, 3, 1024, 0, 1, model, 1025, 0, 1, raster, key, 0, 1, system.code];
        tags.put([(tag::GEO_KEYS, Values::Short(keys))]);
        tags
    }

    /// These tags without what they say of a reference system.
    #[must_use]
    pub fn without_system(mut self) -> Self {
        self.tags.retain(|(tag, _)| TIES.contains(tag));
        self
    }

    /// These tags, of an image of `stored` px, as they are when it is shown turned by `turn`.
    #[must_use]
    pub fn turned(mut self, turn: D4, stored: Size) -> Self {
        if turn == D4::IDENTITY {
            return self;
        }
        if let Some(transform) = self.transform() {
            let shown = turn.apply_to_size(stored);
            let place = |x: f64, y: f64| {
                let (x, y) = turned_point(turn, shown, x, y);
                transform.to_map(x, y)
            };
            let ([c, f], [ac, df], [bc, ef]) = (place(0.0, 0.0), place(1.0, 0.0), place(0.0, 1.0));
            return Self::with_affine(Some(self), [ac - c, bc - c, c, df - f, ef - f, f]);
        }
        let centre = if self.ties_centres() { 0.5 } else { 0.0 };
        for (_, values) in self.tags.iter_mut().filter(|(tag, _)| *tag == tag::TIE_POINTS) {
            let Values::Double(points) = values else { continue };
            for point in points.chunks_exact_mut(6) {
                let (x, y) = turned_point(turn.inverse(), stored, point[0] + centre, point[1] + centre);
                (point[0], point[1]) = (x - centre, y - centre);
            }
        }
        self
    }

    /// Puts tags among the others, in the order of their numbers.
    fn put(&mut self, new: impl IntoIterator<Item = (u16, Values)>) {
        self.tags.extend(new);
        self.tags.sort_by_key(|(tag, _)| *tag);
    }

    /// Whether tags tie the centres of pixels (`RasterPixelIsPoint`), not their outer corners.
    fn ties_centres(&self) -> bool {
        self.key(1025) == Some(2)
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
        if self.ties_centres() {
            affine[2] -= f64::midpoint(affine[0], affine[1]);
            affine[5] -= f64::midpoint(affine[3], affine[4]);
        }
        affine.iter().all(|number| number.abs() < 1e100).then_some(GeoTransform { affine })
    }
}

/// The point of an image that lands at (`x`, `y`), in pixel-edge coordinates, of the image of `size` px that `element` makes
/// of it.
fn turned_point(element: D4, size: Size, x: f64, y: f64) -> (f64, f64) {
    // The symmetry of the grid of pixel corners, which has one more of them on each side, between two of which it is linear.
    let of_size = element.inverse().apply_to_size(size);
    let corners = Size::new(of_size.height + 1, of_size.width + 1);
    let at = |x: u32, y: u32| {
        let (row, column) = element.source(corners, y, x);
        (f64::from(column), f64::from(row))
    };
    let (origin, right, down) = (at(0, 0), at(1, 0), at(0, 1));
    let along =
        |of: fn((f64, f64)) -> f64| of(origin) + x * (of(right) - of(origin)) + y * (of(down) - of(origin));
    (along(|point| point.0), along(|point| point.1))
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

    /// The point in pixel-edge coordinates of a place on the map; nothing where it has none, as pixels without an area do not.
    pub fn to_pixel(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let [a, b, c, d, e, f] = self.affine;
        let (x, y, area) = (x - c, y - f, a * e - b * d);
        let point = [(e * x - b * y) / area, (a * y - d * x) / area];
        point.iter().all(|number| number.is_finite()).then_some(point)
    }

    /// The map that comes to places `by` further in the first coordinate.
    pub(super) fn moved(self, by: f64) -> Self {
        let [a, b, c, d, e, f] = self.affine;
        Self { affine: [a, b, c + by, d, e, f] }
    }

    /// Whether it turns clockwise into counter-clockwise, as every north-up image does.
    pub fn mirrors(&self) -> bool {
        let [a, b, _, d, e, _] = self.affine;
        a * e - b * d < 0.0
    }
}
