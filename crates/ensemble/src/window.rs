//! One window's scores, merged over its views.

use crate::{BadScore, ScoreTransform, ViewMerge};
use marquetry_geometry::{D4, Rect, Size};

/// Rows handled together when a view lies on its side: 16 floats are one cache line of the result.
const BAND: usize = 16;
/// Rows handled together otherwise: a few kilobytes of each plane, and all planes of them within the second cache.
const UPRIGHT_ROWS: u32 = 4;

/// What a model said of one view: planes `[K, size.height, size.width]`, of which `part` is kept.
#[derive(Debug, Clone, Copy)]
pub struct ModelOutput<'a> {
    /// The planes.
    pub planes: &'a [f32],
    /// Height and width of a plane, px.
    pub size: Size,
    /// The kept part, in the view's own orientation; within the plane.
    pub part: Rect,
}

/// The scores of one window for one member, merged over views: `[C, H, W]` in the image's orientation.
///
/// Planes rather than rows of classes: a view that lies on its side is written column by column, and a column of one
/// plane touches few pages of memory. The memory is used again from window to window ([`reset`](Self::reset)), and not
/// used at all where the only view is the window as it is: its scores go from the model's planes to whoever wants
/// them, a few rows at a time.
#[derive(Debug)]
pub struct WindowScores {
    size: Size,
    classes: usize,
    merge: ViewMerge,
    views: u32,
    scores: Vec<f32>,
    scratch: Vec<f32>,
}

impl WindowScores {
    /// For windows of `size` px and `classes` classes, whose views are merged by `merge`.
    pub fn new(size: Size, classes: usize, merge: ViewMerge) -> Self {
        Self { size, classes, merge, views: 0, scores: Vec::new(), scratch: Vec::new() }
    }

    /// Forgets the views seen so far.
    pub fn reset(&mut self) {
        self.views = 0;
    }

    /// Number of classes.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// How views are merged.
    pub const fn merge(&self) -> ViewMerge {
        self.merge
    }

    /// Number of views seen so far.
    pub const fn views(&self) -> usize {
        self.views as usize
    }

    /// Height and width of the window's kept part, px.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Brings one view's scores back by the inverse of `d4`, and merges them in. Views must come in a fixed order:
    /// sums of floats hang on it.
    ///
    /// # Errors
    /// When the model said what is no score.
    ///
    /// # Panics
    /// When the kept part is not the window in the view's orientation.
    pub fn add(&mut self, raw: &ModelOutput<'_>, d4: D4, transform: &ScoreTransform) -> Result<(), BadScore> {
        assert_eq!(raw.part.size, d4.apply_to_size(self.size), "the kept part of a {d4} view");
        assert_eq!(transform.classes(), self.classes, "classes of the transform");
        self.scores.resize(self.size.area() as usize * self.classes, 0.0);
        let first = self.views == 0;
        self.views += 1;
        match (self.merge, first) {
            (ViewMerge::Mean | ViewMerge::Sum | ViewMerge::Max | ViewMerge::Min, true) => {
                self.fold(raw, d4, transform, |_, x| x)
            }
            (ViewMerge::Mean | ViewMerge::Sum, false) => self.fold(raw, d4, transform, |a, x| a + x),
            (ViewMerge::Max, false) => self.fold(raw, d4, transform, f32::max),
            (ViewMerge::Min, false) => self.fold(raw, d4, transform, f32::min),
            // Rounding leaves some a little below 0, which has no logarithm or root: they are 0.
            (ViewMerge::Gmean, true) => self.fold(raw, d4, transform, |_, x| x.max(0.0).ln()),
            (ViewMerge::Gmean, false) => self.fold(raw, d4, transform, |a, x| a + x.max(0.0).ln()),
            (ViewMerge::Tsharpen, true) => self.fold(raw, d4, transform, |_, x| x.max(0.0).sqrt()),
            (ViewMerge::Tsharpen, false) => self.fold(raw, d4, transform, |a, x| a + x.max(0.0).sqrt()),
        }
    }

    /// Adds the last view and ends the merge: brings the scores to another space and gives them to `sink`, from the
    /// top, some whole rows at a time: the first of them, and `[C, rows · W]`.
    ///
    /// # Errors
    /// When the model said what is no score, or a score becomes so, as `sum` of very large logits may. `sink` may have
    /// seen some rows by then.
    ///
    /// # Panics
    /// As [`add`](Self::add).
    pub fn finish(
        &mut self,
        raw: &ModelOutput<'_>,
        d4: D4,
        transform: &ScoreTransform,
        to: &ScoreTransform,
        sink: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), BadScore> {
        let as_it_is =
            matches!(self.merge, ViewMerge::Mean | ViewMerge::Sum | ViewMerge::Max | ViewMerge::Min);
        if d4 == D4::IDENTITY && self.views == 0 && as_it_is {
            assert_eq!(raw.part.size, self.size, "the kept part of the window");
            assert_eq!(transform.classes(), self.classes, "classes of the transform");
            self.views += 1;
            return self.rows(raw.rows_together(), to, sink, |_, first, rows| {
                transform.apply(raw.planes, raw.size.area() as usize, raw.offset(first, 0), rows)
            });
        }
        self.add(raw, d4, transform)?;
        self.rows(UPRIGHT_ROWS, to, sink, Self::merged)
    }

