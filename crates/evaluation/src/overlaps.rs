//! The components of the truth, those of the prediction, and what they have in common.

use crate::components::Segments;
use crate::pair::LEFT_OUT;

/// A connected component of one label, on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Its label.
    pub label: u16,
    /// How many pixels it has.
    pub pixels: u64,
    /// Pixels where the other side has the same label.
    pub right: u64,
    /// Pixels where the truth says nothing.
    pub left_out: u64,
}

impl Region {
    /// Pixels that count.
    pub const fn counted(&self) -> u64 {
        self.pixels - self.left_out
    }
}

/// Pixels that are in one region of the truth and one of the prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Overlap {
    pub(crate) truth: u32,
    pub(crate) predicted: u32,
    pub(crate) pixels: u64,
}

/// The components of both sides, and what they share.
#[derive(Debug)]
pub struct Regions {
    /// The region of each segment, in the truth and in the prediction.
    pub of_segment: [Vec<u32>; 2],
    /// Those of the truth, in the order of their first segments.
    pub truth: Vec<Region>,
    /// Those of the prediction, in the same order.
    pub predicted: Vec<Region>,
    /// By region of the truth, then of the prediction; what the truth leaves out is not among them.
    pub(crate) overlaps: Vec<Overlap>,
}

impl Regions {
    /// Finds them.
    pub fn new(segments: &Segments) -> Self {
        let (in_truth, number_truth) = segments.components(|a, b| a.truth == b.truth);
        let (in_predicted, number_predicted) = segments.components(|a, b| a.predicted == b.predicted);
        let none = Region { label: LEFT_OUT, pixels: 0, right: 0, left_out: 0 };
        let (mut truth, mut predicted) = (vec![none; number_truth], vec![none; number_predicted]);
        let mut overlaps = Vec::new();
        for (at, segment) in segments.list().iter().enumerate() {
            let pixels = segment.pixels();
            let (t, p) = (in_truth[at], in_predicted[at]);
            let right = if segment.is_right() { pixels } else { 0 };
            let left_out = if segment.truth == LEFT_OUT { pixels } else { 0 };
            for (region, label) in
                [(&mut truth[t as usize], segment.truth), (&mut predicted[p as usize], segment.predicted)]
            {
                region.label = label;
                region.pixels += pixels;
                region.right += right;
                region.left_out += left_out;
            }
            if segment.truth != LEFT_OUT {
                overlaps.push(Overlap { truth: t, predicted: p, pixels });
            }
        }
        overlaps.sort_unstable();
        overlaps.dedup_by(|next, sum| {
            let same = (next.truth, next.predicted) == (sum.truth, sum.predicted);
            sum.pixels += if same { next.pixels } else { 0 };
            same
        });
        Self { of_segment: [in_truth, in_predicted], truth, predicted, overlaps }
    }

    /// Pixels in either region of an overlap, but for those that the truth leaves out.
    pub(crate) fn union(&self, overlap: &Overlap) -> u64 {
        self.truth[overlap.truth as usize].pixels + self.predicted[overlap.predicted as usize].counted()
            - overlap.pixels
    }

    /// Pixels that are in both regions.
    pub(crate) fn between(&self, truth: u32, predicted: u32) -> Overlap {
        let key = (truth, predicted);
        match self.overlaps.binary_search_by_key(&key, |o| (o.truth, o.predicted)) {
            Ok(at) => self.overlaps[at],
            Err(_) => Overlap { truth, predicted, pixels: 0 },
        }
    }
}
