//! Where outlines are told: in pixels, in the image's own reference system, or in longitude and latitude.

mod reprojection;
mod shifts;
mod systems;

pub use reprojection::Reprojection;

use super::geo::{GeoTags, GeoTransform};
use marquetry_geometry::Size;
use proj4rs::proj::Proj;
use std::borrow::Cow;

/// Decimals of a longitude or latitude, degrees: a tenth of a millimetre on the ground.
const DECIMALS: f64 = 1e9;
/// Longest piece of an edge, px, that stays straight: what is straight on a map is a curve in longitude and latitude.
const PIECE_PX: u32 = 256;

/// From corners of pixels to the coordinates that a GeoJSON file holds.
#[derive(Debug, Clone)]
pub struct MapFrame {
    transform: GeoTransform,
    to: Target,
}

#[derive(Debug, Clone)]
enum Target {
    /// The numbers of the transform as they are; the code of their reference system is named in the file, if there is one.
    Own(Option<u16>),
    LonLat(Box<LonLat>),
}

impl MapFrame {
    /// Longitude and latitude on WGS 84 (RFC 7946) for an image of `size` px, or, where `own` asks for it or the system is
    /// not known, the image's own numbers. Also what there is to say of that. Nothing of either for an image that has no
    /// place on a map; for one whose place is no affine map, what outlines lose.
    pub fn new(tags: &GeoTags, size: Size, own: bool) -> (Option<Self>, Option<String>) {
        let Some(transform) = tags.transform() else { return (None, unplaced(tags)) };
        let code = tags.epsg();
        let itself = |reason: Option<String>| {
            let member = code.filter(|code| *code != WGS84);
            let named = member.map_or_else(
                || "readers take them for longitude and latitude".to_owned(),
                |code| {
                    format!(
                        "a `crs` member names EPSG:{code}, which not every reader looks at (`ogr2ogr -t_srs EPSG:4326` does)"
                    )
                },
            );
            let said =
                reason.map(|reason| format!("outlines have the image's own coordinates: {reason}; {named}"));
            (Some(Self { transform, to: Target::Own(member) }), said)
        };
        if own {
            return itself(None);
        }
        match code {
            Some(WGS84) => {
                let longitudes = corners(size).map(|(x, y)| transform.to_map(x, y)[0]);
                // Some count them from 0 to 360.
                let middle = longitudes.iter().sum::<f64>() / 4.0;
                let turns = (middle.abs() / 360.0 - 0.5).ceil().max(0.0).copysign(middle);
                let moved = if turns.is_finite() && turns != 0.0 { -360.0 * turns } else { 0.0 };
                let transform = if moved == 0.0 { transform } else { transform.moved(moved) };
                let said = crosses(longitudes.map(|longitude| longitude + moved));
                (Some(Self { transform, to: Target::Own(None) }), said)
            }
            Some(code) => match LonLat::of_epsg(code, &transform, size) {
                Ok((lon_lat, said)) => {
                    (Some(Self { transform, to: Target::LonLat(Box::new(lon_lat)) }), said)
                }
                Err(reason) => itself(Some(reason)),
            },
            None if tags.names_system() => itself(Some("its reference system has no EPSG code".to_owned())),
            None => itself(Some("nothing names its reference system".to_owned())),
        }
    }

    /// The member that names a reference system, for the head of a collection; empty for longitude and latitude.
    pub(super) fn member(&self) -> String {
        match self.to {
            Target::Own(Some(code)) => format!(
                "\"crs\":{{\"type\":\"name\",\"properties\":{{\"name\":\"urn:ogc:def:crs:EPSG::{code}\"}}}},"
            ),
            _ => String::new(),
        }
    }

    /// A closed ring of positions, counter-clockwise by the numbers for a shell.
    ///
    /// # Errors
    /// When a corner has no longitude and latitude.
    pub(super) fn ring(&self, ring: &[(u32, u32)]) -> Result<Vec<[f64; 2]>, String> {
        let closed = ring.iter().chain(ring.first()).copied();
        let mut places = match &self.to {
            Target::Own(_) => {
                closed.map(|(x, y)| self.transform.to_map(f64::from(x), f64::from(y))).collect::<Vec<_>>()
            }
            Target::LonLat(lon_lat) => {
                let place = |(x, y)| lon_lat.of(self.transform.to_map(f64::from(x), f64::from(y)));
                pieces(closed).into_iter().map(place).collect::<Result<_, _>>()?
            }
        };
        if self.transform.mirrors() {
            places.reverse();
        }
        Ok(places)
    }
}

/// What there is to say of an image that lies somewhere on a map, though no affine map takes its pixels there.
fn unplaced(tags: &GeoTags) -> Option<String> {
    let system = match tags.epsg() {
        Some(code) => format!(" in EPSG:{code}"),
        None => String::new(),
    };
    let found = match tags.tie_points() {
        0 if tags.is_tied() || tags.names_system() => {
            format!("it says where it lies{system}, and no usable map takes its pixels there")
        }
        0 => return None,
        1 => format!("one tie point{system} without a usable pixel size is all that places it"),
        count => format!("{count} ground control points{system} are all that places it"),
    };
    Some(format!(
        "outlines are in pixels, not on a map: {found}; TIFF masks and scores keep what it says, and an image that was warped \
         (`gdalwarp`) gives outlines on the map"
    ))
}

