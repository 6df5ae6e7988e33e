//! A region of an image: a bit for each square cell of its pixels.

use marquetry_geometry::{Rect, Size};
use std::ops::Range;

/// Which pixels of an image are inside. A pixel is inside where its cell is: cells are squares of `2^n` px, of one pixel
/// unless the image is large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    size: Size,
    cell_log2: u8,
    /// Row by row, each from the highest bit of a byte of its own; bits beyond the last cell of a row are 0.
    bits: Vec<u8>,
}

impl Region {
    /// All of an image of `size` px.
    pub fn whole(size: Size) -> Self {
        // One cell that holds all of it.
        let cell_log2 =
            (0..32).find(|&n| cells(size.height, n) <= 1 && cells(size.width, n) <= 1).unwrap_or(32);
        Self { size, cell_log2, bits: vec![0x80] }
    }

    /// Nothing of an image of `size` px.
    pub fn empty(size: Size) -> Self {
        Self { bits: vec![0], ..Self::whole(size) }
    }

    /// The region of these cells of `2^cell_log2` px, row by row.
    ///
    /// # Panics
    /// When there are more or fewer cells than the image has.
    pub fn of_cells(size: Size, cell_log2: u8, inside: &[bool]) -> Self {
        let mut region = Self::none(size, cell_log2);
        let cols = region.cols();
        assert_eq!(inside.len(), region.rows() * cols, "cells of an image of {size} px");
        let rows = region.bits.chunks_exact_mut(cols.div_ceil(8).max(1));
        for (bits, row) in rows.zip(inside.chunks_exact(cols.max(1))) {
            pack(row, bits);
        }
        region
    }

    /// The region whose [`bits`](Self::bits) these are; `None` where they are not those of such an image.
    pub fn of_bits(size: Size, cell_log2: u8, bits: Vec<u8>) -> Option<Self> {
        let region = Self { size, cell_log2, bits };
        let (row_bytes, rest) = (region.row_bytes(), region.cols() % 8);
        let fits = cell_log2 <= 32 && region.bits.len() == region.rows() * row_bytes;
        let is_clean = |row: &[u8]| rest == 0 || row.last().is_none_or(|last| last & (0xff >> rest) == 0);
        let sound = fits && region.bits.chunks_exact(row_bytes.max(1)).all(is_clean);
        sound.then_some(region)
    }

    fn none(size: Size, cell_log2: u8) -> Self {
        let mut region = Self { size, cell_log2, bits: Vec::new() };
        region.bits = vec![0; region.rows() * region.row_bytes()];
        region
    }

    /// The image's size, px.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// The side of a cell is 2 to the power of this, px.
    pub const fn cell_log2(&self) -> u8 {
        self.cell_log2
    }

    /// A bit for each cell, row by row, each from the highest bit of a byte of its own.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    fn rows(&self) -> usize {
        cells(self.size.height, self.cell_log2)
    }

    fn cols(&self) -> usize {
        cells(self.size.width, self.cell_log2)
    }

    fn row_bytes(&self) -> usize {
        self.cols().div_ceil(8)
    }

    fn row_bits(&self, row: usize) -> &[u8] {
        &self.bits[row * self.row_bytes()..][..self.row_bytes()]
    }

    /// Whether no pixel is inside.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|byte| *byte == 0)
    }

    /// Pixels that are inside.
    pub fn pixels(&self) -> u64 {
        let Some(last) = self.cols().checked_sub(1) else { return 0 };
        let side = 1_u64 << self.cell_log2;
        let cut = (last as u64 + 1) * side - u64::from(self.size.width);
        let in_row = |row: usize| {
            let bits = self.row_bits(row);
            let ones: u64 = bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
            let height = side.min(u64::from(self.size.height) - row as u64 * side);
            (ones * side - if is_set(bits, last) { cut } else { 0 }) * height
        };
        (0..self.rows()).map(in_row).sum()
    }

    /// Whether a pixel of `rect` is inside; what of it lies beyond the image is not.
    pub fn touches(&self, rect: Rect) -> bool {
        let rect = rect.intersect(Rect::whole(self.size));
        if rect.size.is_empty() {
            return false;
        }
        let cell = |at: i64| (at >> self.cell_log2) as usize;
        let (first, last) = (cell(rect.left), cell(rect.right() - 1));
        (cell(rect.top)..=cell(rect.bottom() - 1)).any(|row| any_set(self.row_bits(row), first, last))
    }

    /// Sets `row`, `[W]`, to which pixels of row `y` of the image are inside.
    ///
    /// # Panics
    /// When the image has no such row, or it is not so wide.
    pub fn fill_row(&self, y: u32, row: &mut [bool]) {
        assert!(y < self.size.height && row.len() == self.size.width as usize, "row {y} of {} px", self.size);
        let bits = self.row_bits(cell_of(y, self.cell_log2));
        let side = 1_usize << self.cell_log2.min(31);
        for (cell, pixels) in row.chunks_mut(side).enumerate() {
            pixels.fill(is_set(bits, cell));
        }
    }

    /// Which columns of cells have one inside in the pixel rows `rows`, which are some.
    pub(crate) fn cells_in_rows(&self, rows: &Range<u32>) -> Vec<bool> {
        let mut any = vec![0; self.row_bytes()];
        for row in cell_of(rows.start, self.cell_log2)..=cell_of(rows.end - 1, self.cell_log2) {
            any.iter_mut().zip(self.row_bits(row)).for_each(|(any, byte)| *any |= byte);
        }
        (0..self.cols()).map(|col| is_set(&any, col)).collect()
    }

    /// The cells that touch `other`, of the same image.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        let mut both = Self::none(self.size, self.cell_log2);
        let (row_bytes, side) = (self.row_bytes(), 1_i64 << self.cell_log2);
        for row in 0..self.rows() {
            for col in (0..self.cols()).filter(|col| is_set(self.row_bits(row), *col)) {
                let side_px = u32::try_from(side).unwrap_or(u32::MAX);
                let cell = Rect::new(row as i64 * side, col as i64 * side, Size::square(side_px));
                if other.touches(cell) {
                    both.bits[row * row_bytes + col / 8] |= 0x80 >> (col % 8);
                }
            }
        }
        both
    }

    /// The region with all pixels that are no further than `margin_px` from one of it, along both axes, and the rest of
    /// their cells.
    #[must_use]
    pub fn grown(&self, margin_px: u32) -> Self {
        let reach = cells(margin_px, self.cell_log2);
        if reach == 0 {
            return self.clone();
        }
        let mut wide = Self::none(self.size, self.cell_log2);
        let (cols, row_bytes) = (self.cols(), self.row_bytes());
        let (mut line, mut grown) = (vec![false; cols], vec![false; cols]);
        for row in 0..self.rows() {
            line.iter_mut().enumerate().for_each(|(col, inside)| *inside = is_set(self.row_bits(row), col));
            crate::morphology::reach_along(&line, reach, &mut grown);
            pack(&grown, &mut wide.bits[row * row_bytes..][..row_bytes]);
        }
        // Downwards, then upwards: how many rows ago each column was last inside.
        let mut tall = wide.clone();
        let rows: Vec<usize> = (0..self.rows()).collect();
        let mut pass = |rows: &mut dyn Iterator<Item = usize>| {
            let mut since = vec![usize::MAX; cols];
            for row in rows {
                for (col, since) in since.iter_mut().enumerate() {
                    *since = if is_set(wide.row_bits(row), col) { 0 } else { since.saturating_add(1) };
                    if *since <= reach {
                        tall.bits[row * row_bytes + col / 8] |= 0x80 >> (col % 8);
                    }
                }
            }
        };
        pass(&mut rows.iter().copied());
        pass(&mut rows.iter().rev().copied());
        tall
    }
}

