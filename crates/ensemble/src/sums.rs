//! One window's scores, summed over members.

use crate::vectors::{Kernel, with_widest_vectors};
use marquetry_geometry::Size;

/// `Σ weight · scores` over some members of one window, `[C, H, W]`. What is in the canvas by then is added to by the
/// sum, not by each member: a window is computed as a whole by one lane, and the canvas is what lanes share.
#[derive(Debug)]
pub struct WindowSums {
    size: Size,
    classes: usize,
    /// Whether nothing has been added; the numbers mean nothing then.
    empty: bool,
    sums: Vec<f32>,
}

impl WindowSums {
    /// Nothing yet. Memory is taken when something is added, and kept.
    pub const fn new(size: Size, classes: usize) -> Self {
        Self { size, classes, empty: true, sums: Vec::new() }
    }

    /// Height and width, px.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Number of classes.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Forgets what was added.
    pub fn reset(&mut self) {
        self.empty = true;
    }

    /// Adds one member's scores of some rows from `first` on, `[C, rows · W]`, by its weight of each class. Of each
    /// member all rows must be added, from the top.
    ///
    /// # Panics
    /// When the rows do not fit, or there is not one weight per class.
    pub fn add(&mut self, first: usize, weights: &[f32], rows: &[f32]) {
        assert_eq!(weights.len(), self.classes);
        let (plane, at) = (self.size.area() as usize, first * self.size.width as usize);
        let n = rows.len() / self.classes;
        self.sums.resize(plane * self.classes, 0.0);
        let Self { sums, empty, .. } = self;
        with_widest_vectors(AddWeighted { sums, plane, at, weights, rows, anew: *empty });
        if at + n == plane {
            self.empty = false;
        }
    }

    /// Row `y` of class `class`, `[W]`; `None` if nothing was added.
    pub fn line(&self, class: usize, y: usize) -> Option<&[f32]> {
        let width = self.size.width as usize;
        let start = class * self.size.area() as usize + y * width;
        if self.empty { None } else { self.sums.get(start..start + width) }
    }
}

/// [`WindowSums::add`].
struct AddWeighted<'a> {
    sums: &'a mut [f32],
    plane: usize,
    at: usize,
    weights: &'a [f32],
    rows: &'a [f32],
    anew: bool,
}

impl Kernel for AddWeighted<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) {
        let Self { sums, plane, at, weights, rows, anew } = self;
        let n = rows.len() / weights.len();
        let lines = sums.chunks_exact_mut(plane).zip(rows.chunks_exact(n));
        for ((sums, scores), weight) in lines.zip(weights) {
            let sums = sums[at..at + n].iter_mut().zip(scores);
            if anew {
                sums.for_each(|(sum, score)| *sum = weight * score);
            } else {
                sums.for_each(|(sum, score)| *sum += weight * score);
            }
        }
    }
}
