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
        let (in_truth, number_truth) = segments.components_of_side(|segment| segment.truth);
        let (in_predicted, number_predicted) = segments.components_of_side(|segment| segment.predicted);
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
        // By the less significant number first: the order of what has the same number stays.
        let overlaps = ordered(&overlaps, number_predicted, |overlap| overlap.predicted);
        let mut overlaps = ordered(&overlaps, number_truth, |overlap| overlap.truth);
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

/// In the order of a number below `numbers`; those of one number stay in theirs. It takes a look at each, and one at each
/// number: there are many overlaps, and sorting by comparison took a tenth of all that is counted here.
fn ordered(overlaps: &[Overlap], numbers: usize, number: impl Fn(&Overlap) -> u32) -> Vec<Overlap> {
    let mut places = vec![0; numbers];
    overlaps.iter().for_each(|overlap| places[number(overlap) as usize] += 1);
    let mut next = 0;
    for place in &mut places {
        next += std::mem::replace(place, next);
    }
    let mut ordered = overlaps.to_vec();
    for overlap in overlaps {
        let place = &mut places[number(overlap) as usize];
        ordered[*place] = *overlap;
        *place += 1;
    }
    ordered
}
