//! Finding what is not blank in a brightfield image, such as a slide: tissue, and whatever was drawn on the glass.

use crate::cells::{cell_log2, cells};
use crate::morphology::{close, crowded, fill_holes};
use crate::{Finding, Region, otsu};
use marquetry_geometry::Size;

/// Cells that an image is looked at in, at most: 2,048 squared. What is held for them is 16 bytes each.
const CELLS_MAX: u64 = 1 << 22;
/// The saturation, 0 to 255, above which a colour is one: CLAM's `sthresh`.
const SATURATION: u64 = 8;
/// Of 7 × 7 cells so many make the middle one when they are in order: a median of 7.
const MEDIAN_REACH: usize = 3;
const MEDIAN_LEAST: u32 = 25;
/// Grey values are cut in two only where that separates so well: 0.64 is one bell curve, two lie above 0.87.
const SEPARABILITY: f64 = 0.75;
/// Gaps of up to twice as many cells are closed.
const CLOSE_REACH: usize = 2;
/// Blank is at least so bright, as the median of its grey, 0 to 255.
const BRIGHT: u8 = 180;

/// Looks at an image, row by row from the top, for what is not blank.
///
/// The image is looked at in cells of `2^n` px, of each of which the mean colour counts, rounded to whole numbers. A cell is
/// not blank if the median of the HSV saturations of 7 × 7 cells is above 8, or if its grey is in the lower part of
/// [Otsu's cut](otsu) of all of them, where that separates them by 0.75 or more. Small gaps are closed, holes filled, and the
/// whole grown by a margin. All is counted in whole numbers: the same cells on every machine.
#[derive(Debug)]
pub struct Nonblank {
    size: Size,
    cell_log2: u8,
    cols: usize,
    rows_seen: u32,
    /// Of the row of cells in hand: sums of red, green and blue, and pixels that are there.
    sums: Vec<[u64; 4]>,
    /// Of all cells: whether it is saturated, and its grey; nothing where no pixel of it is there.
    saturated: Vec<bool>,
    grey: Vec<Option<u8>>,
}

impl Nonblank {
    /// For an image of `size` px.
    pub fn new(size: Size) -> Self {
        let cell_log2 = cell_log2(size, CELLS_MAX);
        let cols = cells(size.width, cell_log2);
        let sums = vec![[0; 4]; cols];
        Self { size, cell_log2, cols, rows_seen: 0, sums, saturated: Vec::new(), grey: Vec::new() }
    }

    /// Takes the next row: red, green and blue, `[W]` each, 0 to 255; NaN where a pixel is missing.
    pub fn row(&mut self, [red, green, blue]: [&[f32]; 3]) {
        let side = 1_usize << self.cell_log2.min(31);
        let pixels = red.chunks(side).zip(green.chunks(side)).zip(blue.chunks(side));
        for (sums, ((red, green), blue)) in self.sums.iter_mut().zip(pixels) {
            for ((red, green), blue) in red.iter().zip(green).zip(blue).filter(|((red, _), _)| !red.is_nan())
            {
                sums[0] += *red as u64;
                sums[1] += *green as u64;
                sums[2] += *blue as u64;
                sums[3] += 1;
            }
        }
        self.rows_seen += 1;
        if self.rows_seen == self.size.height || u64::from(self.rows_seen) % (1 << self.cell_log2) == 0 {
            self.end_cells();
        }
    }

    fn end_cells(&mut self) {
        for sums in &mut self.sums {
            let [red, green, blue, n] = std::mem::take(sums);
            if n == 0 {
                self.saturated.push(false);
                self.grey.push(None);
                continue;
            }
            let [red, green, blue] = [red, green, blue].map(|sum| (2 * sum + n) / (2 * n));
            self.saturated.push(saturation(red, green, blue) > SATURATION);
            self.grey.push(Some(((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8));
        }
    }

    /// The region: what is not blank, with all that is no further than `margin_px` from it; or the whole image, and why.
    ///
    /// # Panics
    /// When not all rows came.
    pub fn finish(self, margin_px: u32) -> (Region, Finding) {
        assert_eq!(self.rows_seen, self.size.height, "rows of an image of {} px", self.size);
        let whole = |finding| (Region::whole(self.size), finding);
        let marks = self.marks();
        let mut histograms = [[0_u64; 256]; 2];
        for (mark, grey) in marks.iter().zip(&self.grey) {
            if let Some(grey) = grey {
                histograms[usize::from(*mark)][usize::from(*grey)] += 1;
            }
        }
        let [blank, marked] = histograms.map(|histogram| histogram.iter().sum::<u64>());
        if marked * 1000 < blank + marked || marked == 0 {
            return whole(Finding::TooLittle);
        }
        if marked * 100 > (blank + marked) * 95 {
            return whole(Finding::TooMuch);
        }
        if median(&histograms[0]) < BRIGHT {
            return whole(Finding::NotBright);
        }
        (Region::of_cells(self.size, self.cell_log2, &marks).grown(margin_px), Finding::Bounded)
    }

    /// Which cells are not blank.
    fn marks(&self) -> Vec<bool> {
        let mut histogram = [0; 256];
        self.grey.iter().flatten().for_each(|grey| histogram[usize::from(*grey)] += 1);
        let dark = otsu(&histogram).filter(|split| split.separability >= SEPARABILITY);
        let is_dark =
            |grey: &Option<u8>| dark.zip(*grey).is_some_and(|(split, grey)| grey <= split.threshold);
        // The median is above a threshold where most of the values are.
        let mut marks = crowded(&self.saturated, self.cols, MEDIAN_REACH, MEDIAN_LEAST);
        marks.iter_mut().zip(&self.grey).for_each(|(mark, grey)| *mark |= is_dark(grey));
        let mut marks = close(&marks, self.cols, CLOSE_REACH);
        fill_holes(&mut marks, self.cols);
        marks
    }
}

/// HSV's saturation, 0 to 255, rounded to the nearest.
fn saturation(red: u64, green: u64, blue: u64) -> u64 {
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    if most == 0 { 0 } else { (510 * (most - least) + most) / (2 * most) }
}

fn median(histogram: &[u64; 256]) -> u8 {
    let half = histogram.iter().sum::<u64>().div_ceil(2);
    let mut seen = 0;
    let at = histogram.iter().position(|count| {
        seen += count;
        seen >= half
    });
    at.unwrap_or(0) as u8
}

#[cfg(test)]
#[path = "nonblank_tests.rs"]
mod tests;
