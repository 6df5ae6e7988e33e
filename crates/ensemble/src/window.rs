//! One window's scores, merged over its views.

use crate::fold::{MergeLines, MergeTurned, TakeLines};
use crate::turn::SIDE;
use crate::vectors::with_widest_vectors;
use crate::{BadScore, ScoreTransform, ViewMerge};
use marquetry_geometry::{D4, Rect, Size};

/// Numbers of a view that are brought back together: they stay in the first cache until they are merged.
const PIECE: usize = 4096;
/// Pixels of each row that are brought back together where a view lies on its side: whole vectors of any width.
const TURNED: usize = 32;

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
    /// What it takes to turn as much.
    room: Vec<f32>,
}

impl WindowScores {
    /// For windows of `size` px and `classes` classes, whose views are merged by `merge`.
    pub fn new(size: Size, classes: usize, merge: ViewMerge) -> Self {
        Self { size, classes, merge, views: 0, scores: Vec::new(), scratch: Vec::new(), room: Vec::new() }
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
            let together = if raw.has_whole_rows() { self.rows_together() } else { 1 };
            return self.rows(together, to, sink, |_, first, rows| {
                transform.apply(raw.planes, raw.size.area() as usize, raw.offset(first, 0), rows)
            });
        }
        self.add(raw, d4, transform)?;
        self.rows(self.rows_together(), to, sink, Self::merged)
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
        let at = (first * self.size.width) as usize;
        let (scores, plane) = (&self.scores[..], self.size.area() as usize);
        match self.merge {
            ViewMerge::Mean | ViewMerge::Tsharpen if self.views > 1 => {
                let share = 1.0 / self.views as f32;
                with_widest_vectors(TakeLines { scores, plane, at, lines: rows, each: |x| x * share })
            }
            ViewMerge::Gmean => {
                let views = self.views as f32;
                let each = |x| crate::exp::exp(x / views);
                with_widest_vectors(TakeLines { scores, plane, at, lines: rows, each })
            }
            _ => with_widest_vectors(TakeLines { scores, plane, at, lines: rows, each: |x| x }),
        }
    }

    /// Neighbouring pixels of a row that are brought back together.
    fn pixels_together(&self) -> u32 {
        (PIECE / self.classes).max(1).next_multiple_of(TURNED) as u32
    }

    /// Whole rows that are brought back together, where they lie one after the other.
    fn rows_together(&self) -> u32 {
        (self.pixels_together() / self.size.width.max(1)).max(1)
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
        merge: impl Fn(f32, f32) -> f32 + Copy,
    ) -> Result<(), BadScore> {
        let (width, plane) = (self.size.width, self.size.area() as usize);
        let (rows_together, pixels) = (self.rows_together(), self.pixels_together());
        let together = if raw.has_whole_rows() { rows_together } else { 1 };
        for y in (0..self.size.height).step_by(together as usize) {
            let rows = together.min(self.size.height - y);
            // Of several rows all pixels are together.
            for x in (0..width).step_by(pixels as usize) {
                let n = pixels.min(width - x);
                scratch.resize(self.classes * (rows * n) as usize, 0.0);
                transform.apply(raw.planes, raw.size.area() as usize, raw.offset(y, x), scratch)?;
                // Where its corners come from tells where it lies, and which way it runs.
                let (first, last) =
                    (d4.source(self.size, y, x), d4.source(self.size, y + rows - 1, x + n - 1));
                with_widest_vectors(MergeLines {
                    scores: &mut self.scores,
                    plane,
                    width: width as usize,
                    at: (first.0.min(last.0) * width + first.1.min(last.1)) as usize,
                    rows: rows as usize,
                    piece: scratch,
                    upside_down: last.0 < first.0,
                    backwards: last.1 < first.1,
                    merge,
                });
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
        merge: impl Fn(f32, f32) -> f32 + Copy,
    ) -> Result<(), BadScore> {
        let (height, width) = (self.size.height as usize, self.size.width as usize);
        let back = d4.inverse();
        for x in (0..height).step_by(TURNED) {
            let n = TURNED.min(height - x);
            for left in (0..width).step_by(SIDE) {
                let columns = SIDE.min(width - left);
                scratch.resize(SIDE * self.classes * n, 0.0);
                self.room.resize(scratch.len(), 0.0);
                for (j, to) in scratch.chunks_exact_mut(self.classes * n).take(columns).enumerate() {
                    // The row of the view that shows column `left + j` of the image.
                    let (y, _) = back.source(raw.part.size, 0, (left + j) as u32);
                    transform.apply(raw.planes, raw.size.area() as usize, raw.offset(y, x as u32), to)?;
                }
                let row = |x: usize| d4.source(self.size, 0, x as u32).0 as usize;
                let (first, last) = (row(x), row(x + n - 1));
                with_widest_vectors(MergeTurned {
                    scores: &mut self.scores,
                    plane: height * width,
                    width,
                    at: first.min(last) * width + left,
                    columns,
                    piece: scratch,
                    room: &mut self.room,
                    upside_down: last < first,
                    merge,
                });
            }
        }
        Ok(())
    }
}

impl ModelOutput<'_> {
    /// Whether rows of the kept part lie one after the other in the plane.
    fn has_whole_rows(&self) -> bool {
        self.part.size.width == self.size.width
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
