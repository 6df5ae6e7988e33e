//! Where a label changes and the prediction does not: boundaries that are off.
//!
//! Pixels beside another label are where members are unsure, if the label is right: the evidence against it is small there
//! and much the same in all images. Where the outline is drawn elsewhere, members are sure on both sides of it and say that one
//! is wrong. If all of a label is shifted, shifting it back mends a good part of that, whatever the members are unsure of.

use crate::component::is_error;
use crate::evidence::STEPS;
use marquetry_evaluation::{Edge, LEFT_OUT, LabelPair, bands};
use serde::{Deserialize, Serialize};

/// Evidence of one pixel counts as no more, in steps: ln 100.
const MOST: u8 = 115;
/// How far from a boundary pixels are looked at when a label is shifted, px.
const REACH_PX: usize = 7;
/// How far a label is shifted, px, in eight directions.
const SHIFTS_PX: [i64; 3] = [2, 4, 6];

/// What the boundaries of a label say. Of a label with one class there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EdgeFindings {
    /// Pixels beside one (sides, not corners) of another label.
    pub pixels: u64,
    /// Σ evidence against their labels, each at most ln 100, in steps of 1/25 nat.
    evidence: u64,
    /// How many more pixels near boundaries agree with the prediction once the label is shifted.
    pub gain_px: u64,
    /// How far the label is to be moved to gain the most, px: rows down and columns right.
    pub shift_px: Option<[i32; 2]>,
}

impl EdgeFindings {
    pub(crate) fn new(pair: &LabelPair<'_>, evidence: &[u8]) -> Self {
        let mut found = Self::default();
        let width = pair.width.max(1) as usize;
        for (at, _) in pair.truth.iter().enumerate().filter(|&(at, _)| is_edge(pair.truth, width, at)) {
            found.pixels += 1;
            found.evidence += u64::from(evidence[at].min(MOST));
        }
        let any_error = pair.truth.iter().zip(pair.predicted).any(|(&t, &p)| is_error(t, p));
        if found.pixels > 0 && any_error {
            found.shift(pair);
        }
        found
    }

    /// The mean evidence against the label of a pixel at a boundary, nats, 0 to 4.6.
    pub fn evidence(&self) -> Option<f64> {
        (self.pixels > 0).then(|| self.evidence as f64 / (self.pixels * STEPS) as f64)
    }

    /// Pixels that a shift mends for each pixel at a boundary.
    pub fn gain(&self) -> f64 {
        self.gain_px as f64 / self.pixels.max(1) as f64
    }

    /// Looks for the shift that gains the most; of equal ones the first, by distance.
    fn shift(&mut self, pair: &LabelPair<'_>) {
        let near = bands(pair.width as usize, pair.truth, REACH_PX, Edge::Open);
        for r in SHIFTS_PX {
            let k = (r as f64 / std::f64::consts::SQRT_2).round() as i64;
            for (dy, dx) in [(0, r), (k, k), (r, 0), (k, -k), (0, -r), (-k, -k), (-r, 0), (-k, k)] {
                let gain = gain_of(pair, &near, dy, dx);
                if gain > self.gain_px as i64 {
                    (self.gain_px, self.shift_px) = (gain as u64, Some([-dy as i32, -dx as i32]));
                }
            }
        }
    }
}

/// Whether a pixel is beside one of another label; what is left out is no label.
fn is_edge(labels: &[u16], width: usize, at: usize) -> bool {
    let own = labels[at];
    let differs = |other: usize| labels[other] != own && labels[other] != LEFT_OUT;
    own != LEFT_OUT
        && ((at >= width && differs(at - width))
            || (at + width < labels.len() && differs(at + width))
            || (!at.is_multiple_of(width) && differs(at - 1))
            || (!(at + 1).is_multiple_of(width) && differs(at + 1)))
}

/// How many more pixels that are near a boundary agree if each has the label of the one `dy` rows below and `dx` columns
/// right of it. Beyond the image is more of the same.
fn gain_of(pair: &LabelPair<'_>, near: &[bool], dy: i64, dx: i64) -> i64 {
    let width = pair.width.max(1) as usize;
    let height = pair.truth.len() / width;
    let moved = |at: usize, by: i64, size: usize| (at as i64 + by).clamp(0, size as i64 - 1) as usize;
    let mut gain = 0;
    for y in 0..height {
        let from = moved(y, dy, height) * width;
        for x in (0..width).filter(|x| near[y * width + x]) {
            let at = y * width + x;
            let (own, other) = (pair.truth[at], pair.truth[from + moved(x, dx, width)]);
            if own != other && own != LEFT_OUT && other != LEFT_OUT {
                gain += i64::from(other == pair.predicted[at]) - i64::from(own == pair.predicted[at]);
            }
        }
    }
    gain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(top: usize, left: usize) -> Vec<u16> {
        let inside =
            |at: usize| (top..top + 20).contains(&(at / 40)) && (left..left + 20).contains(&(at % 40));
        (0..1600).map(|at| u16::from(inside(at))).collect()
    }

    fn of(truth: &[u16], predicted: &[u16]) -> EdgeFindings {
        let pair = LabelPair { width: 40, truth, predicted };
        let evidence: Vec<u8> =
            truth.iter().zip(predicted).map(|(t, p)| if t == p { 0 } else { 200 }).collect();
        EdgeFindings::new(&pair, &evidence)
    }

    #[test]
    fn a_shifted_label_is_shifted_back() {
        let found = of(&square(10, 10), &square(10, 14));
        assert_eq!(found.shift_px, Some([0, 4]), "the prediction lies 4 px to the right");
        assert_eq!(found.gain_px, 160);
        // 76 pixels inside and 80 outside the square; of these 20 of each of two sides, and 6 on the rims, are wrong.
        assert_eq!(found.pixels, 156);
        let mean = found.evidence().expect("there are boundaries");
        assert!(mean > 1.0 && mean < 4.6, "{mean}");
    }

    #[test]
    fn a_missing_object_is_no_shift() {
        let (with, without) = (square(10, 10), vec![0; 1600]);
        assert_eq!(of(&without, &with), EdgeFindings::default());
        assert_eq!(of(&with, &with).evidence(), Some(0.0));
    }

    #[test]
    fn what_is_left_out_makes_no_boundary() {
        let truth: Vec<u16> = (0..1600).map(|at| if at % 40 < 20 { 1 } else { LEFT_OUT }).collect();
        assert_eq!(of(&truth, &vec![1; 1600]).pixels, 0);
        assert_eq!(of(&vec![LEFT_OUT; 1600], &vec![1; 1600]).evidence(), None);
    }
}
