//! What an aggregator does with the rows of stored tiles.

use crate::resize_rows;
use crate::vectors::{Kernel, with_widest_vectors};
use marquetry_geometry::{Tap, taps};

/// Adds one row of a tile to the same row of its group: `tile` is `[C, n]`, `importance` the sum of the block's windows
/// there, `left` the tile's first column. `sums` is `[C, W]`, `weights` `[W]`.
///
/// # Panics
/// When the tile's row does not fit.
pub fn blend(tile: &[f32], importance: &[f32], left: usize, sums: &mut [f32], weights: &mut [f32]) {
    with_widest_vectors(Blend { tile, importance, left, sums, weights });
}

/// [`blend`].
struct Blend<'a> {
    tile: &'a [f32],
    importance: &'a [f32],
    left: usize,
    sums: &'a mut [f32],
    weights: &'a mut [f32],
}

impl Kernel for Blend<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        let Self { tile, importance, left, sums, weights } = self;
        let (n, width) = (importance.len(), weights.len());
        for (line, scores) in sums.chunks_exact_mut(width).zip(tile.chunks_exact(n)) {
            for ((sum, i), score) in line[left..left + n].iter_mut().zip(importance).zip(scores) {
                *sum += i * score;
            }
        }
        weights[left..left + n].iter_mut().zip(importance).for_each(|(w, i)| *w += i);
    }
}

/// Divides a row `[C, W]` by its weights `[W]`. Pixels without any weight (their tiles failed) stay 0.
pub fn normalise(sums: &mut [f32], weights: &[f32]) {
    with_widest_vectors(Normalise { sums, weights });
}

/// [`normalise`].
struct Normalise<'a> {
    sums: &'a mut [f32],
    weights: &'a [f32],
}

impl Kernel for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        for line in self.sums.chunks_exact_mut(self.weights.len()) {
            for (sum, weight) in line.iter_mut().zip(self.weights) {
                // Both are computed, and one is taken: vectors have no branches.
                let mean = *sum / weight;
                *sum = if *weight > 0.0 { mean } else { *sum };
            }
        }
    }
}

/// Rows of a scaled group seen at the image's own size, on one global sampling grid, so that blocks do not show.
#[derive(Debug, Clone)]
pub struct Resampled {
    rows: Vec<Tap>,
    cols: Vec<Tap>,
}

impl Resampled {
    /// The sampling of rows `from..to` of an image of `image` px from a group of `group` px.
    pub fn new(group: marquetry_geometry::Size, image: marquetry_geometry::Size, from: u32, to: u32) -> Self {
        Self {
            rows: taps(group.height, image.height, from, to),
            cols: taps(group.width, image.width, 0, image.width),
        }
    }

    /// The group's rows that are needed, half-open.
    pub fn needs(&self) -> std::ops::Range<u32> {
        self.rows.first().map_or(0, |t| t.low)..self.rows.last().map_or(0, |t| t.high + 1)
    }

    /// Row `y` (counted from `from`), `[C, W]`, out of the group's rows `needs()`, each `[C, group width]`.
    pub fn row(&self, y: usize, group_rows: &[f32], classes: usize, out: &mut [f32]) {
        let (tap, first) = (self.rows[y], self.needs().start);
        let len = group_rows.len() / self.needs().len();
        let at = |row: u32| &group_rows[(row - first) as usize * len..][..len];
        resize_rows(at(tap.low), at(tap.high), tap, &self.cols, classes, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resize_planes;
    use marquetry_geometry::Size;

    /// Any cut into bands gives what the whole image gives.
    #[test]
    fn bands_do_not_show() {
        let (group, image) = (Size::new(9, 6), Size::new(20, 13));
        let plane: Vec<f32> = (0..54).map(|i| (i * i % 29) as f32).collect();
        let whole = resize_planes(&plane, group, image);
        for band in [1, 3, 7, 20] {
            for from in (0..20).step_by(band) {
                let to = (from + band as u32).min(20);
                let part = Resampled::new(group, image, from, to);
                let needs = part.needs();
                let rows = &plane[needs.start as usize * 6..needs.end as usize * 6];
                for y in from..to {
                    let mut out = [0.0; 13];
                    part.row((y - from) as usize, rows, 1, &mut out);
                    assert_eq!(out, whole[y as usize * 13..][..13]);
                }
            }
        }
    }
}
