//! How well label maps agree with the truth: numbers from labels.
//!
//! Counts are the statistic. Of every image come 64-bit counts ([`Confusion`], [`ClassCounts`], [`BoundaryCounts`],
//! [`SurfaceCounts`], [`KindCounts`], [`SizeCounts`], [`PanopticCounts`], [`CalibrationCounts`]) that add over images, in any
//! order; every metric follows from them. Labels are canonical: `0..classes`, [`LEFT_OUT`] where the truth says nothing, [`NO_CLASS`] where a prediction
//! names no class.
//!
//! This crate must not know: files, models, jobs, threads, time.

pub mod entries;

mod bootstrap;
mod boundary;
mod calibration;
mod components;
mod confusion;
mod counts;
mod error_map;
mod kinds;
mod mean_iou;
mod overlaps;
mod pair;
mod panoptic;
mod rows;
mod runs;
mod sizes;
mod surface;

pub use bootstrap::{Difference, SplitMix64, paired_bootstrap};
pub use boundary::{BoundaryCounts, Edge, bands, boundary_px};
pub use calibration::{CalibrationCounts, ReliabilityBin};
pub use components::{Segment, Segments};
pub use confusion::Confusion;
pub use counts::{ClassCounts, ImageMeans};
pub use error_map::{ErrorMap, Wrong};
pub use kinds::{ErrorKind, KindCounts};
pub use mean_iou::{MeanIous, mean_ious};
pub use overlaps::{Region, Regions};
pub use pair::{Distances, ImageCounts, LEFT_OUT, LabelPair, NO_CLASS, is_background};
pub use panoptic::PanopticCounts;
pub use sizes::{Objects, SizeCounts, Stratum};
pub use surface::SurfaceCounts;
