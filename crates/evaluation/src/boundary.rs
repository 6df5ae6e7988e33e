//! Boundary IoU (Cheng and others, 2021): how well the pixels near the outlines of a class agree.
//!
//! The band of a class is the pixels of it that an erosion by a square, `d` times, takes away: those no more than `d` px
//! (Chebyshev distance) from what is not the class, or from outside the image. Bands of all classes are found at once: a
//! pixel is in none if all of the square of 2d + 1 px around it has its own label.

use crate::components::Segments;
use crate::pair::{LEFT_OUT, LabelPair};
use marquetry_geometry::run_length;

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
    let mut near = vec![true; labels.len()];
    if width == 0 {
        return near;
    }
    let height = labels.len() / width;
    // Counters of 16 bits, without a branch: many columns are looked at together.
    let full = (2 * d + 1).min(u16::MAX as usize) as u16;
    // For each column: how many rows up to this one have the same label without another one beside it, at most `full`.
    let mut alike = vec![if edge == Edge::Open { (d as u16).min(full) } else { 0 }; width];
    let (mut before, mut row) = (vec![NEAR; width], vec![NEAR; width]);
    let rows_beyond = if edge == Edge::Open { d } else { 0 };
    for y in 0..height + rows_beyond {
        // Beyond the last row is more of the last row.
        if y < height {
            inner_of(&labels[y * width..][..width], d, edge, &mut row);
        }
        if y == 0 {
            before.copy_from_slice(&row);
        }
        for ((alike, &own), &above) in alike.iter_mut().zip(&row).zip(&before) {
            let count = if own == above { *alike + 1 } else { 1 };
            *alike = if own == NEAR { 0 } else { count.min(full) };
        }
        if let Some(middle) = y.checked_sub(d) {
            let out = &mut near[middle * width..][..width];
            out.iter_mut().zip(&alike).for_each(|(near, &count)| *near = count < full);
        }
        before.copy_from_slice(&row);
    }
    near
}

/// The labels of a row, [`NEAR`] where another one is within `d` columns.
fn inner_of(labels: &[u16], d: usize, edge: Edge, row: &mut [u16]) {
    let width = labels.len();
    let mut start = 0;
    while start < width {
        let end = start + run_length(&labels[start..]);
        let open = |at_edge: bool| if at_edge && edge == Edge::Open { 0 } else { d };
        let (first, last) = (start + open(start == 0), end.saturating_sub(open(end == width)));
        row[start..end].fill(NEAR);
        if first < last {
            row[first..last].fill(labels[start]);
        }
        start = end;
    }
}

/// The counts of each class, for a pair of which nothing is left out but by both sides; `segments` are those of the pair
/// whether it is so or not.
pub(crate) fn counts(
    pair: &LabelPair<'_>,
    segments: &Segments,
    classes: usize,
    d: usize,
) -> Vec<BoundaryCounts> {
    let width = pair.width as usize;
    let near_truth = bands(width, pair.truth, d, Edge::Boundary);
    let near_predicted = bands(width, pair.predicted, d, Edge::Boundary);
    let mut counts = vec![BoundaryCounts::default(); classes];
    let number = |flags: &[bool]| flags.iter().map(|&flag| u32::from(flag)).sum::<u32>() as u64;
    for segment in segments.list().iter().filter(|segment| segment.truth != LEFT_OUT) {
        let row = segment.row as usize * width;
        let range = row + segment.start as usize..row + segment.end as usize;
        let (in_truth, in_predicted) = (&near_truth[range.clone()], &near_predicted[range]);
        let (t, p) = (number(in_truth), number(in_predicted));
        if segment.is_right() {
            let both = in_truth.iter().zip(in_predicted).map(|(&t, &p)| u32::from(t & p)).sum::<u32>() as u64;
            if let Some(counts) = counts.get_mut(usize::from(segment.truth)) {
                counts.intersection += both;
                counts.union += t + p - both;
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
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::Distances;
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
