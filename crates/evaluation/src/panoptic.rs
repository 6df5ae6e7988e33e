//! Panoptic quality (Kirillov and others, 2019) of semantic labels: the segments are the connected components of each
//! class, joined over sides and corners, of any size.

use crate::overlaps::Regions;

/// Segments of one class.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct PanopticCounts {
    /// Pairs whose IoU is above one half.
    pub matched: u64,
    /// Predicted ones without such a partner; those that lie mostly where the truth says nothing do not count.
    pub unmatched_predicted: u64,
    /// True ones without such a partner.
    pub unmatched_truth: u64,
    /// Sum of the IoU of the pairs.
    pub iou_sum: f64,
}

impl PanopticCounts {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.matched += other.matched;
        self.unmatched_predicted += other.unmatched_predicted;
        self.unmatched_truth += other.unmatched_truth;
        self.iou_sum += other.iou_sum;
    }

    /// The mean of the numbers of true and of predicted segments.
    fn segments(&self) -> f64 {
        self.matched as f64 + f64::midpoint(self.unmatched_predicted as f64, self.unmatched_truth as f64)
    }

    /// Panoptic quality, 0 to 1; none where there is no segment.
    pub fn quality(&self) -> Option<f64> {
        let segments = self.segments();
        (segments > 0.0).then(|| self.iou_sum / segments)
    }

    /// How many segments are recognised, as F1, 0 to 1.
    pub fn recognition(&self) -> Option<f64> {
        let segments = self.segments();
        (segments > 0.0).then(|| self.matched as f64 / segments)
    }
}

/// Which regions have a partner of their class with an IoU above one half: of the truth its IoU, of the prediction
/// whether.
#[derive(Debug)]
pub(crate) struct Matches {
    pub(crate) truth: Vec<Option<f64>>,
    pub(crate) predicted: Vec<bool>,
}

pub(crate) fn matches(regions: &Regions) -> Matches {
    let mut matches =
        Matches { truth: vec![None; regions.truth.len()], predicted: vec![false; regions.predicted.len()] };
    for overlap in &regions.overlaps {
        let (t, p) = (overlap.truth as usize, overlap.predicted as usize);
        let union = regions.union(overlap);
        if regions.truth[t].label == regions.predicted[p].label && 2 * overlap.pixels > union {
            matches.truth[t] = Some(overlap.pixels as f64 / union as f64);
            matches.predicted[p] = true;
        }
    }
    matches
}

pub(crate) fn counts(regions: &Regions, matches: &Matches, classes: usize) -> Vec<PanopticCounts> {
    let mut counts = vec![PanopticCounts::default(); classes];
    for (region, iou) in regions.truth.iter().zip(&matches.truth) {
        let Some(own) = counts.get_mut(usize::from(region.label)) else { continue };
        match iou {
            Some(iou) => {
                own.matched += 1;
                own.iou_sum += iou;
            }
            None => own.unmatched_truth += 1,
        }
    }
    for (region, &matched) in regions.predicted.iter().zip(&matches.predicted) {
        let Some(own) = counts.get_mut(usize::from(region.label)) else { continue };
        if !matched && 2 * region.left_out <= region.pixels {
            own.unmatched_predicted += 1;
        }
    }
    counts
}
