//! The weight of a pixel by its place in its window.

use marquetry_geometry::{Block, Grid, Rect, Size};
use serde::{Deserialize, Serialize};

/// The shape of the weight over a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Importance {
    /// 1 everywhere.
    Constant,
    /// MONAI's Gaussian: σ = 0.125 · side about the true centre, floor 1e-3 (`monai.data.utils`, since 1.0).
    Gaussian,
    /// nnU-Net's Gaussian: σ = side / 8 about pixel ⌊side/2⌋, scaled to 10, rounded to half precision, zeros replaced
    /// by the smallest value above zero (Isensee et al. 2021, Nature Methods 18).
    GaussianNnunet,
    /// `d_edge / (d_edge + d_centre)`, scaled to a mean of 1 (the pyramid of pytorch-toolbelt's tiler).
    Pyramid,
}

impl Importance {
    /// The weights of a window of `size` px.
    pub fn map(self, size: Size) -> ImportanceMap {
        let weights = match self {
            Self::Constant => vec![1.0; size.area() as usize],
            Self::Gaussian => gaussian_monai(size),
            Self::GaussianNnunet => gaussian_nnunet(size),
            Self::Pyramid => pyramid(size),
        };
        ImportanceMap { size, weights }
    }
}

/// The weights of one window's pixels: positive, finite, `[H, W]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportanceMap {
    size: Size,
    weights: Vec<f32>,
}

impl ImportanceMap {
    /// Height and width, px.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// The weights of row `y`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, y: usize) -> &[f32] {
        let width = self.size.width as usize;
        &self.weights[y * width..(y + 1) * width]
    }

    /// The sum of the weights of all windows of `block` over `part` of the image, `[part.height, part.width]`.
    ///
    /// Windows are added in row-major order, as the worker's canvas does, so both come to the same bits.
    pub fn sum_over(&self, grid: &Grid, block: &Block, part: Rect) -> Vec<f32> {
        let width = part.size.width as usize;
        let mut sum = vec![0.0_f32; part.size.area() as usize];
        for row in block.rows.clone() {
            for col in block.cols.clone() {
                let window = grid.inner(row, col);
                let shared = window.intersect(part);
                for y in shared.top..shared.bottom() {
                    let from = (shared.left - window.left) as usize;
                    let weights =
                        &self.row((y - window.top) as usize)[from..from + shared.size.width as usize];
                    let start = (y - part.top) as usize * width + (shared.left - part.left) as usize;
                    for (s, w) in sum[start..].iter_mut().zip(weights) {
                        *s += w;
                    }
                }
            }
        }
        sum
    }
}

fn outer_product(size: Size, axis: impl Fn(u32) -> Vec<f64>) -> Vec<f64> {
    let (rows, cols) = (axis(size.height), axis(size.width));
    rows.iter().flat_map(|r| cols.iter().map(move |c| r * c)).collect()
}

fn gaussian_monai(size: Size) -> Vec<f32> {
    // MONAI multiplies float32 axes; so do we, to give the same map to the last bit or nearly so.
    let axis = |n: u32| -> Vec<f64> {
        let sigma = 0.125 * f64::from(n);
        let x = |i: u32| f64::from(i) - f64::from(n - 1) / 2.0;
        (0..n).map(|i| f64::from((-x(i).powi(2) / (2.0 * sigma * sigma)).exp() as f32)).collect()
    };
    let map: Vec<f32> = outer_product(size, axis).into_iter().map(|w| w as f32).collect();
    let least = map.iter().copied().fold(f32::INFINITY, f32::min);
    map.into_iter().map(|w| w.max(least).max(1e-3)).collect()
}

fn gaussian_nnunet(size: Size) -> Vec<f32> {
    let axis = |n: u32| -> Vec<f64> {
        let sigma = f64::from(n) / 8.0;
        (0..n).map(|i| (-0.5 * ((f64::from(i) - f64::from(n / 2)) / sigma).powi(2)).exp()).collect()
    };
    let half = |w: f64| half::f16::from_f64(10.0 * w).to_f32();
    let map: Vec<f32> = outer_product(size, axis).into_iter().map(half).collect();
    let least = map.iter().copied().filter(|&w| w > 0.0).fold(f32::INFINITY, f32::min);
    map.into_iter().map(|w| w.max(least)).collect()
}

fn pyramid(size: Size) -> Vec<f32> {
    let (h, w) = (f64::from(size.height), f64::from(size.width));
    let distances = |y: u32, x: u32| {
        let (y, x) = (f64::from(y) + 0.5, f64::from(x) + 0.5);
        let centre = (y - h / 2.0).hypot(x - w / 2.0);
        // toolbelt measures to a point half a pixel along the border.
        (centre, y.min(h - y).min(x).min(w - x).hypot(0.5))
    };
    let raw: Vec<f64> = (0..size.height)
        .flat_map(|y| (0..size.width).map(move |x| (y, x)))
        .map(|(y, x)| {
            let (centre, edge) = distances(y, x);
            edge / (edge + centre)
        })
        .collect();
    let alpha = h * w / raw.iter().sum::<f64>();
    raw.into_iter().map(|v| (alpha * v) as f32).collect()
}

#[cfg(test)]
#[path = "importance_tests.rs"]
mod tests;
