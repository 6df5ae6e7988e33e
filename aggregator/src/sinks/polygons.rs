//! Outlines of regions as GeoJSON.

use super::SinkContext;
use super::label_files::LabelFiles;
use crate::legend;
use crate::outputs::output_path;
use crate::sink::{RowSink, SinkError};
use marquetry_raster::write::{GeoJsonSink, MapFrame};
use marquetry_spec::{Output, PolygonCrs, Polygons};

/// The outlines of output `number`.
pub(crate) fn open(
    context: &SinkContext<'_>,
    number: usize,
    output: &Output,
    polygons: Polygons,
) -> Result<Box<dyn RowSink>, SinkError> {
    let image = context.image;
    let (file, out) = context.new_file(output_path(output, &image.id, None), &format!("polygons-{number}"));
    let own = polygons.crs == PolygonCrs::Source;
    // What there is to say of its place was said when it was planned.
    let frame = context.geo.as_ref().and_then(|geo| MapFrame::new(geo, image.size, own).0);
    let classes = legend::objects(context.spec);
    let encoder = GeoJsonSink::new(out, &image.id, image.size, &context.legend, &classes, frame)?;
    Ok(Box::new(LabelFiles { encoder: Box::new(encoder), files: vec![file] }))
}
