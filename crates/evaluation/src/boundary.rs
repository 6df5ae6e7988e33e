//! Boundary IoU (Cheng and others, 2021): how well the pixels near the outlines of a class agree.
//!
//! The band of a class is the pixels of it that an erosion by a square, `d` times, takes away: those no more than `d` px
//! (Chebyshev distance) from what is not the class, or from outside the image. Bands of all classes are found at once: a
//! pixel is in none if all of the square of 2d + 1 px around it has its own label.

use crate::components::Segments;
use crate::pair::LEFT_OUT;
use crate::rows::Piece;
use crate::runs::RunMap;
use std::ops::Range;

/// Pixels of the bands of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct BoundaryCounts {
    /// In both bands.
    pub intersection: u64,
    /// In one or both.
    pub union: u64,
}

impl BoundaryCounts {
    /// Boundary IoU, 0 to 1; none where neither side has the class.
    pub fn iou(&self) -> Option<f64> {
        (self.union > 0).then(|| self.intersection as f64 / self.union as f64)
    }

    /// Adds another's counts.
    pub const fn add(&mut self, other: &Self) {
        self.intersection += other.intersection;
        self.union += other.union;
    }
}

/// Cheng's width of the band for an image of this size, px: 2 % of the diagonal, at least 1. It hangs on the canvas, so
/// a data set has one width, said once.
pub fn boundary_px(height: u32, width: u32) -> u32 {
    ((0.02 * (height as f64).hypot(width as f64)).round_ties_even() as u32).max(1)
}

/// What is beyond the edge of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Something else: the edge is a boundary, as in Cheng's program.
    Boundary,
    /// More of the same.
    Open,
}

/// Stands in a row for a pixel that has another label within `d` columns.
const NEAR: u16 = u16::MAX - 2;

/// Whether each pixel of `[height, width]` labels has another label within `d` px; `d` is below 32,767.
pub fn bands(width: usize, labels: &[u16], d: usize, edge: Edge) -> Vec<bool> {
    let runs = RunMap::new(width, labels);
    let mut bands = Bands::new(&runs, d, edge);
    let mut near = Vec::with_capacity(labels.len());
    (0..runs.height()).for_each(|_| near.extend_from_slice(bands.next_row()));
    near.resize(labels.len(), true);
    near
}

/// Whether each pixel has another label within some px, one row after the other.
pub(crate) struct Bands<'a> {
    runs: &'a RunMap,
    d: usize,
    edge: Edge,
    /// For each column: how many rows up to the last one looked at have the same label without another one beside it, at
    /// most `full`. Counters of 16 bits, without a branch: many columns are looked at together.
    alike: Vec<u16>,
    full: u16,
    /// The last row looked at and the one before, [`NEAR`] where another label is within `d` columns.
    row: Vec<u16>,
    before: Vec<u16>,
    /// How many rows were looked at, and how many were given.
    looked_at: usize,
    given: usize,
    near: Vec<bool>,
}

impl<'a> Bands<'a> {
    /// `d` is below 32,767.
    pub(crate) fn new(runs: &'a RunMap, d: usize, edge: Edge) -> Self {
        let width = runs.width();
        let full = (2 * d + 1).min(u16::MAX as usize) as u16;
        let above = if edge == Edge::Open { (d as u16).min(full) } else { 0 };
        Self {
            runs,
            d,
            edge,
            alike: vec![above; width],
            full,
            row: vec![NEAR; width],
            before: vec![NEAR; width],
            looked_at: 0,
            given: 0,
            near: vec![true; width],
        }
    }

    /// The next row's pixels; of the image's height of rows.
    pub(crate) fn next_row(&mut self) -> &[bool] {
        let beyond = if self.edge == Edge::Open { self.d } else { 0 };
        let last = self.given + self.d;
        let is_known = last < self.runs.height() + beyond;
        if is_known {
            (self.looked_at..=last).for_each(|y| self.look_at(y));
            self.looked_at = last + 1;
            self.near.iter_mut().zip(&self.alike).for_each(|(near, &count)| *near = count < self.full);
        } else {
            self.near.fill(true);
        }
        self.given += 1;
        &self.near
    }

    fn look_at(&mut self, y: usize) {
        std::mem::swap(&mut self.before, &mut self.row);
        if y < self.runs.height() {
            self.take_row(y);
        } else {
            // Beyond the last row is more of the last row.
            self.row.copy_from_slice(&self.before);
        }
        if y == 0 {
            self.before.copy_from_slice(&self.row);
        }
        for ((alike, &own), &above) in self.alike.iter_mut().zip(&self.row).zip(&self.before) {
            let count = if own == above { *alike + 1 } else { 1 };
            *alike = if own == NEAR { 0 } else { count.min(self.full) };
        }
    }

    /// The labels of row `y`, [`NEAR`] where another one is within `d` columns.
    fn take_row(&mut self, y: usize) {
        let width = self.row.len();
        self.row.fill(NEAR);
        for run in self.runs.row(y) {
            let Range { start, end } = run.columns();
            let open = |at_edge: bool| if at_edge && self.edge == Edge::Open { 0 } else { self.d };
            let (first, last) = (start + open(start == 0), end.saturating_sub(open(end == width)));
            if first < last {
                self.row[first..last].fill(run.label);
            }
        }
    }
}

