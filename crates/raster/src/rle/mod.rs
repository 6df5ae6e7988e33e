//! Binary masks as runs of pixels, and the two texts that competitions and COCO make of them, there and back.

mod coco;
mod kaggle;

pub use coco::{CocoMask, decode_coco, decode_counts, encode_coco};
pub use kaggle::{RleStyle, decode_rle, encode_rle};
use marquetry_failure::{Classify, FailureClass};
use marquetry_geometry::Size;

/// Consecutive pixels of a mask, counted down the columns: pixel (row `y`, column `x`) is number `x * H + y`, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Number of the first pixel.
    pub start: u64,
    /// Number of pixels, at least 1.
    pub length: u64,
}

impl Run {
    /// One past the last pixel.
    pub const fn end(self) -> u64 {
        self.start + self.length
    }
}

/// A binary mask as runs in column-major order, ascending, with a gap after each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runs {
    size: Size,
    runs: Vec<Run>,
}

impl Runs {
    /// A mask of `size` px from ascending runs that do not overlap; runs that touch are joined.
    ///
    /// # Errors
    /// When a run is empty, out of order, overlaps the one before or leaves the image.
    pub fn new(size: Size, runs: impl IntoIterator<Item = Run>) -> Result<Self, RunsError> {
        let mut joined: Vec<Run> = Vec::new();
        for run in runs {
            let free = joined.last().map_or(0, |last| last.end());
            let end = run.start.checked_add(run.length).filter(|&end| end <= size.area());
            if run.length == 0 || run.start < free || end.is_none() {
                let found = format!(
                    "a run of {} px at pixel {} (from 0) of an image of {size} px, of which {free} are behind; runs \
                     must be ascending, apart and inside",
                    run.length, run.start
                );
                return Err(RunsError::new("a run-length encoded mask", found));
            }
            match joined.last_mut() {
                Some(last) if last.end() == run.start => last.length += run.length,
                _ => joined.push(run),
            }
        }
        Ok(Self { size, runs: joined })
    }

    /// The pixels that are in any of `runs`, which may come in any order and overlap.
    ///
    /// # Errors
    /// When a run is empty or leaves the image.
    pub fn union(size: Size, runs: impl IntoIterator<Item = Run>) -> Result<Self, RunsError> {
        let mut sorted: Vec<Run> = runs.into_iter().collect();
        sorted.sort_unstable();
        let mut free = 0;
        let apart = sorted.into_iter().filter_map(|run| {
            let start = run.start.max(free);
            let length = run.start.saturating_add(run.length).saturating_sub(start);
            free = start.saturating_add(length);
            (length > 0 || run.length == 0).then_some(Run { start, length })
        });
        Self::new(size, apart.collect::<Vec<_>>())
    }

    /// The image's size, px.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// The runs, ascending.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Pixels in the mask.
    pub fn area(&self) -> u64 {
        self.runs.iter().map(|run| run.length).sum()
    }

    /// Whether no pixel is in the mask.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

/// A text or a list of runs that is no mask of its image: what it was, what was found, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading {what} failed: {found}")]
pub struct RunsError {
    what: &'static str,
    found: String,
}

impl RunsError {
    fn new(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, found: found.into() }
    }
}

impl Classify for RunsError {
    fn class(&self) -> FailureClass {
        FailureClass::Input
    }
}
