//! Resampling an image along one axis: which pixels each new one is made of.

use crate::taps;
use serde::{Deserialize, Serialize};

/// How an image becomes larger or smaller. Pixel centres lie at half-integers in all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resample {
    /// Between the two nearest pixels, without smoothing: OpenCV's `INTER_LINEAR`, PyTorch's `bilinear`.
    #[default]
    Linear,
    /// The mean of the area that a pixel comes from: OpenCV's `INTER_AREA`. A side that grows is `Linear`.
    Area,
    /// Cubic through four pixels, without smoothing: OpenCV's `INTER_CUBIC`, PyTorch's `bicubic`.
    Cubic,
    /// Linear, over a wider part where a side shrinks: Pillow's `BILINEAR`, torchvision with `antialias`.
    PillowLinear,
    /// Cubic, likewise: Pillow's `BICUBIC`.
    PillowCubic,
}

/// The pixels that one new pixel is made of: `first`, and those after it, by these shares, which sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    /// The first of them.
    pub first: u32,
    /// The share of each.
    pub shares: Vec<f32>,
}

impl Kernel {
    /// The pixel after the last.
    pub fn end(&self) -> u32 {
        self.first + self.shares.len() as u32
    }
}

impl Resample {
    /// The kernels of output pixels `from..to` when `input` px become `output` px. They depend on the whole axis alone, so
    /// any part of an image is sampled like the whole.
    ///
    /// # Panics
    /// When `input` or `output` is 0, or `to > output`.
    pub fn kernels(self, input: u32, output: u32, from: u32, to: u32) -> Vec<Kernel> {
        assert!(input > 0 && output > 0 && to <= output, "kernels {from}..{to} of {output} from {input}");
        let scale = f64::from(input) / f64::from(output);
        match self {
            Self::Area if scale > 1.0 => (from..to).map(|at| area(at, scale, input)).collect(),
            Self::Linear | Self::Area => linear(input, output, from, to),
            Self::Cubic => (from..to).map(|at| cubic(at, scale, input)).collect(),
            Self::PillowLinear => {
                (from..to).map(|at| smoothed(at, scale, input, 1.0, |x| (1.0 - x.abs()).max(0.0))).collect()
            }
            Self::PillowCubic => {
                (from..to).map(|at| smoothed(at, scale, input, 2.0, |x| keys(x, -0.5))).collect()
            }
        }
    }
}

fn linear(input: u32, output: u32, from: u32, to: u32) -> Vec<Kernel> {
    let kernel = |tap: crate::Tap| {
        let shares = if tap.high == tap.low { vec![1.0] } else { vec![1.0 - tap.weight, tap.weight] };
        Kernel { first: tap.low, shares }
    };
    taps(input, output, from, to).into_iter().map(kernel).collect()
}

/// By how much of each pixel lies in the part that the new one covers.
fn area(at: u32, scale: f64, input: u32) -> Kernel {
    let (start, end) = (f64::from(at) * scale, (f64::from(at) * scale + scale).min(f64::from(input)));
    let first = (start + 1e-6).floor();
    let covered = |pixel: u32| (f64::from(pixel) + 1.0).min(end) - f64::from(pixel).max(start);
    let pixels = first as u32..((end - 1e-6).ceil() as u32).min(input);
    shares(first as u32, pixels.map(covered).collect())
}

/// The four nearest pixels; beyond the border the last one stands in.
fn cubic(at: u32, scale: f64, input: u32) -> Kernel {
    let x = (f64::from(at) + 0.5) * scale - 0.5;
    let low = x.floor();
    let inside = |pixel: i64| pixel.clamp(0, i64::from(input) - 1);
    let pixels = (low as i64 - 1)..=(low as i64 + 2);
    let first = inside(*pixels.start());
    let mut weights = vec![0.0; (inside(*pixels.end()) - first) as usize + 1];
    for pixel in pixels {
        weights[(inside(pixel) - first) as usize] += keys(x - pixel as f64, -0.75);
    }
    shares(first as u32, weights)
}

/// A filter as wide as the part that the new pixel covers; what lies beyond the border is left out.
fn smoothed(at: u32, scale: f64, input: u32, support: f64, filter: impl Fn(f64) -> f64) -> Kernel {
    let wide = scale.max(1.0);
    let centre = (f64::from(at) + 0.5) * scale;
    let first = (centre - support * wide + 0.5).max(0.0) as u32;
    let end = ((centre + support * wide + 0.5) as u32).min(input);
    let weights = (first..end).map(|pixel| filter((f64::from(pixel) + 0.5 - centre) / wide)).collect();
    shares(first, weights)
}

