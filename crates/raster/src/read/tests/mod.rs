//! Tests of the readers, all on images made by code.

mod damage;
mod damaged_parts;
mod formats;
mod lenient;
mod limits;
pub(super) mod make;
mod missing;
mod pages;
mod tiffs;
mod windows;

use super::*;
use make::*;
use marquetry_geometry::{Reading, Rect, Size};
use std::path::PathBuf;
use tempfile::TempDir;

/// Room for everything that tests make.
pub(super) fn roomy(folder: &TempDir) -> Limits {
    Limits { pixels_max: 1 << 32, memory_bytes: 1 << 28, scratch_dir: folder.path().to_owned() }
}

/// A folder with one file in it.
pub(super) fn stored(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("image");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Reads a whole image, after checking that the header alone says the same.
fn read_all(bytes: &[u8]) -> Result<(ImageInfo, Pixels), ReadError> {
    let (folder, path) = stored(bytes);
    let limits = roomy(&folder);
    let image = Image::open(&path, &limits, &Reading::default())?;
    assert_eq!(&probe(&path, &limits, &Reading::default())?, image.info());
    let mut out = Pixels::default();
    image.read(Rect::whole(image.info().size), &mut out)?;
    assert_eq!((out.size, out.bands), (image.info().size, image.info().bands));
    assert_eq!(out.data.len() as u64, out.size.area() * u64::from(out.bands));
    Ok((image.info().clone(), out))
}

/// `[bands, height, width]` values of a function.
fn planes(size: Size, bands: u16, value: impl Fn(u32, u32, u16) -> f32) -> Vec<f32> {
    let all =
        (0..bands).flat_map(|b| (0..size.height).flat_map(move |r| (0..size.width).map(move |c| (r, c, b))));
    all.map(|(row, col, band)| value(row, col, band)).collect()
}

/// A pattern without any symmetry that differs in every sample.
pub(super) fn pattern(row: u32, col: u32, sample: u16) -> u64 {
    let mut x = u64::from(row) << 40 ^ u64::from(col) << 16 ^ u64::from(sample) ^ 0x9E37_79B9;
    for _ in 0..3 {
        x = (x ^ x >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    x
}

/// `value` for every sample, pixel-interleaved.
pub(super) fn interleaved(size: Size, samples: u16, value: impl Fn(u32, u32, u16) -> u64) -> Vec<u8> {
    let all = (0..size.height)
        .flat_map(|r| (0..size.width).flat_map(move |c| (0..samples).map(move |s| (r, c, s))));
    all.map(|(row, col, sample)| value(row, col, sample) as u8).collect()
}