/// The corners of a ring, and points on its long edges. Edges run along rows and columns.
fn pieces(ring: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
    let mut points: Vec<(u32, u32)> = Vec::new();
    for (x, y) in ring {
        while let Some(&(from_x, from_y)) = points.last()
            && from_x.abs_diff(x).max(from_y.abs_diff(y)) > PIECE_PX
        {
            let step = |from: u32, to: u32| {
                if to > from { to.min(from + PIECE_PX) } else { to.max(from.saturating_sub(PIECE_PX)) }
            };
            points.push((step(from_x, x), step(from_y, y)));
        }
        points.push((x, y));
    }
    points
}

/// EPSG's code of longitude and latitude on WGS 84.
const WGS84: u16 = 4326;

/// The corners of an image of `size` px, in pixel-edge coordinates.
fn corners(size: Size) -> [(f64, f64); 4] {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)]
}

/// What there is to say of an image whose corners have these longitudes, where it lies on both sides of the antimeridian.
fn crosses(longitudes: [f64; 4]) -> Option<String> {
    let most = longitudes.into_iter().map(f64::abs).fold(0.0, f64::max);
    (most > 180.0).then(|| {
        "it lies across the antimeridian: longitudes of its outlines go on beyond 180°, where RFC 7946 would have them cut in \
         two"
            .to_owned()
    })
}

/// How a system is projected and its datum shifted, in PROJ's words, and how exact that is, m (0: as good as any).
///
/// Only those that were found to lead where PROJ leads: among the numbers of `crs-definitions` for shifts of datums some have
/// the wrong sign, or are of an older survey, and places were tens to hundreds of metres away.
fn definition(code: u16) -> Result<(Cow<'static, str>, u16), String> {
    let within = |runs: &[(u16, u16)]| runs.iter().any(|&(first, last)| (first..=last).contains(&code));
    let known = crs_definitions::from_code(code).ok_or_else(|| format!("EPSG:{code} is not known here"))?;
    let Some((metres, _)) = systems::CONVERTED.iter().find(|(_, runs)| within(runs)) else {
        return Err(format!("how EPSG:{code} lies to WGS 84 is not known well enough here"));
    };
    let Some((shift, _)) = shifts::SHIFTS.iter().find(|(_, runs)| within(runs)) else {
        return Ok((Cow::Borrowed(known.proj4), *metres));
    };
    let words = known.proj4.split_whitespace().filter(|word| !word.starts_with("+towgs84="));
    let mended = words.fold(String::new(), |text, word| text + word + " ");
    Ok((Cow::Owned(format!("{mended}+towgs84={shift}")), *metres))
}

/// From a reference system to longitude and latitude.
#[derive(Debug, Clone)]
struct LonLat {
    from: Proj,
    to: Proj,
    /// Longitudes are told within half a turn of this one, so that no outline jumps round the earth.
    middle: f64,
}

impl LonLat {
    /// Also what there is to say of the image's place.
    fn of_epsg(code: u16, transform: &GeoTransform, size: Size) -> Result<(Self, Option<String>), String> {
        let (definition, metres) = definition(code)?;
        let wrong = |error: proj4rs::errors::Error| format!("EPSG:{code} cannot be converted ({error})");
        let from = Proj::from_proj_string(&definition).map_err(wrong)?;
        let to = Proj::from_proj_string("+proj=longlat +datum=WGS84 +no_defs").map_err(wrong)?;
        let mut lon_lat = Self { from, to, middle: 0.0 };
        // Without the numbers: what is said of many images is said once.
        let at = |lon_lat: &Self, (x, y): (f64, f64)| {
            let place = lon_lat.of(transform.to_map(x, y));
            place.map_err(|_| format!("a corner of it has no longitude and latitude in EPSG:{code}"))
        };
        let middle = (f64::from(size.width) / 2.0, f64::from(size.height) / 2.0);
        lon_lat.middle = at(&lon_lat, middle)?[0];
        let mut longitudes = [0.0; 4];
        for (longitude, corner) in longitudes.iter_mut().zip(corners(size)) {
            *longitude = at(&lon_lat, corner)?[0];
        }
        let rough = (metres > 0).then(|| {
            format!(
                "outlines are in longitude and latitude to about {metres} m: how the datum of EPSG:{code} lies to WGS 84 is not \
                 known better here; `crs: source` has the image's own coordinates"
            )
        });
        let said = [rough, crosses(longitudes)].into_iter().flatten().reduce(|a, b| format!("{a}; {b}"));
        Ok((lon_lat, said))
    }

    /// Longitude and latitude, degrees, of a place in the reference system.
    fn of(&self, [x, y]: [f64; 2]) -> Result<[f64; 2], String> {
        let degrees = self.from.is_latlong();
        let mut point = if degrees { (x.to_radians(), y.to_radians(), 0.0) } else { (x, y, 0.0) };
        proj4rs::transform::transform(&self.from, &self.to, &mut point)
            .map_err(|error| format!("({x}, {y}) has no longitude and latitude ({error})"))?;
        let [longitude, latitude] = [point.0, point.1].map(f64::to_degrees);
        let turns = ((longitude - self.middle) / 360.0).round();
        let rounded =
            [longitude - 360.0 * turns, latitude].map(|angle| (angle * DECIMALS).round() / DECIMALS);
        if rounded.iter().all(|angle| angle.is_finite()) {
            Ok(rounded)
        } else {
            Err(format!("({x}, {y}) has no longitude and latitude"))
        }
    }
}

#[cfg(test)]
#[path = "map_frame_tests.rs"]
mod tests;
