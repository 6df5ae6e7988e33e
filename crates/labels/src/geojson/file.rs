//! A GeoJSON file as it is: features with a class and an area, and what is wrong with single ones.

use crate::error::LabelError;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::path::Path;

/// EPSG's code of longitude and latitude on WGS 84, which GeoJSON has unless it says otherwise (RFC 7946).
const WGS84: u16 = 4326;

/// A polygon: a shell, and rings inside of it that are holes.
pub(super) type Polygon = Vec<Vec<[f64; 2]>>;

/// What a file holds.
#[derive(Debug)]
pub(super) struct Collection {
    /// The EPSG code of its reference system.
    pub(super) system: u16,
    pub(super) features: Vec<Feature>,
}

/// One feature.
#[derive(Debug)]
pub(super) struct Feature {
    pub(super) properties: Map<String, Value>,
    pub(super) geometry: Geometry,
}

/// What a feature covers.
#[derive(Debug, Default)]
pub(super) struct Geometry {
    /// The parts that cover something.
    pub(super) polygons: Vec<Polygon>,
    /// Why there is nothing, where nothing is wrong: `null`, `empty`, or a kind without an area.
    pub(super) without_area: Option<String>,
    /// What is wrong, and was left out.
    pub(super) broken: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "type")]
    kind: Option<String>,
    crs: Option<Value>,
    features: Option<Features>,
}

impl Collection {
    /// Of what stands in the file called `path`.
    ///
    /// # Errors
    /// When it is no collection of features, or names a reference system that has no EPSG code.
    pub(super) fn parse(text: &[u8], path: &Path) -> Result<Self, LabelError> {
        let fault = |found: String| LabelError::meaning(&path.display(), found);
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let file: File =
            serde_json::from_slice(text).map_err(|error| fault(format!("it is no GeoJSON: {error}")))?;
        let Some(Features(features)) = file.features else {
            let kind = file.kind.unwrap_or_else(|| "no type".to_owned());
            return Err(fault(format!("it is GeoJSON of {kind}; labels are a FeatureCollection")));
        };
        let system = match file.crs {
            None | Some(Value::Null) => WGS84,
            Some(crs) => system_of(&crs).ok_or_else(|| {
                fault(format!(
                    "its `crs` member ({}) names no reference system by an EPSG code; save it in longitude and \
                     latitude (`ogr2ogr -t_srs EPSG:4326`)",
                    start_of(&crs)
                ))
            })?,
        };
        Ok(Self { system, features })
    }

    /// The same areas with x and y of each position exchanged.
    pub(super) fn swapped(&self) -> Self {
        let swap = |ring: &Vec<[f64; 2]>| ring.iter().map(|&[x, y]| [y, x]).collect();
        let feature = |feature: &Feature| {
            let polygons = &feature.geometry.polygons;
            let polygons = polygons.iter().map(|polygon| polygon.iter().map(swap).collect()).collect();
            Feature { properties: Map::new(), geometry: Geometry { polygons, ..Geometry::default() } }
        };
        Self { system: self.system, features: self.features.iter().map(feature).collect() }
    }
}

/// Features, each made small before the next is read.
struct Features(Vec<Feature>);

impl<'de> Deserialize<'de> for Features {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneByOne;
        impl<'de> Visitor<'de> for OneByOne {
            type Value = Features;

            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str("a list of features")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Features, A::Error> {
                let mut features = Vec::new();
                while let Some(value) = list.next_element::<Value>()? {
                    features.push(Feature::of(value));
                }
                Ok(Features(features))
            }
        }
        from.deserialize_seq(OneByOne)
    }
}

/// What stands in a file.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LabelError> {
    let failed = |source| LabelError::Io { path: path.to_owned(), doing: "reading the features", source };
    std::fs::read(path).map_err(failed)
}

