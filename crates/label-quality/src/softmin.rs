//! Softmin (cleanlab): the mean of a label's probabilities, in which the least weigh most.
//!
//! `Σ s · w / Σ w` with `w = e^((1 − s) / T)` and T = 0.1. Weights are at most e^10, so that nothing has to be shifted by
//! the greatest and pixels may come one by one.

use serde::{Deserialize, Serialize};

/// T.
const TEMPERATURE: f64 = 0.1;

/// A softmin under way.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Softmin {
    weighted: f64,
    weights: f64,
}

impl Softmin {
    /// Adds a pixel whose label has probability `s`, 0 to 1.
    pub fn add(&mut self, s: f64) {
        self.add_weighted(s, weight(s));
    }

    fn add_weighted(&mut self, s: f64, weight: f64) {
        self.weighted += s * weight;
        self.weights += weight;
    }

    /// Its value, 0 to 1; none where there was no pixel.
    pub fn value(&self) -> Option<f64> {
        (self.weights > 0.0).then(|| self.weighted / self.weights)
    }
}

/// What a pixel weighs.
fn weight(s: f64) -> f64 {
    ((1.0 - s) / TEMPERATURE).exp()
}

/// The softmin of a whole image, as cleanlab has it, and the least of its windows, which does not hang on the image's size.
///
/// Cleanlab's falls with the size of an image, for one bad pixel weighs e^10 times a good one, not more. Windows are equal
/// parts of the image, at most [`WindowSoftmin::SIDE`] px wide and high.
#[derive(Debug, Clone)]
pub struct WindowSoftmin {
    height: usize,
    width: usize,
    row: usize,
    whole: Softmin,
    /// Those of the windows that the rows are in.
    windows: Vec<Softmin>,
    least: Option<f64>,
}

impl WindowSoftmin {
    /// The greatest side of a window, px.
    pub const SIDE: usize = 64;

    /// Of an image of `height` rows and `width` columns, px.
    pub fn new(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            row: 0,
            whole: Softmin::default(),
            windows: vec![Softmin::default(); width.div_ceil(Self::SIDE)],
            least: None,
        }
    }

    /// Takes the next row: of each pixel the probability of its label; `None` where there is no label.
    pub fn push_row(&mut self, row: impl Iterator<Item = Option<f32>>) {
        let number = self.windows.len();
        for (x, s) in row.enumerate() {
            if let Some(s) = s.map(f64::from) {
                let weight = weight(s);
                self.whole.add_weighted(s, weight);
                self.windows[x * number / self.width].add_weighted(s, weight);
            }
        }
        self.row += 1;
        let rows = self.height.div_ceil(Self::SIDE);
        let of = |row: usize| row * rows / self.height;
        if self.row == self.height || of(self.row) != of(self.row - 1) {
            for window in &mut self.windows {
                let value = std::mem::take(window).value();
                self.least = [self.least, value].into_iter().flatten().reduce(f64::min);
            }
        }
    }

    /// Cleanlab's, over all pixels so far.
    pub fn whole(&self) -> Option<f64> {
        self.whole.value()
    }

    /// The least of all windows that are complete.
    pub const fn least(&self) -> Option<f64> {
        self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(scores: impl IntoIterator<Item = f64>) -> f64 {
        let mut softmin = Softmin::default();
        scores.into_iter().for_each(|s| softmin.add(s));
        softmin.value().expect("there are pixels")
    }

    /// Values of cleanlab itself.
    #[test]
    fn as_cleanlab() {
        assert!((of([1.0, 1.0, 1.0, 0.0]) - 1.3618e-4).abs() < 1e-8);
        assert!((of([0.9, 0.8, 0.1]) - 0.100_906).abs() < 1e-6);
        assert!((of([0.5; 10]) - 0.5).abs() < 1e-12);
        let one_in_a_thousand = std::iter::repeat_n(1.0, 999).chain([0.0]);
        assert!((of(one_in_a_thousand) - 0.043_387).abs() < 1e-6);
        assert_eq!(Softmin::default().value(), None);
    }

    #[test]
    fn windows_do_not_hang_on_the_images_size() {
        let least = |side: usize| {
            let mut windows = WindowSoftmin::new(side, side);
            for y in 0..side {
                windows.push_row((0..side).map(|x| Some(if y < 3 && x < 3 { 0.1 } else { 0.99 })));
            }
            (windows.least().expect("known"), windows.whole().expect("known"))
        };
        let (small, large) = (least(64), least(640));
        assert_eq!(small.0, large.0);
        assert!(large.1 > 4.0 * small.1, "cleanlab's own does: {small:?} {large:?}");
    }

    proptest! {
        /// Windows are parts: each pixel is in one, and none is below the least score.
        #[test]
        fn windows_are_parts(height in 1_usize..150, width in 1_usize..150, bad in 0_usize..22_500) {
            let bad = bad % (height * width);
            let mut windows = WindowSoftmin::new(height, width);
            for y in 0..height {
                windows.push_row((0..width).map(|x| (y * width + x == bad).then_some(0.25)));
            }
            prop_assert_eq!(windows.least(), Some(0.25));
            prop_assert_eq!(windows.whole(), Some(0.25));
        }
    }
}
