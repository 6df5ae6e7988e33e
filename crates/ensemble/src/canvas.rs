//! Where a worker puts the windows of one block together.

use crate::{ImportanceMap, WindowScores};
use marquetry_geometry::Rect;

/// Weighted sums over the extent of one block, `[H, C, W]`.
///
/// Whatever is added must come in the plan's order (member by member, windows row-major): sums of floats hang on it,
/// and with it the bytes of the submission.
#[derive(Debug)]
pub struct Canvas {
    extent: Rect,
    classes: usize,
    sums: Vec<f32>,
}

impl Canvas {
    /// An empty canvas over `extent` of a group's (scaled) image.
    pub fn new(extent: Rect, classes: usize) -> Self {
        Self { extent, classes, sums: vec![0.0; extent.size.area() as usize * classes] }
    }

    /// The pixels it covers.
    pub const fn extent(&self) -> Rect {
        self.extent
    }

    /// Adds one member's scores of the window whose kept part is `window`, weighted by `importance` and by the
    /// member's weight of each class. What overhangs the extent is left out.
    ///
    /// # Panics
    /// When window, importance and scores differ in size, or there is not one weight per class.
    pub fn add(&mut self, window: Rect, importance: &ImportanceMap, weights: &[f32], scores: &WindowScores) {
        assert_eq!((window.size, window.size), (importance.size(), scores.size()));
        assert_eq!(weights.len(), self.classes);
        let shared = window.intersect(self.extent);
        let (n, from) = (shared.size.width as usize, (shared.left - window.left) as usize);
        let width = self.extent.size.width as usize;
        let mut scaled = vec![0.0_f32; n];
        for y in shared.top..shared.bottom() {
            let row = (y - window.top) as usize;
            let importance = &importance.row(row)[from..from + n];
            let start = (y - self.extent.top) as usize * self.classes * width;
            let left = (shared.left - self.extent.left) as usize;
            for (class, weight) in weights.iter().enumerate() {
                scaled.iter_mut().zip(importance).for_each(|(s, i)| *s = i * weight);
                let sums = &mut self.sums[start + class * width + left..][..n];
                let scores = &scores.line(class, row)[from..from + n];
                for ((sum, weight), score) in sums.iter_mut().zip(&scaled).zip(scores) {
                    *sum += weight * score;
                }
            }
        }
    }

    /// Divides by the sum of all weights and gives the block's mean scores, `[H, C, W]`.
    ///
    /// `importance` is the sum of the block's windows over the extent ([`ImportanceMap::sum_over`]); `weights` the sum
    /// of the members' weights, per class. A class that no member speaks for stays 0.
    ///
    /// # Panics
    /// When sizes differ.
    pub fn into_mean(mut self, importance: &[f32], weights: &[f32]) -> Vec<f32> {
        let width = self.extent.size.width as usize;
        assert_eq!(importance.len() * self.classes, self.sums.len());
        for (row, importance) in
            self.sums.chunks_exact_mut(self.classes * width).zip(importance.chunks_exact(width))
        {
            for (line, &weight) in row.chunks_exact_mut(width).zip(weights) {
                if weight > 0.0 {
                    line.iter_mut().zip(importance).for_each(|(sum, i)| *sum /= i * weight);
                }
            }
        }
        self.sums
    }
}

#[cfg(test)]
#[path = "canvas_tests.rs"]
mod tests;
