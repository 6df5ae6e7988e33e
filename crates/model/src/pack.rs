//! Between the planar `f32` of this crate's border and the layout and element type of a model.

use crate::facts::Layout;
use half::f16;

/// A number a model may take.
pub(crate) trait FromPixel: Copy + Default {
    fn from_pixel(value: f32) -> Self;
}

impl FromPixel for f32 {
    fn from_pixel(value: f32) -> Self {
        value
    }
}

impl FromPixel for f16 {
    fn from_pixel(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl FromPixel for f64 {
    fn from_pixel(value: f32) -> Self {
        value.into()
    }
}

impl FromPixel for u8 {
    fn from_pixel(value: f32) -> Self {
        // The cast saturates, and takes NaN to 0.
        value.round() as Self
    }
}

/// A number a model may give.
pub(crate) trait ToScore: Copy {
    fn to_score(self) -> f32;
}

impl ToScore for f32 {
    fn to_score(self) -> f32 {
        self
    }
}

impl ToScore for f16 {
    fn to_score(self) -> f32 {
        self.to_f32()
    }
}

impl ToScore for bool {
    fn to_score(self) -> f32 {
        f32::from(u8::from(self))
    }
}

/// Labels are exact up to 2²⁴, which is more classes than a job may have.
macro_rules! nearest {
    ($($number:ty)+) => {
        $(impl ToScore for $number {
            fn to_score(self) -> f32 {
                self as f32
            }
        })+
    };
}

nearest!(f64 i8 i16 i32 i64 u8 u16 u32 u64);

/// Writes `planes`, `[batch, channels, pixels]`, into `packed` as `layout` wants it.
pub(crate) fn pack<'a, T: FromPixel>(
    planes: &[f32],
    packed: &'a mut Vec<T>,
    layout: Layout,
    channels: usize,
    pixels: usize,
) -> &'a [T] {
    packed.resize(planes.len(), T::default());
    if layout == Layout::Nchw || channels == 1 {
        for (to, &from) in packed.iter_mut().zip(planes) {
            *to = T::from_pixel(from);
        }
        return packed;
    }
    let image = channels * pixels;
    for (packed, planes) in packed.chunks_exact_mut(image).zip(planes.chunks_exact(image)) {
        for (channel, plane) in planes.chunks_exact(pixels).enumerate() {
            for (pixel, &from) in packed.chunks_exact_mut(channels).zip(plane) {
                pixel[channel] = T::from_pixel(from);
            }
        }
    }
    packed
}

/// Writes `values` into `planes` as `[batch, classes, pixels]`. `interleaved`: the classes are innermost in `values`.
pub(crate) fn unpack<T: ToScore>(
    values: &[T],
    planes: &mut Vec<f32>,
    interleaved: bool,
    classes: usize,
    pixels: usize,
) {
    planes.resize(values.len(), 0.0);
    if !interleaved || classes == 1 {
        for (to, &from) in planes.iter_mut().zip(values) {
            *to = from.to_score();
        }
        return;
    }
    let image = classes * pixels;
    for (planes, values) in planes.chunks_exact_mut(image).zip(values.chunks_exact(image)) {
        for (class, plane) in planes.chunks_exact_mut(pixels).enumerate() {
            for (to, pixel) in plane.iter_mut().zip(values.chunks_exact(classes)) {
                *to = pixel[class].to_score();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaving_is_undone() {
        let planes: Vec<f32> = (0..2 * 3 * 4).map(|v| v as f32).collect();
        let (mut packed, mut back) = (Vec::<f16>::new(), Vec::new());
        pack(&planes, &mut packed, Layout::Nhwc, 3, 4);
        // The second pixel of the first image: its value in each of the three planes.
        assert_eq!(packed[3..6], [1.0, 5.0, 9.0].map(f16::from_f32));
        unpack(&packed, &mut back, true, 3, 4);
        assert_eq!(back, planes);
    }

    #[test]
    fn bytes_are_rounded_and_clamped() {
        let mut packed = Vec::<u8>::new();
        pack(&[-3.0, 0.4, 0.5, 254.6, 999.0, f32::NAN], &mut packed, Layout::Nchw, 3, 2);
        assert_eq!(packed, [0, 0, 1, 255, 255, 0]);
    }
}
