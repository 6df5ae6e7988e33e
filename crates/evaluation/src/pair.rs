//! A truth and a prediction of one image, and all that is counted of them.

use crate::boundary::{self, Bands, BoundaryCounts, Edge};
use crate::calibration::CalibrationCounts;
use crate::components::Segments;
use crate::confusion::Confusion;
use crate::kinds::{self, KindCounts};
use crate::overlaps::Regions;
use crate::panoptic::{self, PanopticCounts};
use crate::runs::RunMap;
use crate::sizes::SizeCounts;
use crate::surface::{self, SurfaceCounts};

/// The truth says nothing of this pixel: it takes no part in anything.
pub const LEFT_OUT: u16 = u16::MAX;
/// The prediction names no class: an error of the true class.
pub const NO_CLASS: u16 = u16::MAX - 1;

/// What people call the class of everything else: it has no objects.
const BACKGROUND: [&str; 4] = ["background", "bg", "_background_", "__background__"];

/// Whether a name is what people call the class of everything else.
pub fn is_background(name: &str) -> bool {
    BACKGROUND.contains(&name.to_lowercase().as_str())
}

/// What outlines are measured with: one for a data set, never for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distances {
    /// How wide boundaries are (Chebyshev), px, at most 32,766.
    pub boundary_px: u32,
    /// How far outlines may be apart (Euclidean) and still agree, px.
    pub tolerance_px: u32,
}

/// Labels of one image, row by row: classes as `0..classes`, and [`LEFT_OUT`] and [`NO_CLASS`].
#[derive(Debug, Clone, Copy)]
pub struct LabelPair<'a> {
    /// Columns, px.
    pub width: u32,
    /// `[height, width]`.
    pub truth: &'a [u16],
    /// Of the same shape.
    pub predicted: &'a [u16],
}

/// What is counted of one image. All of it adds over images.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ImageCounts {
    /// Pixels by true and predicted class.
    pub confusion: Confusion,
    /// Pixels of the bands, for each class.
    pub boundary: Vec<BoundaryCounts>,
    /// Pixels of the outlines, for each class.
    pub surface: Vec<SurfaceCounts>,
    /// Wrong pixels by kind of error.
    pub kinds: KindCounts,
    /// Components by their size.
    pub sizes: SizeCounts,
    /// Components as segments of panoptic quality, for each class.
    pub panoptic: Vec<PanopticCounts>,
    /// Pixels that the truth leaves out.
    pub left_out: u64,
    /// Pixels by the probability of their label, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationCounts>,
}

impl ImageCounts {
    /// Nothing, for `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self {
            confusion: Confusion::new(classes),
            boundary: vec![BoundaryCounts::default(); classes],
            surface: vec![SurfaceCounts::default(); classes],
            kinds: KindCounts::default(),
            sizes: SizeCounts::default(),
            panoptic: vec![PanopticCounts::default(); classes],
            left_out: 0,
            calibration: None,
        }
    }

    /// Adds another image's counts.
    pub fn merge(&mut self, other: &Self) {
        self.confusion.merge(&other.confusion);
        self.boundary.iter_mut().zip(&other.boundary).for_each(|(sum, n)| sum.add(n));
        self.surface.iter_mut().zip(&other.surface).for_each(|(sum, n)| sum.add(n));
        self.kinds.merge(&other.kinds);
        self.sizes.merge(&other.sizes);
        self.panoptic.iter_mut().zip(&other.panoptic).for_each(|(sum, n)| sum.add(n));
        self.left_out += other.left_out;
        if let Some(more) = &other.calibration {
            self.calibration.get_or_insert_default().merge(more);
        }
    }
}

impl LabelPair<'_> {
    /// Counts everything. `background` is the class that has no objects, if there is one. Memory: 80 bytes for each piece of a
    /// row in which neither side changes, 12 for each in which one of them does not, and in `2 · tolerance_px + 1` rows 4 for
    /// each pixel and 8 for each pixel of an outline.
    pub fn count(&self, classes: usize, background: Option<u16>, distances: Distances) -> ImageCounts {
        let width = self.width as usize;
        let [truth, predicted] = [self.truth, self.predicted].map(|labels| RunMap::new(width, labels));
        let segments = Segments::of_runs(&truth, &predicted);
        let mut counts = ImageCounts::new(classes);
        for segment in segments.list() {
            counts.confusion.add_run(segment.truth, segment.predicted, segment.pixels());
            counts.left_out += if segment.truth == LEFT_OUT { segment.pixels() } else { 0 };
        }
        let d = distances.boundary_px.min(32_766) as usize;
        let predicted = if truth.has(LEFT_OUT) { where_counted(&segments) } else { predicted };
        counts.boundary = boundary::counts(&truth, &predicted, &segments, classes, d);
        counts.surface = surface::counts(&truth, &predicted, classes, distances.tolerance_px);
        drop(predicted);
        let regions = Regions::new(&segments);
        let matches = panoptic::matches(&regions);
        counts.panoptic = panoptic::counts(&regions, &matches, classes);
        counts.sizes = SizeCounts::new(&regions, &matches, classes);
        if counts.confusion.right() < counts.confusion.pixels() {
            let near = Bands::new(&truth, d, Edge::Open);
            counts.kinds = kinds::counts(&segments, &regions, near, classes, background);
        }
        counts
    }
}

/// The prediction, left out where the truth is: outside the image, for what looks at outlines.
fn where_counted(segments: &Segments) -> RunMap {
    RunMap::of_segments(
        segments,
        |segment| {
            if segment.truth == LEFT_OUT { LEFT_OUT } else { segment.predicted }
        },
    )
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
