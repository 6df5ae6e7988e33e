//! Outlines of components as GeoJSON and as COCO annotations.

use super::coco::{CocoAnnotation, CocoId, CocoSegmentation, write_line};
use super::error::{Result, WriteError};
use super::legend::Legend;
use super::map_frame::MapFrame;
use super::sink::{LabelSink, RowGuard, ScoredLabelSink};
use super::trace::{Polygon, Tracer};
use crate::rle::{Run, Runs, encode_coco};
use marquetry_geometry::Size;
use std::io::Write;

const GEOJSON: &str = "GeoJSON polygons";
const COCO: &str = "COCO polygons";

impl Polygon {
    /// The mask of exactly its pixels, in an image of `size` px.
    ///
    /// # Errors
    /// When the polygon leaves the image or its rings are not closed along pixel edges.
    pub fn to_runs(&self, size: Size) -> Result<Runs> {
        // Down a column, every edge that runs across it goes in or out.
        let mut edges = Vec::new();
        for ring in std::iter::once(&self.shell).chain(&self.holes) {
            for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)).filter(|(a, b)| a.1 == b.1) {
                edges.extend((a.0.min(b.0)..a.0.max(b.0)).map(|x| (x, a.1)));
            }
        }
        edges.sort_unstable();
        let run = |pair: &[(u32, u32)]| {
            let [(x, top), (other, bottom)] = *pair else { return None };
            let start = u64::from(x) * u64::from(size.height) + u64::from(top);
            (x == other && x < size.width && bottom <= size.height)
                .then_some(Run { start, length: u64::from(bottom - top) })
        };
        let runs = edges.chunks(2).map(run).collect::<Option<Vec<_>>>();
        let runs =
            runs.ok_or_else(|| WriteError::malformed("a polygon", "rings that do not enclose pixels"))?;
        Ok(Runs::new(size, runs)?)
    }

    /// Left, top, width and height of the box around it, px.
    pub fn bounding_box(&self) -> [u32; 4] {
        let least = |axis: fn(&(u32, u32)) -> u32| self.shell.iter().map(axis).min().unwrap_or(0);
        let most = |axis: fn(&(u32, u32)) -> u32| self.shell.iter().map(axis).max().unwrap_or(0);
        let (left, top) = (least(|vertex| vertex.0), least(|vertex| vertex.1));
        [left, top, most(|vertex| vertex.0) - left, most(|vertex| vertex.1) - top]
    }
}

/// Traces the chosen classes of every plane.
#[derive(Debug)]
struct Tracers {
    rows: RowGuard,
    width: usize,
    planes: Vec<Tracer>,
}

impl Tracers {
    fn new(size: Size, legend: &Legend, classes: &[u16]) -> Result<Self> {
        let targets = legend.targets(classes)?;
        let tracer = |plane| {
            let mut class_of = vec![None; legend.max_label() as usize + 1];
            for target in targets.iter().filter(|target| target.plane == plane) {
                class_of[target.value as usize] = Some(target.class);
            }
            Tracer::new(size, class_of)
        };
        let planes = (0..legend.planes()).map(tracer).collect();
        Ok(Self { rows: RowGuard::new(size, legend), width: size.width as usize, planes })
    }

    fn row(
        &mut self,
        values: &[u16],
        probabilities: Option<&[f32]>,
        mut done: impl FnMut(Polygon) -> Result<()>,
    ) -> Result<()> {
        let y = self.rows.admit(values)?;
        for (plane, tracer) in self.planes.iter_mut().enumerate() {
            tracer.row(y, &values[plane * self.width..][..self.width], probabilities, &mut done)?;
        }
        Ok(())
    }

    fn finish(self, mut done: impl FnMut(Polygon) -> Result<()>) -> Result<()> {
        self.rows.complete()?;
        self.planes.into_iter().try_for_each(|tracer| tracer.finish(&mut done))
    }
}

/// Writes the components of chosen classes as a GeoJSON `FeatureCollection`: one polygon for each 4-connected component,
/// with its holes, in the order in which components end.
///
/// Coordinates are pixel edges, x to the right and y down, or places where a frame is given: longitude and latitude, or the
/// source's own numbers, whose reference system a `crs` member then names. Shells run counter-clockwise by the numbers. Properties: `class` (name), `label` (the class's value),
/// `area_px`.
/// Memory: the outlines of components that have not ended, and about 40 bytes a column.
#[derive(Debug)]
pub struct GeoJsonSink<W> {
    tracers: Tracers,
    features: Features<W>,
}

#[derive(Debug)]
struct Features<W> {
    out: W,
    legend: Legend,
    frame: Option<MapFrame>,
    some: bool,
}

impl<W: Write + Send> GeoJsonSink<W> {
    /// For an image of `size` px. `image_id` becomes the collection's name.
    ///
    /// # Errors
    /// When a class is unknown or given twice, or the head cannot be written.
    pub fn new(
        mut out: W,
        image_id: &str,
        size: Size,
        legend: &Legend,
        classes: &[u16],
        frame: Option<MapFrame>,
    ) -> Result<Self> {
        let tracers = Tracers::new(size, legend, classes)?;
        let name = serde_json::Value::from(image_id);
        let system = frame.as_ref().map(MapFrame::member).unwrap_or_default();
        write!(out, "{{\"type\":\"FeatureCollection\",\"name\":{name},{system}\"features\":[")
            .map_err(WriteError::io(GEOJSON))?;
        let features = Features { out, legend: legend.clone(), frame, some: false };
        Ok(Self { tracers, features })
    }
}

