//! A region as members see it that are shown the image at another size.

use crate::Region;
use marquetry_geometry::{Block, Grid, Rect, Size, taps};
use std::ops::Range;
use std::sync::Arc;

/// Which pixels of a resized image count for a region of the image itself: those of which a pixel inside is made when
/// scores are brought back to the image's pixels ([`taps`]).
#[derive(Debug, Clone)]
pub struct SampledRegion {
    region: Arc<Region>,
    scaled: Size,
    rows: Axis,
    cols: Axis,
}

impl SampledRegion {
    /// `region`, for members that see the image as `scaled` px.
    pub fn new(region: Arc<Region>, scaled: Size) -> Self {
        let image = region.size();
        // Of another shape both axes are sampled, also one that stays as long.
        let axis =
            |scaled_px, px| if scaled == image { Axis::same(px) } else { Axis::sampled(scaled_px, px) };
        let rows = axis(scaled.height, image.height);
        let cols = axis(scaled.width, image.width);
        Self { region, scaled, rows, cols }
    }

    /// Whether a pixel of `rect`, of the resized image, counts.
    pub fn touches(&self, rect: Rect) -> bool {
        let rows = self.rows.readers(rect.top, rect.bottom());
        let cols = self.cols.readers(rect.left, rect.right());
        let size = Size::new(rows.end - rows.start, cols.end - cols.start);
        self.region.touches(Rect::new(i64::from(rows.start), i64::from(cols.start), size))
    }

    /// Sets `row`, `[W]`, to which pixels count from column `left` on in row `y` of the resized image.
    pub fn fill_row(&self, y: i64, left: i64, row: &mut [bool]) {
        let rows = self.rows.readers(y, y + 1);
        if rows.is_empty() {
            return row.fill(false);
        }
        let cells = self.region.cells_in_rows(&rows);
        let mut inside = vec![0_u32];
        inside.extend(cells.iter().scan(0, |sum, cell| {
            *sum += u32::from(*cell);
            Some(*sum)
        }));
        let cell = |x: u32| (u64::from(x) >> self.region.cell_log2()) as usize;
        for (x, counts) in (left..).zip(row) {
            let cols = self.cols.readers(x, x + 1);
            *counts = !cols.is_empty() && inside[cell(cols.start)] < inside[cell(cols.end - 1) + 1];
        }
    }

    /// The windows of `block` of which a kept pixel counts, by their places among its windows, row-major.
    pub fn windows(&self, grid: &Grid, block: &Block) -> Vec<u64> {
        let cols = block.cols.len() as u64;
        let place = |row: usize, col: usize| {
            let inside = (row - block.rows.start) as u64 * cols + (col - block.cols.start) as u64;
            self.touches(grid.inner(row, col)).then_some(inside)
        };
        let rows = block.rows.clone();
        rows.flat_map(|row| block.cols.clone().filter_map(move |col| place(row, col))).collect()
    }

    /// How many windows of `grid` have a kept pixel that counts.
    pub fn count(&self, grid: &Grid) -> u64 {
        let row =
            |row: usize| (0..grid.lefts().len()).filter(|&col| self.touches(grid.inner(row, col))).count();
        (0..grid.tops().len()).map(|at| row(at) as u64).sum()
    }

    /// The size of the resized image, px.
    pub const fn size(&self) -> Size {
        self.scaled
    }
}

/// Along one axis, the first and the last pixel of the resized image that each of the image is made of.
#[derive(Debug, Clone)]
struct Axis {
    image: u32,
    /// Nothing where each is made of itself.
    ends: Option<(Vec<u32>, Vec<u32>)>,
}

impl Axis {
    const fn same(image: u32) -> Self {
        Self { image, ends: None }
    }

    fn sampled(scaled: u32, image: u32) -> Self {
        let ends = taps(scaled, image, 0, image).into_iter().map(|tap| (tap.low, tap.high)).unzip();
        Self { image, ends: Some(ends) }
    }

    /// The pixels of the image that are made of one of `from..to`.
    fn readers(&self, from: i64, to: i64) -> Range<u32> {
        let Some((lows, highs)) = &self.ends else {
            let inside = |at: i64| at.clamp(0, i64::from(self.image)) as u32;
            return inside(from)..inside(to).max(inside(from));
        };
        let start = highs.partition_point(|&high| i64::from(high) < from) as u32;
        let end = lows.partition_point(|&low| i64::from(low) < to) as u32;
        start..end.max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RegionBuilder;
    use marquetry_geometry::{Blocks, Edges, WindowSpec};
    use proptest::prelude::*;

    proptest! {
        /// A pixel counts if, and only if, one inside is made of it; a window if one of its pixels does.
        #[test]
        fn what_counts_is_what_pixels_inside_are_made_of(
            height in 1_u32..30, width in 1_u32..30, tall in 1_u32..40, wide in 1_u32..40,
            marks in prop::collection::vec((0_u32..30, 0_u32..30), 0..4), cells_max in 1_u64..900,
            same: bool, window in 1_u32..12, stride in 1_u32..12,
        ) {
            let (image, scaled) = (Size::new(height, width), Size::new(tall, wide));
            let scaled = if same { image } else { scaled };
            let same = scaled == image;
            let mut builder = RegionBuilder::new(image, cells_max);
            for y in 0..height {
                builder.row(y, (0..width).map(|x| marks.contains(&(y, x))));
            }
            let region = Arc::new(builder.finish());
            let mut wanted = vec![false; (scaled.height * scaled.width) as usize];
            let (rows, cols) = (taps(scaled.height, height, 0, height), taps(scaled.width, width, 0, width));
            let mut inside = vec![false; width as usize];
            for (y, row) in (0..).zip(&rows) {
                region.fill_row(y, &mut inside);
                for (col, _) in cols.iter().zip(&inside).filter(|(_, inside)| **inside) {
                    // Of the same size each pixel is made of itself alone.
                    for v in [row.low, if same { row.low } else { row.high }] {
                        for u in [col.low, if same { col.low } else { col.high }] {
                            wanted[(v * scaled.width + u) as usize] = true;
                        }
                    }
                }
            }
            let sampled = SampledRegion::new(region, scaled);
            let mut row = vec![true; scaled.width as usize];
            for y in 0..scaled.height {
                sampled.fill_row(i64::from(y), 0, &mut row);
                prop_assert_eq!(&row[..], &wanted[(y * scaled.width) as usize..][..scaled.width as usize]);
            }
            let spec = WindowSpec {
                inner: Size::square(window), margin: Size::square(1), stride: Size::square(stride.min(window)),
                edges: Edges::Pad,
            };
            let grid = Grid::new(scaled, &spec).unwrap();
            let mut count = 0;
            for block in Blocks::new(&grid, 200).iter() {
                let found = sampled.windows(&grid, &block);
                count += found.len() as u64;
                let rects = block.rows.clone().flat_map(|r| block.cols.clone().map(move |c| (r, c)));
                for (place, (r, c)) in (0..).zip(rects) {
                    let rect = grid.inner(r, c).intersect(Rect::whole(scaled));
                    let any = (rect.top..rect.bottom()).any(|v| (rect.left..rect.right())
                        .any(|u| wanted[(v * i64::from(scaled.width) + u) as usize]));
                    prop_assert_eq!(found.contains(&place), any, "window {} of {:?}", place, block);
                }
            }
            prop_assert_eq!(sampled.count(&grid), count);
        }
    }
}