/// Makes a region of rows of pixels; memory is that of the region.
#[derive(Debug)]
pub struct RegionBuilder(Region);

impl RegionBuilder {
    /// Nothing is inside yet. Cells are the smallest of which an image of `size` px has at most `cells_max`.
    pub fn new(size: Size, cells_max: u64) -> Self {
        Self(Region::none(size, cell_log2(size, cells_max)))
    }

    /// Adds the pixels that are `inside` of row `y`, `[W]`: their whole cells are inside then.
    pub fn row(&mut self, y: u32, inside: impl IntoIterator<Item = bool>) {
        let (cell_log2, row_bytes) = (self.0.cell_log2, self.0.row_bytes());
        let bits = &mut self.0.bits[cell_of(y, cell_log2) * row_bytes..][..row_bytes];
        for (x, _) in (0_u32..).zip(inside).filter(|(_, inside)| *inside) {
            let cell = cell_of(x, cell_log2);
            bits[cell / 8] |= 0x80 >> (cell % 8);
        }
    }

    /// The region.
    pub fn finish(self) -> Region {
        self.0
    }
}

/// The least `n` for which an image of `size` px has at most `cells_max` cells of `2^n` px.
pub(crate) fn cell_log2(size: Size, cells_max: u64) -> u8 {
    let count = |n: u8| cells(size.height, n) as u64 * cells(size.width, n) as u64;
    (0..32).find(|&n| count(n) <= cells_max.max(1)).unwrap_or(32)
}

/// Cells of `2^log2` px along `px` pixels.
pub(crate) fn cells(px: u32, log2: u8) -> usize {
    u64::from(px).div_ceil(1 << log2) as usize
}

fn cell_of(px: u32, log2: u8) -> usize {
    (u64::from(px) >> log2) as usize
}

fn is_set(bits: &[u8], at: usize) -> bool {
    bits[at / 8] & (0x80 >> (at % 8)) != 0
}

/// Whether any of the bits `first..=last` is set.
fn any_set(bits: &[u8], first: usize, last: usize) -> bool {
    let (from, to) = (first / 8, last / 8);
    let (head, tail) = (0xff_u8 >> (first % 8), 0xff_u8 << (7 - last % 8));
    if from == to {
        return bits[from] & head & tail != 0;
    }
    bits[from] & head != 0 || bits[to] & tail != 0 || bits[from + 1..to].iter().any(|byte| *byte != 0)
}

fn pack(row: &[bool], bits: &mut [u8]) {
    bits.fill(0);
    for (at, _) in row.iter().enumerate().filter(|(_, inside)| **inside) {
        bits[at / 8] |= 0x80 >> (at % 8);
    }
}

#[cfg(test)]
#[path = "cells_tests.rs"]
mod tests;