/// The counts of each class, for a pair of which nothing is left out but by both sides; `segments` are those of the pair
/// whether it is so or not.
pub(crate) fn counts(
    truth: &RunMap,
    predicted: &RunMap,
    segments: &Segments,
    classes: usize,
    d: usize,
) -> Vec<BoundaryCounts> {
    let mut bands = [truth, predicted].map(|side| Bands::new(side, d, Edge::Boundary));
    let mut counts = vec![BoundaryCounts::default(); classes];
    for row in segments.rows.places() {
        let [in_truth, in_predicted] = bands.each_mut().map(Bands::next_row);
        for segment in segments.list()[row].iter().filter(|segment| segment.truth != LEFT_OUT) {
            let (in_truth, in_predicted) = (&in_truth[segment.columns()], &in_predicted[segment.columns()]);
            let (t, p) = (number(in_truth), number(in_predicted));
            if segment.is_right() {
                let both = in_truth.iter().zip(in_predicted).map(|(&t, &p)| u32::from(t & p)).sum::<u32>();
                if let Some(counts) = counts.get_mut(usize::from(segment.truth)) {
                    counts.intersection += u64::from(both);
                    counts.union += t + p - u64::from(both);
                }
                continue;
            }
            if let Some(counts) = counts.get_mut(usize::from(segment.truth)) {
                counts.union += t;
            }
            if let Some(counts) = counts.get_mut(usize::from(segment.predicted)) {
                counts.union += p;
            }
        }
    }
    counts
}

/// How many flags of a row are set.
pub(crate) fn number(flags: &[bool]) -> u64 {
    u64::from(flags.iter().map(|&flag| u32::from(flag)).sum::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::{Distances, LabelPair};
    use proptest::prelude::*;

    fn painted(inside: impl Fn(i64, i64) -> bool) -> Vec<u16> {
        (0..100 * 100).map(|at| u16::from(inside(at / 100, at % 100))).collect()
    }

    fn of(truth: &[u16], predicted: &[u16], boundary_px: u32) -> BoundaryCounts {
        let distances = Distances { boundary_px, tolerance_px: 1 };
        LabelPair { width: 100, truth, predicted }.count(2, None, distances).boundary[1]
    }

    /// Values of the authors' own program.
    #[test]
    fn as_the_authors_program() {
        let sizes = [(100, 100), (256, 256), (480, 640), (512, 512), (1024, 1024), (1024, 2048)];
        assert_eq!(sizes.map(|(h, w)| boundary_px(h, w)), [3, 7, 16, 14, 29, 46]);
        let square =
            |shift: i64| painted(move |y, x| (20..80).contains(&y) && (20 + shift..80 + shift).contains(&x));
        assert_eq!(of(&square(0), &square(0), 3).union, 684);
        assert_eq!(of(&square(0), &square(2), 3), BoundaryCounts { intersection: 456, union: 912 });
        let corner = painted(|y, x| y < 60 && x < 60);
        assert_eq!(of(&corner, &corner, 3).union, 684);
        let small = painted(|y, x| (40..45).contains(&y) && (40..45).contains(&x));
        assert_eq!(of(&small, &small, 3).union, 25);
        let disc = |shift: i64| painted(move |y, x| (y - 50).pow(2) + (x - 50 - shift).pow(2) <= 900);
        assert_eq!(of(&disc(0), &disc(2), 3), BoundaryCounts { intersection: 450, union: 902 });
    }

    #[test]
    fn what_is_left_out_is_outside_for_both() {
        // Truth is left out right of column 50; the prediction goes on there.
        let truth: Vec<u16> = (0..10_000).map(|at| if at % 100 < 50 { 1 } else { LEFT_OUT }).collect();
        let predicted = vec![1; 10_000];
        let counts = of(&truth, &predicted, 3);
        assert_eq!(counts, BoundaryCounts { intersection: 5000 - 94 * 44, union: 5000 - 94 * 44 });
    }

    proptest! {
        /// As looking at the square around every pixel.
        #[test]
        fn as_the_plain_way(
            width in 1_usize..12, cells in proptest::collection::vec(0_u16..3, 1..80), d in 1_usize..5, open: bool,
        ) {
            let height = cells.len() / width;
            let labels = &cells[..height * width];
            let edge = if open { Edge::Open } else { Edge::Boundary };
            let found = bands(width, labels, d, edge);
            for y in 0..height as i64 {
                for x in 0..width as i64 {
                    let own = labels[y as usize * width + x as usize];
                    let reach = -(d as i64)..=d as i64;
                    let near = reach.clone().any(|dy| reach.clone().any(|dx| {
                        let (y, x) = (y + dy, x + dx);
                        let inside = (0..height as i64).contains(&y) && (0..width as i64).contains(&x);
                        if inside { labels[y as usize * width + x as usize] != own } else { !open }
                    }));
                    prop_assert_eq!(found[y as usize * width + x as usize], near, "{} {}", y, x);
                }
            }
        }
    }
}