    /// Lets `fill` write a few rows of all classes at a time, brings them to another space, and gives them to `sink`.
    fn rows(
        &mut self,
        together: u32,
        to: &ScoreTransform,
        sink: &mut dyn FnMut(usize, &[f32]),
        mut fill: impl FnMut(&Self, u32, &mut [f32]) -> Result<(), BadScore>,
    ) -> Result<(), BadScore> {
        let mut scratch = std::mem::take(&mut self.scratch);
        for first in (0..self.size.height).step_by(together as usize) {
            let rows = together.min(self.size.height - first);
            scratch.resize(self.classes * (rows * self.size.width) as usize, 0.0);
            fill(self, first, &mut scratch)?;
            if !to.is_identity() {
                to.apply_in_place(&mut scratch)?;
            }
            sink(first as usize, &scratch);
        }
        self.scratch = scratch;
        Ok(())
    }

    /// The merged scores of some rows, from `first` on.
    fn merged(&self, first: u32, rows: &mut [f32]) -> Result<(), BadScore> {
        let (n, at) = (rows.len() / self.classes, (first * self.size.width) as usize);
        let planes = self.scores.chunks_exact(self.size.area() as usize);
        for (to, from) in rows.chunks_exact_mut(n).zip(planes) {
            to.copy_from_slice(&from[at..at + n]);
        }
        let views = self.views as f32;
        match self.merge {
            ViewMerge::Mean | ViewMerge::Tsharpen if self.views > 1 => {
                let share = 1.0 / views;
                rows.iter_mut().for_each(|x| *x *= share);
            }
            ViewMerge::Gmean => rows.iter_mut().for_each(|x| *x = crate::exp::exp(*x / views)),
            _ => {}
        }
        let bad = rows.iter().fold(false, |bad, x| bad | !x.is_finite());
        if bad { Err(BadScore::NonFinite) } else { Ok(()) }
    }

    fn fold(
        &mut self,
        raw: &ModelOutput<'_>,
        d4: D4,
        transform: &ScoreTransform,
        merge: impl Fn(f32, f32) -> f32 + Copy,
    ) -> Result<(), BadScore> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let result = if d4.transposes() {
            self.fold_turned(raw, d4, transform, &mut scratch, merge)
        } else {
            self.fold_upright(raw, d4, transform, &mut scratch, merge)
        };
        self.scratch = scratch;
        result
    }

    fn fold_upright(
        &mut self,
        raw: &ModelOutput<'_>,
        d4: D4,
        transform: &ScoreTransform,
        scratch: &mut Vec<f32>,
        merge: impl Fn(f32, f32) -> f32,
    ) -> Result<(), BadScore> {
        let width = self.size.width as usize;
        let together = raw.rows_together();
        for first in (0..self.size.height).step_by(together as usize) {
            let rows = together.min(self.size.height - first);
            let n = rows as usize * width;
            scratch.resize(self.classes * n, 0.0);
            transform.apply(raw.planes, raw.size.area() as usize, raw.offset(first, 0), scratch)?;
            let planes = self.scores.chunks_exact_mut(self.size.area() as usize);
            for (plane, band) in planes.zip(scratch.chunks_exact(n)) {
                for (y, from) in (first..).zip(band.chunks_exact(width)) {
                    // The view's row y shows the image's row `to`; its first pixel tells whether it runs backwards.
                    let (to, column) = d4.source(self.size, y, 0);
                    let row = &mut plane[to as usize * width..][..width];
                    if column == 0 {
                        row.iter_mut().zip(from).for_each(|(a, x)| *a = merge(*a, *x));
                    } else {
                        row.iter_mut().zip(from.iter().rev()).for_each(|(a, x)| *a = merge(*a, *x));
                    }
                }
            }
        }
        Ok(())
    }

    fn fold_turned(
        &mut self,
        raw: &ModelOutput<'_>,
        d4: D4,
        transform: &ScoreTransform,
        scratch: &mut Vec<f32>,
        merge: impl Fn(f32, f32) -> f32,
    ) -> Result<(), BadScore> {
        let (height, width) = (self.size.height as usize, self.size.width as usize);
        scratch.resize(BAND * self.classes * height, 0.0);
        let back = d4.inverse();
        let upside_down = back.source(raw.part.size, 0, 0).1 != 0;
        for start in (0..width).step_by(BAND) {
            let band = BAND.min(width - start);
            for j in 0..band {
                // The row of the view that shows column `start + j` of the image.
                let (y, _) = back.source(raw.part.size, 0, (start + j) as u32);
                let to = &mut scratch[j * self.classes * height..(j + 1) * self.classes * height];
                transform.apply(raw.planes, raw.size.area() as usize, raw.offset(y, 0), to)?;
            }
            for (class, plane) in self.scores.chunks_exact_mut(height * width).enumerate() {
                let columns: [&[f32]; BAND] = std::array::from_fn(|j| {
                    &scratch[(j.min(band - 1) * self.classes + class) * height..][..height]
                });
                for (y, row) in plane.chunks_exact_mut(width).enumerate() {
                    let x = if upside_down { height - 1 - y } else { y };
                    let turned: [f32; BAND] = std::array::from_fn(|j| columns[j][x]);
                    row[start..start + band].iter_mut().zip(turned).for_each(|(a, v)| *a = merge(*a, v));
                }
            }
        }
        Ok(())
    }
}

impl ModelOutput<'_> {
    /// Rows that lie one after the other in the plane are taken together: memory is read in longer stretches.
    fn rows_together(&self) -> u32 {
        if self.part.size.width == self.size.width { UPRIGHT_ROWS } else { 1 }
    }

    /// Where pixel (`y`, `x`) of the kept part lies in a plane.
    fn offset(&self, y: u32, x: u32) -> usize {
        let row = self.part.top as usize + y as usize;
        row * self.size.width as usize + self.part.left as usize + x as usize
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
