//! Samples as files keep them, and their values.

use half::f16;

/// How one sample lies in memory, in the machine's own byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SampleType {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    F32,
    F64,
}

impl SampleType {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    pub(super) const fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    pub(super) const fn is_unsigned(self) -> bool {
        matches!(self, Self::U8 | Self::U16 | Self::U32 | Self::U64)
    }

    /// As people say it.
    pub(super) fn in_words(self) -> String {
        let bits = 8 * self.bytes();
        if self.is_float() {
            format!("{bits}-bit float")
        } else if self.is_unsigned() {
            format!("{bits}-bit")
        } else {
            format!("signed {bits}-bit")
        }
    }

    /// Takes sample `index` of every pixel of `row` as a value. Pixels have `per_pixel` samples; `row` and `out` have
    /// equally many pixels.
    pub(super) fn spread(self, row: &[u8], per_pixel: usize, index: usize, out: &mut [f32]) {
        match self {
            // By far the most common; with a step that is known the loop becomes vector instructions.
            Self::U8 => match per_pixel {
                1 => out.iter_mut().zip(row).for_each(|(out, v)| *out = f32::from(*v)),
                3 => bytes::<3>(row, index, out),
                4 => bytes::<4>(row, index, out),
                _ => strided(row, per_pixel, index, out, |[v]| f32::from(v)),
            },
            Self::I8 => strided(row, per_pixel, index, out, |[v]| f32::from(v as i8)),
            Self::U16 => strided(row, per_pixel, index, out, |v| f32::from(u16::from_ne_bytes(v))),
            Self::I16 => strided(row, per_pixel, index, out, |v| f32::from(i16::from_ne_bytes(v))),
            Self::F16 => strided(row, per_pixel, index, out, |v| f16::from_ne_bytes(v).to_f32()),
            Self::U32 => strided(row, per_pixel, index, out, |v| u32::from_ne_bytes(v) as f32),
            Self::I32 => strided(row, per_pixel, index, out, |v| i32::from_ne_bytes(v) as f32),
            Self::F32 => strided(row, per_pixel, index, out, f32::from_ne_bytes),
            Self::U64 => strided(row, per_pixel, index, out, |v| u64::from_ne_bytes(v) as f32),
            Self::I64 => strided(row, per_pixel, index, out, |v| i64::from_ne_bytes(v) as f32),
            Self::F64 => strided(row, per_pixel, index, out, |v| f64::from_ne_bytes(v) as f32),
        }
    }
}

/// Byte `index` of pixels of `P` bytes.
fn bytes<const P: usize>(row: &[u8], index: usize, out: &mut [f32]) {
    for (out, pixel) in out.iter_mut().zip(row.as_chunks::<P>().0) {
        *out = f32::from(pixel[index]);
    }
}

fn strided<const N: usize>(
    row: &[u8],
    per_pixel: usize,
    index: usize,
    out: &mut [f32],
    value: impl Fn([u8; N]) -> f32,
) {
    for (out, pixel) in out.iter_mut().zip(row.chunks_exact(per_pixel * N)) {
        if let Some(sample) = pixel[index * N..].first_chunk() {
            *out = value(*sample);
        }
    }
}
