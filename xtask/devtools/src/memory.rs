//! The measure of memory: how much memory an image of any size takes.

use crate::{cache, run};
use anyhow::Result;
use marquetry_geometry::Size;
use marquetry_model::toy::{Toy, Weights};
use marquetry_raster::write::{ScoreDepth, ScoreSink, ScoreTiff, TiffOptions};
use serde_json::json;
use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is tried.
#[derive(clap::Args)]
pub(crate) struct Memory {
    /// The binary.
    #[arg(long)]
    marquetry: PathBuf,
    /// Side of the generated image, px.
    #[arg(long)]
    side: u32,
    /// Classes of the generated model, a single convolution.
    #[arg(long)]
    classes: u32,
}

impl Memory {
    pub(crate) fn run(&self) -> Result<()> {
        let folder = cache().join("memory");
        fs::create_dir_all(&folder)?;
        let image = folder.join(format!("{}.tiff", self.side));
        if !image.is_file() {
            eprintln!("writing a tiled TIFF of {0} × {0} px", self.side);
            write_image(&image, self.side)?;
        }
        let model = folder.join(format!("{}-classes.onnx", self.classes));
        fs::write(
            &model,
            Toy { classes: self.classes, weights: Weights::Seeded(7), ..Toy::default() }.bytes(),
        )?;
        let out = folder.join("out");
        let _ = fs::remove_dir_all(&out);
        let job = folder.join("job.yaml");
        let classes: Vec<String> = (0..self.classes).map(|c| format!("class-{c}")).collect();
        let spec = json!({
            "version": 1, "name": "memory", "images": {"from": image}, "classes": classes,
            "defaults": {"window": {"size": 512, "overlap": 0.125}},
            "members": [{"onnx": model}], "decide": {"min_area": 16}, "outputs": [{"masks": "tiff"}], "store": out,
            "limits": {"block_mb": 128, "band_mb": 128, "image_mb": 128},
        });
        fs::write(&job, spec.to_string())?;
        run(Command::new(&self.marquetry).arg("run").arg(&job))
    }
}

/// Three bands of smooth patterns with noise, written band of rows by band of rows.
fn write_image(path: &Path, side: u32) -> Result<()> {
    const ROWS: u32 = 64;
    let bands = ["red", "green", "blue"].map(str::to_owned).to_vec();
    let file = BufWriter::new(fs::File::create(path)?);
    let size = Size::square(side);
    let mut tiff = ScoreTiff::new(file, size, bands, ScoreDepth::U8, None, TiffOptions::default())?;
    let value = |band: u32, y: u32, x: u32| {
        let wave = ((y * (band + 1)) as f32 / 331.0).sin() * ((x * (3 - band)) as f32 / 271.0).cos();
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ band) % 61;
        0.5 + 0.35 * wave + noise as f32 / 512.0
    };
    for top in (0..side).step_by(ROWS as usize) {
        let rows = ROWS.min(side - top);
        let part: Vec<f32> = (0..3)
            .flat_map(|band| (top..top + rows).flat_map(move |y| (0..side).map(move |x| value(band, y, x))))
            .collect();
        tiff.band(&part, rows)?;
    }
    Ok(Box::new(tiff).finish()?)
}
