//! Which features lie on an image, and where.

use super::file::{Collection, Polygon};
use crate::geojson::PlacedImage;
use crate::shapes::Area;
use marquetry_geometry::Size;
use marquetry_raster::write::{GeoTransform, Reprojection};
use std::collections::BTreeMap;

/// The polygons of a collection in the reference systems of images.
pub(super) struct Placing<'a> {
    collection: &'a Collection,
    /// By the code of a system.
    systems: BTreeMap<u16, Result<Projected, String>>,
}

/// All polygons in one reference system.
struct Projected {
    gives_degrees: bool,
    metres: u16,
    /// The feature of each, its rings and the box around them. What has no place in this system is not among them.
    polygons: Vec<(usize, Polygon, Bounds)>,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    least: [f64; 2],
    most: [f64; 2],
}

impl Bounds {
    fn of<'p>(points: impl IntoIterator<Item = &'p [f64; 2]>) -> Self {
        let none = Self { least: [f64::INFINITY; 2], most: [f64::NEG_INFINITY; 2] };
        points.into_iter().fold(none, |Self { least, most }, [x, y]| Self {
            least: [least[0].min(*x), least[1].min(*y)],
            most: [most[0].max(*x), most[1].max(*y)],
        })
    }

    fn middle(&self) -> f64 {
        f64::midpoint(self.least[0], self.most[0])
    }

    fn meets(&self, other: &Self, moved: f64) -> bool {
        self.least[0] + moved <= other.most[0]
            && other.least[0] <= self.most[0] + moved
            && self.least[1] <= other.most[1]
            && other.least[1] <= self.most[1]
    }
}

impl<'a> Placing<'a> {
    pub(super) const fn new(collection: &'a Collection) -> Self {
        Self { collection, systems: BTreeMap::new() }
    }

    /// The polygons on an image, each with its feature's number, in px, in the order of the file.
    ///
    /// # Errors
    /// When the image has no place that can be used; in words that do not name it.
    pub(super) fn on(&mut self, image: &PlacedImage) -> Result<Vec<(usize, Area)>, String> {
        let (transform, code) = place(image, self.collection.system)?;
        let collection = self.collection;
        let projected = self.systems.entry(code).or_insert_with(|| project(collection, code));
        let projected = projected.as_ref().map_err(Clone::clone)?;
        let (width, height) = (f64::from(image.size.width), f64::from(image.size.height));
        let corners =
            [[0.0, 0.0], [width, 0.0], [0.0, height], [width, height]].map(|[x, y]| transform.to_map(x, y));
        let own = Bounds::of(&corners);
        let mut found = Vec::new();
        for (feature, polygon, bounds) in &projected.polygons {
            // Where longitudes are counted from, files and images may not agree.
            let turns = ((bounds.middle() - own.middle()) / 360.0).round();
            let moved = if projected.gives_degrees { -360.0 * turns } else { 0.0 };
            if !bounds.meets(&own, moved) {
                continue;
            }
            let pixel = |[x, y]: &[f64; 2]| transform.to_pixel([x + moved, *y]);
            let rings: Option<Polygon> =
                polygon.iter().map(|ring| ring.iter().map(pixel).collect()).collect();
            let Some(rings) = rings else { continue };
            if is_on(&rings, image.size)? {
                found.push((*feature, Area::Rings(rings)));
            }
        }
        Ok(found)
    }

    /// How exact places in the systems of images are, m, at worst, and in which system.
    pub(super) fn roughest(&self) -> Option<(u16, u16)> {
        let all = self.systems.iter().filter_map(|(code, found)| Some((found.as_ref().ok()?.metres, *code)));
        all.max().filter(|(metres, _)| *metres > 0)
    }
}

/// The affine map of an image, and the code of its system.
fn place(image: &PlacedImage, own: u16) -> Result<(GeoTransform, u16), String> {
    let Some(tags) = &image.tags else {
        return Err("nothing says where it lies on a map".to_owned());
    };
    let transform = tags.transform().ok_or(
        "no affine map takes its pixels to places (ground control points do not; `gdalwarp` makes one)",
    )?;
    match tags.epsg() {
        Some(code) => Ok((transform, code)),
        None => Err(format!(
            "its reference system has no EPSG code, so how it lies to EPSG:{own}, that of the labels, is not known \
             (`gdal_edit.py -a_srs EPSG:…` says it)"
        )),
    }
}

fn project(collection: &Collection, code: u16) -> Result<Projected, String> {
    let way = Reprojection::new(collection.system, code).map_err(|found| {
        format!("labels in EPSG:{} cannot be brought to EPSG:{code}: {found}", collection.system)
    })?;
    let mut polygons = Vec::new();
    for (number, feature) in collection.features.iter().enumerate() {
        for polygon in &feature.geometry.polygons {
            // What has no place there is far away.
            let rings: Option<Polygon> =
                polygon.iter().map(|ring| ring.iter().map(|place| way.of(*place)).collect()).collect();
            polygons.extend(rings.map(|rings| {
                let bounds = Bounds::of(&rings[0]);
                (number, rings, bounds)
            }));
        }
    }
    Ok(Projected { gives_degrees: way.gives_degrees(), metres: way.metres(), polygons })
}

/// Whether an area has a pixel of the image, or a corner in it.
fn is_on(rings: &Polygon, size: Size) -> Result<bool, String> {
    let inside = |[x, y]: &[f64; 2]| {
        (0.0..f64::from(size.width)).contains(x) && (0.0..f64::from(size.height)).contains(y)
    };
    if rings[0].iter().any(inside) {
        return Ok(true);
    }
    let mut has_pixel = false;
    Area::Rings(rings.clone()).paint(size, |_, columns| has_pixel |= !columns.is_empty())?;
    Ok(has_pixel)
}
