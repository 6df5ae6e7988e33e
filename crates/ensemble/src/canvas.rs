//! Where a worker puts the windows of one block together.

use crate::vectors::{Kernel, with_widest_vectors};
use crate::{ImportanceMap, WindowSums};
use marquetry_geometry::{Rect, Size};

/// Weighted sums over the extent of one block, in bands of rows, `[rows, C, W]` each.
///
/// Whatever is added must come in the plan's order: sums of floats hang on it, and with it the bytes of the
/// submission. Windows come row-major, so that the bands above a window are ready when it comes: they are taken out
/// and stored while the rest is computed, and only the bands that windows are at work on take memory.
#[derive(Debug)]
pub struct Canvas {
    extent: Rect,
    classes: usize,
    band_rows: u32,
    /// Empty where nothing was added yet, or what was is taken out.
    bands: Vec<Vec<f32>>,
    taken: usize,
}

/// A band that is ready.
#[derive(Debug)]
pub struct Band {
    /// Its place from the top.
    pub index: usize,
    /// The pixels it covers.
    pub part: Rect,
    /// Weighted sums, `[rows, C, W]`.
    sums: Vec<f32>,
}

impl Canvas {
    /// An empty canvas over `extent` of a group's (scaled) image, in bands of `band_rows` rows.
    pub fn new(extent: Rect, classes: usize, band_rows: u32) -> Self {
        let n = extent.size.height.div_ceil(band_rows) as usize;
        Self { extent, classes, band_rows, bands: vec![Vec::new(); n], taken: 0 }
    }

    /// The pixels it covers.
    pub const fn extent(&self) -> Rect {
        self.extent
    }

    /// Number of bands.
    pub const fn bands(&self) -> usize {
        self.bands.len()
    }

    /// Adds the sums of the window whose kept part is `window`, weighted by `importance`. What overhangs the extent is
    /// left out.
    ///
    /// # Panics
    /// When window, importance and sums differ in size, nothing is in `sums`, or bands it reaches into were taken out.
    pub fn add(&mut self, window: Rect, importance: &ImportanceMap, sums: &WindowSums) {
        assert_eq!((window.size, window.size), (importance.size(), sums.size()));
        with_widest_vectors(AddWindow { canvas: self, window, importance, sums });
    }

    /// Adds some rows of a window, from its row `first` on: what `sums` holds of the members before, and the scores of
    /// the last one, `[C, rows · W]`, by its `weights` of each class. The same bits as adding the last one to `sums`
    /// and that to the canvas, in one walk through memory.
    ///
    /// # Panics
    /// As [`add`](Self::add).
    pub fn add_rows(
        &mut self,
        window: Rect,
        importance: &ImportanceMap,
        sums: &WindowSums,
        weights: &[f32],
        first: usize,
        rows: &[f32],
    ) {
        assert_eq!((window.size, window.size), (importance.size(), sums.size()));
        assert_eq!(weights.len(), self.classes);
        with_widest_vectors(AddRows { canvas: self, window, importance, sums, weights, first, rows });
    }

    /// Every line of every class that the `rows` of `window` share with the canvas: class, row and first column in the
    /// window, the canvas's line, the importances.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn each_line(
        &mut self,
        window: Rect,
        importance: &ImportanceMap,
        rows: std::ops::Range<usize>,
        mut each: impl FnMut(usize, usize, usize, &mut [f32], &[f32]),
    ) {
        let shared = window.intersect(self.extent);
        let (n, from) = (shared.size.width as usize, (shared.left - window.left) as usize);
        let left = (shared.left - self.extent.left) as usize;
        let (width, classes) = (self.extent.size.width as usize, self.classes);
        let (above, below) = ((shared.top - window.top) as usize, (shared.bottom() - window.top) as usize);
        for y in rows.start.max(above)..rows.end.min(below) {
            let importance = &importance.row(y)[from..from + n];
            let row = self.row_mut((window.top + y as i64 - self.extent.top) as usize);
            for (class, line) in row.chunks_exact_mut(width).enumerate().take(classes) {
                each(class, y, from, &mut line[left..left + n], importance);
            }
        }
    }

    fn row_mut(&mut self, y: usize) -> &mut [f32] {
        let (index, inside) = (y / self.band_rows as usize, y % self.band_rows as usize);
        assert!(index >= self.taken, "the band of row {y} was taken out");
        let len = self.classes * self.extent.size.width as usize;
        let rows = self.part(index).size.height as usize;
        let band = &mut self.bands[index];
        if band.is_empty() {
            *band = vec![0.0; rows * len];
        }
        &mut band[inside * len..][..len]
    }

    fn part(&self, index: usize) -> Rect {
        let top = index as u32 * self.band_rows;
        let rows = self.band_rows.min(self.extent.size.height - top);
        let left = self.extent.left;
        Rect::new(self.extent.top + i64::from(top), left, Size::new(rows, self.extent.size.width))
    }

    /// Takes out the bands that lie wholly above row `bottom` of the image, in order from the top. Nothing may be added
    /// to them any more.
    pub fn take_above(&mut self, bottom: i64) -> Vec<Band> {
        let mut ready = Vec::new();
        while self.taken < self.bands.len() && self.part(self.taken).bottom() <= bottom {
            let (index, part) = (self.taken, self.part(self.taken));
            let sums = std::mem::take(&mut self.bands[index]);
            ready.push(Band { index, part, sums });
            self.taken += 1;
        }
        ready
    }
}

