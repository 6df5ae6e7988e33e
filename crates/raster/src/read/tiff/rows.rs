//! From decompressed rows to samples in the machine's own form.

use super::layout::{ChunkLayout, Predictor};

/// Undoes byte order, prediction and bit packing of a decompressed chunk.
pub(super) fn native(layout: &ChunkLayout, mut bytes: Vec<u8>) -> Vec<u8> {
    let samples = layout.chunk_samples();
    let width = layout.header.sample.bytes();
    if layout.bits as usize != 8 * width {
        return unpacked(layout, &bytes);
    }
    let swapped = width > 1 && !layout.endian.is_native();
    let jpeg_or_float = layout.predictor == Predictor::Float;
    if swapped && !jpeg_or_float {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    let mut sorted = Vec::new();
    for row in bytes.chunks_exact_mut(layout.packed_row_bytes()) {
        match (layout.predictor, width) {
            (Predictor::None, _) => {}
            (Predictor::Horizontal, 1) => accumulate(row, samples, |[a], [b]| [a.wrapping_add(b)]),
            (Predictor::Horizontal, 2) => accumulate(row, samples, |a, b| {
                u16::from_ne_bytes(a).wrapping_add(u16::from_ne_bytes(b)).to_ne_bytes()
            }),
            (Predictor::Horizontal, 4) => accumulate(row, samples, |a, b| {
                u32::from_ne_bytes(a).wrapping_add(u32::from_ne_bytes(b)).to_ne_bytes()
            }),
            (Predictor::Horizontal, _) => accumulate(row, samples, |a, b| {
                u64::from_ne_bytes(a).wrapping_add(u64::from_ne_bytes(b)).to_ne_bytes()
            }),
            (Predictor::Float, _) => {
                accumulate(row, samples, |[a], [b]| [a.wrapping_add(b)]);
                sorted.clear();
                sorted.extend_from_slice(row);
                gather_floats(&sorted, width, row);
            }
        }
    }
    bytes
}

/// Adds to every sample of a row the one `samples` places before it.
fn accumulate<const N: usize>(row: &mut [u8], samples: usize, add: impl Fn([u8; N], [u8; N]) -> [u8; N]) {
    let (values, _) = row.as_chunks_mut::<N>();
    for at in samples..values.len() {
        values[at] = add(values[at], values[at - samples]);
    }
}

/// A row of floats is stored as all their highest bytes, then all their second bytes, and so on.
fn gather_floats(sorted: &[u8], width: usize, row: &mut [u8]) {
    let count = sorted.len() / width;
    for (at, float) in row.chunks_exact_mut(width).enumerate() {
        for (weight, byte) in float.iter_mut().enumerate() {
            *byte = sorted[weight * count + at];
        }
        if cfg!(target_endian = "little") {
            float.reverse();
        }
    }
}

/// Samples of 1 to 15 bits that are no whole byte or two, packed from the highest bit on; each row starts a new byte.
fn unpacked(layout: &ChunkLayout, bytes: &[u8]) -> Vec<u8> {
    let samples = layout.chunk.width as usize * layout.chunk_samples();
    let width = layout.header.sample.bytes();
    let bits = layout.bits;
    let mask = (1_u32 << bits) - 1;
    let mut out = Vec::with_capacity(bytes.len() / layout.packed_row_bytes() * samples * width);
    for row in bytes.chunks_exact(layout.packed_row_bytes()) {
        let (mut pending, mut held) = (0_u32, 0);
        let mut from = row.iter();
        for _ in 0..samples {
            while held < bits {
                pending = pending << 8 | from.next().map_or(0, |&byte| u32::from(byte));
                held += 8;
            }
            held -= bits;
            let value = pending >> held & mask;
            if width == 1 {
                out.push(value as u8);
            } else {
                out.extend_from_slice(&(value as u16).to_ne_bytes());
            }
        }
    }
    out
}
