//! Rectangles of neighbouring windows: the unit that is sent, retried and stored.

use crate::{Grid, Rect, Size};
use std::ops::Range;

/// A rectangle of neighbouring windows of one grid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Block {
    /// Place in the image's list of blocks, row-major.
    pub index: u32,
    /// Rows of windows.
    pub rows: Range<usize>,
    /// Columns of windows.
    pub cols: Range<usize>,
}

impl Block {
    /// Number of windows.
    pub fn windows(&self) -> u64 {
        self.rows.len() as u64 * self.cols.len() as u64
    }

    /// The pixels its windows answer for, clipped to the image.
    pub fn extent(&self, grid: &Grid) -> Rect {
        let first = grid.inner(self.rows.start, self.cols.start);
        let last = grid.inner(self.rows.end - 1, self.cols.end - 1);
        let size = Size::new((last.bottom() - first.top) as u32, (last.right() - first.left) as u32);
        Rect::new(first.top, first.left, size).intersect(Rect::whole(grid.image()))
    }
}

/// All blocks of one grid, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocks {
    rows: Vec<Range<usize>>,
    cols: Vec<Range<usize>>,
}

impl Blocks {
    /// Cuts `grid` into blocks whose extents have at most `pixels_max` px, but at least one window each.
    ///
    /// Blocks are as square as can be and as equal as can be, since a block's border costs stored bytes: windows of
    /// neighbouring blocks overlap there.
    pub fn new(grid: &Grid, pixels_max: u64) -> Self {
        let side_max = (pixels_max as f64).sqrt();
        let (inner, stride) = (grid.spec().inner, grid.spec().stride);
        let fit = |side: f64, inner: u32, stride: u32| {
            (1.0 + ((side - f64::from(inner)) / f64::from(stride)).floor()).max(1.0)
        };
        let extent = |n: f64, inner: u32, stride: u32| f64::from(inner) + (n - 1.0) * f64::from(stride);
        // An axis that is short leaves more room for the other one.
        let (tops, lefts) = (grid.tops().len() as f64, grid.lefts().len() as f64);
        let rows = fit(side_max, inner.height, stride.height).min(tops);
        let cols =
            fit(pixels_max as f64 / extent(rows, inner.height, stride.height), inner.width, stride.width)
                .min(lefts);
        let rows =
            fit(pixels_max as f64 / extent(cols, inner.width, stride.width), inner.height, stride.height)
                .min(tops)
                .min(if cols < lefts { rows } else { tops });
        Self {
            rows: even_parts(grid.tops().len(), rows as usize),
            cols: even_parts(grid.lefts().len(), cols as usize),
        }
    }

    /// Number of blocks.
    pub fn len(&self) -> u32 {
        (self.rows.len() * self.cols.len()) as u32
    }

    /// Never: an image has at least one window.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Block number `index`, row-major.
    pub fn get(&self, index: u32) -> Option<Block> {
        let (row, col) = (index as usize / self.cols.len(), index as usize % self.cols.len());
        Some(Block { index, rows: self.rows.get(row)?.clone(), cols: self.cols[col].clone() })
    }

    /// All blocks, row-major.
    pub fn iter(&self) -> impl Iterator<Item = Block> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// `0..n` in the fewest ranges of at most `most` each, their lengths differing by one at most.
fn even_parts(n: usize, most: usize) -> Vec<Range<usize>> {
    let parts = n.div_ceil(most.max(1));
    (0..parts).map(|k| k * n / parts..(k + 1) * n / parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Edges, WindowSpec};
    use proptest::prelude::*;

    proptest! {
        /// Every window is in exactly one block, and extents hold to the limit unless one window alone is over it.
        #[test]
        fn blocks_partition_the_windows(
            height in 1u32..900, width in 1u32..900, window in 1u32..128, stride in 1u32..128, side in 1u64..600,
        ) {
            let spec = WindowSpec {
                inner: Size::square(window), margin: Size::square(3),
                stride: Size::square(stride.min(window)), edges: Edges::Shift,
            };
            let grid = Grid::new(Size::new(height, width), &spec).unwrap();
            let blocks = Blocks::new(&grid, side * side);
            let mut seen = vec![0_u32; grid.len() as usize];
            let mut cover = vec![false; height as usize * width as usize];
            for block in blocks.iter() {
                let extent = block.extent(&grid);
                prop_assert!(block.windows() == 1 || extent.size.area() <= side * side);
                prop_assert!(Rect::whole(grid.image()).contains(extent));
                for row in block.rows.clone() {
                    for col in block.cols.clone() {
                        seen[row * grid.lefts().len() + col] += 1;
                    }
                }
                for y in extent.top..extent.bottom() {
                    let start = y as usize * width as usize;
                    cover[start + extent.left as usize..start + extent.right() as usize].fill(true);
                }
            }
            prop_assert!(seen.iter().all(|&n| n == 1));
            prop_assert!(cover.iter().all(|&c| c));
            prop_assert!(blocks.get(blocks.len()).is_none());
        }
    }

    #[test]
    fn a_flat_image_uses_the_room() {
        let spec = WindowSpec {
            inner: Size::square(512),
            margin: Size::square(0),
            stride: Size::square(256),
            edges: Edges::Shift,
        };
        let grid = Grid::new(Size::new(512, 8192), &spec).unwrap();
        assert_eq!(Blocks::new(&grid, 2048 * 2048).len(), 1);
        let tall = Grid::new(Size::new(8192, 512), &spec).unwrap();
        assert_eq!(Blocks::new(&tall, 2048 * 2048).len(), 1);
    }
}