/// The EPSG code that a `crs` member names: `urn:ogc:def:crs:EPSG::32633`, `EPSG:32633`, or OGC's CRS84.
fn system_of(crs: &Value) -> Option<u16> {
    let name = crs.get("properties")?.get("name")?.as_str()?.trim();
    let last = name.rsplit([':', '/']).next()?;
    if last.eq_ignore_ascii_case("CRS84") {
        return Some(WGS84);
    }
    name.to_uppercase().contains("EPSG").then(|| last.parse().ok())?
}

impl Feature {
    fn of(mut value: Value) -> Self {
        let properties = match value.get_mut("properties").map(Value::take) {
            Some(Value::Object(properties)) => properties,
            _ => Map::new(),
        };
        let mut geometry = Geometry::default();
        geometry.take(value.get("geometry").unwrap_or(&Value::Null));
        if geometry.polygons.is_empty() && geometry.broken.is_empty() && geometry.without_area.is_none() {
            geometry.without_area = Some("empty".to_owned());
        }
        Self { properties, geometry }
    }
}

impl Geometry {
    fn take(&mut self, geometry: &Value) {
        if geometry.is_null() {
            self.without_area = Some("null".to_owned());
            return;
        }
        let kind = geometry.get("type").and_then(Value::as_str).unwrap_or_default();
        let parts = |key: &str| geometry.get(key).and_then(Value::as_array);
        match (kind, parts("coordinates"), parts("geometries")) {
            ("Polygon", Some(rings), _) => self.polygon(rings),
            ("MultiPolygon", Some(polygons), _) => {
                for polygon in polygons {
                    match polygon.as_array() {
                        Some(rings) => self.polygon(rings),
                        None => self.broken.push("a polygon that is no list of rings".to_owned()),
                    }
                }
            }
            ("GeometryCollection", _, Some(all)) => all.iter().for_each(|part| self.take(part)),
            ("Polygon" | "MultiPolygon" | "GeometryCollection", ..) => {
                self.broken.push(format!("a {kind} without coordinates"));
            }
            ("Point" | "MultiPoint" | "LineString" | "MultiLineString", ..) => {
                self.without_area = Some(kind.to_owned());
            }
            _ => self.broken.push(format!("a geometry of type `{kind}`")),
        }
    }

    /// A hole that is broken is left out alone; without its shell nothing is left of a polygon.
    fn polygon(&mut self, rings: &[Value]) {
        if rings.iter().all(|ring| ring.as_array().is_some_and(Vec::is_empty)) {
            return;
        }
        let mut polygon = Vec::new();
        for (number, value) in rings.iter().enumerate() {
            match ring(value) {
                Ok(points) => polygon.push(points),
                Err(found) => {
                    let what = if number == 0 { "its outline" } else { "a hole of it" };
                    self.broken.push(format!("{what} {found}"));
                    if number == 0 {
                        return;
                    }
                }
            }
        }
        if !polygon.is_empty() {
            self.polygons.push(polygon);
        }
    }
}

/// What stands at the beginning of a value: a position that is none may be all of a ring.
fn start_of(value: &Value) -> String {
    const SHOWN: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A ring of at least three places; it need not end where it began.
fn ring(value: &Value) -> Result<Vec<[f64; 2]>, String> {
    let places = value.as_array().ok_or("is no list of positions")?;
    let number = |value: Option<&Value>| value.and_then(Value::as_f64).filter(|number| number.is_finite());
    let place = |value: &Value| {
        let place = value.as_array().and_then(|all| Some([number(all.first())?, number(all.get(1))?]));
        place.ok_or_else(|| format!("has a position that is no two numbers ({})", start_of(value)))
    };
    let mut places: Vec<[f64; 2]> = places.iter().map(place).collect::<Result<_, _>>()?;
    if places.len() > 1 && places.first() == places.last() {
        places.pop();
    }
    if places.len() < 3 {
        return Err(format!("has {} places, and a ring has three or more", places.len()));
    }
    Ok(places)
}
