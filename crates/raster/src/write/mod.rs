//! Rasters and submissions out, by rows.
//!
//! Every output is a [`LabelSink`] or a [`ScoreSink`]: it takes an image from the top to the bottom, keeps no more than
//! its doc comment says, and writes to what its maker gave it. The same rows always give the same bytes. What a sink
//! makes, a decoder here or in any other program reads back.

mod big_tiff;
mod coco;
mod column_runs;
mod error;
mod fragment;
mod geo;
mod legend;
mod map_frame;
mod mask_png;
mod mask_tiff;
mod open_rings;
mod png_rows;
mod polygons;
mod sample;
mod score_tiff;
mod score_zarr;
mod scores;
mod sink;
mod submission;
mod tiles;
mod trace;

pub use crate::rle::RleStyle;
pub use coco::{
    CocoAnnotation, CocoId, CocoImage, CocoSegmentation, join_coco, numbers_of_ids, renumbered,
    write_coco_dataset,
};
pub use error::{Result, WriteError};
pub use fragment::{ClassTextSink, CocoRleSink, Fragment, FragmentText, RleOptions, RleSink};
pub use geo::{GeoTags, GeoTransform};
pub use legend::{Legend, is_background, palette};
pub use map_frame::{MapFrame, Reprojection};
pub use mask_png::MaskPng;
pub use mask_tiff::MaskTiff;
pub use polygons::{CocoPolygonSink, GeoJsonSink};
pub use score_tiff::ScoreTiff;
pub use score_zarr::{ScoreZarr, zarr_files};
pub use scores::ScoreDepth;
pub use sink::{LabelSink, ScoreSink, ScoredLabelSink, Split};
pub use submission::{Submission, SubmissionClass, SubmissionColumns, SubmissionLayout};
pub use tiles::TiffOptions;
pub use trace::Polygon;

#[cfg(test)]
mod geo_tests;
#[cfg(test)]
mod label_tests;
#[cfg(test)]
mod raster_tests;
#[cfg(test)]
mod rle_tests;