/// The cubic convolution of Keys with slope `a` at 1.
fn keys(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}

fn shares(first: u32, weights: Vec<f64>) -> Kernel {
    let sum: f64 = weights.iter().sum();
    Kernel { first, shares: weights.into_iter().map(|weight| (weight / sum) as f32).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: [f32; 9] = [3.0, 250.0, 17.0, 99.0, 180.0, 4.0, 61.0, 222.0, 130.0];

    fn resized(how: Resample, to: u32) -> Vec<f32> {
        let value = |kernel: &Kernel| {
            kernel.shares.iter().zip(&LINE[kernel.first as usize..]).map(|(share, v)| share * v).sum()
        };
        how.kernels(9, to, 0, to).iter().map(value).collect()
    }

    #[track_caller]
    fn close(found: &[f32], wanted: &[f32]) {
        let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 2e-3);
        assert!(found.len() == wanted.len() && near, "{found:?}, not {wanted:?}");
    }

    /// `cv2.resize` of one row of float32, OpenCV 5.0.0.
    #[test]
    fn equals_opencv() {
        use Resample::{Area, Cubic, Linear};
        close(&resized(Linear, 4), &[157.375, 88.75, 11.125, 187.5]);
        close(&resized(Area, 4), &[114.3333, 89.6667, 62.1111, 163.2222]);
        close(&resized(Area, 3), &[90.0, 94.3333, 137.6667]);
        close(&resized(Area, 5), &[112.7778, 70.2222, 122.8889, 59.8889, 170.8889]);
        close(&resized(Cubic, 4), &[186.5913, 82.2285, -4.3276, 206.5356]);
        close(&resized(Cubic, 5), &[115.612, 7.12, 180.0, 31.288, 177.288]);
        let larger = [
            -17.4052, 160.5653, 224.5751, 28.4042, 43.8248, 139.9854, 180.0, 52.2263, -5.0737, 74.1452,
            199.8666, 196.1368, 122.3996,
        ];
        close(&resized(Cubic, 13), &larger);
    }

    /// `Image.resize` of one row in mode `F`, Pillow 13.0.0.
    #[test]
    fn equals_pillow() {
        use Resample::{Linear, PillowCubic, PillowLinear};
        close(&resized(PillowLinear, 4), &[111.6571, 103.5122, 76.1951, 155.6286]);
        close(&resized(PillowLinear, 3), &[111.125, 91.5556, 131.5]);
        close(&resized(PillowLinear, 5), &[109.8571, 86.3125, 119.5294, 73.375, 164.5]);
        close(&resized(PillowCubic, 4), &[109.7586, 104.4283, 73.7057, 157.7064]);
        close(&resized(PillowCubic, 5), &[114.0588, 89.3097, 115.5739, 66.8154, 174.5151]);
        let larger = [
            3.0, 136.0, 196.2308, 34.9231, 67.4615, 123.9231, 180.0, 58.1538, 25.9231, 73.3846, 184.8462,
            179.5385, 130.0,
        ];
        close(&resized(PillowLinear, 13), &larger);
        close(&resized(Linear, 13), &larger);
        let larger = [
            -12.264, 145.7632, 222.5508, 25.9108, 53.1966, 132.4192, 180.0, 49.3955, 4.2208, 70.6673,
            199.9895, 187.8713, 124.3146,
        ];
        close(&resized(PillowCubic, 13), &larger);
    }

    #[test]
    fn shares_sum_to_1_lie_inside_and_do_not_hang_on_the_part() {
        use Resample::{Area, Cubic, Linear, PillowCubic, PillowLinear};
        for how in [Linear, Area, Cubic, PillowLinear, PillowCubic] {
            for (input, output) in [(1, 1), (1, 7), (7, 1), (5, 5), (100, 33), (33, 100), (4096, 3), (2, 3)] {
                let all = how.kernels(input, output, 0, output);
                for kernel in &all {
                    let sum: f64 = kernel.shares.iter().map(|share| f64::from(*share)).sum();
                    assert!(
                        (sum - 1.0).abs() < 1e-5 && kernel.end() <= input,
                        "{how:?} {input} {output} {kernel:?}"
                    );
                }
                let (from, to) = (output / 3, output - output / 4);
                assert_eq!(how.kernels(input, output, from, to), all[from as usize..to as usize]);
                if input == output {
                    assert!(all.iter().enumerate().all(|(k, kernel)| {
                        let own = k - kernel.first as usize;
                        kernel
                            .shares
                            .iter()
                            .enumerate()
                            .all(|(n, s)| (*s - f32::from(u8::from(n == own))).abs() < 1e-6)
                    }));
                }
            }
        }
    }
}