impl Band {
    /// Divides by the sum of all weights and gives the block's mean scores, `[rows, C, W]`.
    ///
    /// `importance` is the sum of the block's windows over the band ([`ImportanceMap::sum_over`]); `weights` the sum
    /// of the members' weights, per class. A class that no member speaks for stays 0, and so does a band that nothing was added
    /// to.
    ///
    /// # Panics
    /// When sizes differ.
    pub fn into_mean(mut self, importance: &[f32], weights: &[f32]) -> Vec<f32> {
        let (width, classes) = (self.part.size.width as usize, weights.len());
        if self.sums.is_empty() {
            self.sums = vec![0.0; importance.len() * classes];
        }
        assert_eq!(importance.len() * classes, self.sums.len());
        with_widest_vectors(Divide { sums: &mut self.sums, width, importance, weights });
        self.sums
    }
}

/// [`Canvas::add`].
struct AddWindow<'a> {
    canvas: &'a mut Canvas,
    window: Rect,
    importance: &'a ImportanceMap,
    sums: &'a WindowSums,
}

impl Kernel for AddWindow<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        let Self { canvas, window, importance, sums } = self;
        let all = 0..window.size.height as usize;
        canvas.each_line(window, importance, all, |class, y, from, line, importance| {
            let sums = &sums.line(class, y).expect("something was added")[from..from + line.len()];
            for ((total, i), sum) in line.iter_mut().zip(importance).zip(sums) {
                *total += i * sum;
            }
        });
    }
}

/// [`Canvas::add_rows`].
struct AddRows<'a> {
    canvas: &'a mut Canvas,
    window: Rect,
    importance: &'a ImportanceMap,
    sums: &'a WindowSums,
    weights: &'a [f32],
    first: usize,
    rows: &'a [f32],
}

impl Kernel for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        let Self { canvas, window, importance, sums, weights, first, rows } = self;
        let (width, n) = (window.size.width as usize, rows.len() / weights.len());
        canvas.each_line(window, importance, first..first + n / width, |class, y, from, line, importance| {
            let weight = weights[class];
            let scores = &rows[class * n + (y - first) * width + from..][..line.len()];
            let line = line.iter_mut().zip(importance).zip(scores);
            match sums.line(class, y) {
                Some(sums) => {
                    line.zip(&sums[from..]).for_each(|(((t, i), x), sum)| *t += i * (sum + weight * x));
                }
                None => line.for_each(|((t, i), x)| *t += i * (weight * x)),
            }
        });
    }
}

/// [`Band::into_mean`].
struct Divide<'a> {
    sums: &'a mut [f32],
    width: usize,
    importance: &'a [f32],
    weights: &'a [f32],
}

impl Kernel for Divide<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        let Self { sums, width, importance, weights } = self;
        let rows = sums.chunks_exact_mut(weights.len() * width);
        for (row, importance) in rows.zip(importance.chunks_exact(width)) {
            for (line, &weight) in row.chunks_exact_mut(width).zip(weights) {
                if weight > 0.0 {
                    line.iter_mut().zip(importance).for_each(|(sum, i)| *sum /= i * weight);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "canvas_tests.rs"]
mod tests;