impl<W: Write> Features<W> {
    fn write(&mut self, polygon: &Polygon) -> Result<()> {
        let Polygon { class, area_px, shell, holes, .. } = polygon;
        let rings = std::iter::once(shell).chain(holes).map(|ring| self.ring(ring));
        let rings = rings.collect::<Result<Vec<_>>>()?;
        let feature = serde_json::json!({
            "type": "Feature",
            "properties": {"class": self.legend.names()[*class as usize], "label": self.legend.value(*class), "area_px": area_px},
            "geometry": {"type": "Polygon", "coordinates": rings},
        });
        let gap = if std::mem::replace(&mut self.some, true) { ",\n" } else { "\n" };
        write!(self.out, "{gap}{feature}").map_err(WriteError::io(GEOJSON))
    }

    /// A closed ring of positions.
    fn ring(&self, ring: &[(u32, u32)]) -> Result<serde_json::Value> {
        let Some(frame) = &self.frame else {
            let closed = ring.iter().chain(ring.first());
            return Ok(closed.map(|&(x, y)| serde_json::json!([x, y])).collect());
        };
        let places = frame.ring(ring).map_err(|found| WriteError::impossible(GEOJSON, found))?;
        Ok(places.into_iter().map(|place| serde_json::json!(place)).collect())
    }
}

impl<W: Write + Send> LabelSink for GeoJsonSink<W> {
    fn row(&mut self, values: &[u16]) -> Result<()> {
        self.tracers.row(values, None, |polygon| self.features.write(&polygon))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.tracers.finish(|polygon| self.features.write(&polygon))?;
        let out = &mut self.features.out;
        out.write_all(b"\n]}\n").and_then(|()| out.flush()).map_err(WriteError::io(GEOJSON))
    }
}

/// Writes the components of chosen classes as COCO annotations, one JSON object a line: one for each 4-connected
/// component, in the order in which components end.
///
/// COCO's polygons have no holes: a component with holes is written as a compressed mask instead, which COCO allows in
/// its place. [`super::join_coco`] makes one list of the lines of all images. Memory: as for [`GeoJsonSink`].
#[derive(Debug)]
pub struct CocoPolygonSink<W> {
    tracers: Tracers,
    lines: Lines<W>,
}

#[derive(Debug)]
struct Lines<W> {
    out: W,
    image_id: CocoId,
    legend: Legend,
    size: Size,
    scored: bool,
}

impl<W: Write + Send> CocoPolygonSink<W> {
    /// For an image of `size` px. The category's number is the class's value.
    ///
    /// # Errors
    /// When a class is unknown or given twice.
    pub fn new(out: W, image_id: &str, size: Size, legend: &Legend, classes: &[u16]) -> Result<Self> {
        let tracers = Tracers::new(size, legend, classes)?;
        let (image_id, legend) = (image_id.into(), legend.clone());
        Ok(Self { tracers, lines: Lines { out, image_id, legend, size, scored: false } })
    }
}

impl<W: Write> Lines<W> {
    fn write(&mut self, polygon: &Polygon) -> Result<()> {
        // `loadRes` of `pycocotools` has no area for outlines.
        let segmentation = if polygon.holes.is_empty() && !self.scored {
            let ring = polygon.shell.iter().flat_map(|&(x, y)| [x, y]);
            CocoSegmentation::Polygons(vec![ring.collect()])
        } else {
            CocoSegmentation::Mask(encode_coco(&polygon.to_runs(self.size)?))
        };
        let annotation = CocoAnnotation {
            image_id: self.image_id.clone(),
            category_id: u64::from(self.legend.value(polygon.class)),
            segmentation,
            area: (!self.scored).then_some(polygon.area_px),
            bbox: (!self.scored).then(|| polygon.bounding_box()),
            iscrowd: 0,
            score: self.scored.then(|| (polygon.probability / polygon.area_px as f64) as f32),
        };
        write_line(&mut self.out, &annotation)
    }
}

impl<W: Write + Send> LabelSink for CocoPolygonSink<W> {
    fn row(&mut self, values: &[u16]) -> Result<()> {
        self.tracers.row(values, None, |polygon| self.lines.write(&polygon))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.tracers.finish(|polygon| self.lines.write(&polygon))?;
        self.lines.out.flush().map_err(WriteError::io(COCO))
    }
}

impl<W: Write + Send> ScoredLabelSink for CocoPolygonSink<W> {
    fn scored_row(&mut self, values: &[u16], probabilities: &[f32]) -> Result<()> {
        self.lines.scored = true;
        self.tracers.row(values, Some(probabilities), |polygon| self.lines.write(&polygon))
    }
}

#[cfg(test)]
#[path = "polygons_tests.rs"]
mod tests;
