//! Large images and labels, written band of rows by band of rows.

use anyhow::Result;
use marquetry_geometry::Size;
use marquetry_raster::write::{ScoreDepth, ScoreSink, ScoreTiff, TiffOptions};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// The value of a band at a pixel, 0 to 1: smooth patterns with noise.
fn value(band: u32, y: u32, x: u32) -> f32 {
    let wave = ((y * (band + 1)) as f32 / 331.0).sin() * ((x * (3 - band)) as f32 / 271.0).cos();
    let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ band) % 61;
    0.5 + 0.35 * wave + noise as f32 / 512.0
}

/// A tiled TIFF of three bands, unless one of this size is there.
pub(super) fn write_large(path: &Path, height: u32, width: u32) -> Result<()> {
    const ROWS: u32 = 64;
    let made = path.with_extension(format!("{height}x{width}"));
    if path.is_file() && made.is_file() {
        return Ok(());
    }
    let bands = ["red", "green", "blue"].map(str::to_owned).to_vec();
    let file = BufWriter::new(File::create(path)?);
    let size = Size::new(height, width);
    let mut tiff = ScoreTiff::new(file, size, bands, ScoreDepth::U8, None, TiffOptions::default())?;
    for top in (0..height).step_by(ROWS as usize) {
        let rows = ROWS.min(height - top);
        let part: Vec<f32> = (0..3)
            .flat_map(|band| (top..top + rows).flat_map(move |y| (0..width).map(move |x| value(band, y, x))))
            .collect();
        tiff.band(&part, rows)?;
    }
    Box::new(tiff).finish()?;
    // Says of which size it is.
    Ok(File::create(made)?.sync_all()?)
}

/// A square PNG of three bands.
pub(super) fn write_small(path: &Path, side: u32) -> Result<()> {
    let samples: Vec<u8> = (0..side * side)
        .flat_map(|at| {
            (0..3).map(move |band| (255.0 * value(band, at / side, at % side)).clamp(0.0, 255.0) as u8)
        })
        .collect();
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), side, side);
    encoder.set_color(png::ColorType::Rgb);
    Ok(encoder.write_header()?.write_image_data(&samples)?)
}

/// A grey PNG of labels: blocks of all classes.
pub(super) fn write_labels(path: &Path, height: u32, width: u32, classes: u32) -> Result<()> {
    let encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width, height);
    let mut writer = encoder.write_header()?;
    let mut stream = writer.stream_writer()?;
    for y in 0..height {
        let row: Vec<u8> = (0..width).map(|x| ((y / 97 + x / 61) % classes) as u8).collect();
        stream.write_all(&row)?;
    }
    Ok(stream.finish()?)
}
