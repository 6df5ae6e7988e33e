//! The jobs whose memory is measured.

use crate::memory::MB;
use crate::memory::images::{write_large, write_small};
use anyhow::Result;
use marquetry_model::toy::{Toy, Weights};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A job, and why it could take much.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// Makes its images and models in a folder. The sides of large images are multiplied by the factor.
    pub(super) make: fn(&Path, f64) -> Result<Made>,
}

/// A job that is made.
pub(super) struct Made {
    pub(super) job: Value,
    /// What models, and lists of images, need beside limits, MB.
    pub(super) activations_mb: u64,
    /// What it would take to hold all scores, or all rows of tables, at once, MB.
    pub(super) naive_mb: u64,
}

pub(super) const CASES: [Case; 10] = [
    Case { name: "windows", about: "a large image by windows, 20 classes, labels tidied up", make: windows },
    Case { name: "whole", about: "a large image shown whole", make: whole },
    Case { name: "small-scale", about: "a large image at a fiftieth of its size", make: small_scale },
    Case { name: "wide", about: "an image of very long rows", make: wide },
    Case {
        name: "zarr",
        about: "probabilities of 150 classes as Zarr",
        make: |place, scale| probabilities(place, scale, "zarr"),
    },
    Case {
        name: "tiff",
        about: "probabilities of 150 classes as TIFF",
        make: |place, scale| probabilities(place, scale, "tiff"),
    },
    Case { name: "long-runs", about: "a table of very long run lengths", make: long_runs },
    Case { name: "polygons", about: "outlines of many small objects", make: polygons },
    Case { name: "many-images", about: "20,000 images of 64 px and a table", make: many_images },
    Case { name: "judged", about: "a large image beside its truth", make: judged },
];

/// A job of one member on one large image of `height` × `width` px beside a small one.
fn large(
    place: &Path,
    (height, width): (u32, u32),
    classes: u32,
    window: &Value,
    more: &Value,
) -> Result<Made> {
    let images = place.join("images");
    fs::create_dir_all(&images)?;
    write_small(&images.join("0.png"), 64)?;
    write_large(&images.join("large.tiff"), height, width)?;
    let model = place.join("model.onnx");
    fs::write(&model, Toy { classes, weights: Weights::Seeded(7), ..Toy::default() }.bytes())?;
    let names: Vec<String> = (0..classes).map(|class| format!("class-{class}")).collect();
    let mut job = json!({
        "version": 1, "name": "memory", "images": images, "classes": names, "members": [{"onnx": model}],
        "defaults": {"window": window}, "outputs": [{"masks": "tiff"}], "store": place.join("out"),
        "limits": {"block_mb": 64, "band_mb": 32, "image_mb": 64},
    });
    if let (Some(job), Some(more)) = (job.as_object_mut(), more.as_object()) {
        job.extend(more.clone());
    }
    let side = window["size"].as_u64().unwrap_or(512);
    // Of each lane the scores of one window, before and after the activation, and what a convolution holds beside them.
    let activations_mb = 2 * 4 * side * side * u64::from(classes) * 4 / MB;
    let naive_mb = u64::from(height) * u64::from(width) * u64::from(classes) * 4 / MB;
    Ok(Made { job, activations_mb, naive_mb })
}

fn sides(height: u32, width: u32, scale: f64) -> (u32, u32) {
    let side = |px: u32| ((f64::from(px) * scale) as u32).max(256);
    (side(height), side(width))
}

fn windows(place: &Path, scale: f64) -> Result<Made> {
    let window = json!({"size": 512, "overlap": 0.125});
    large(place, sides(8000, 8000, scale), 20, &window, &json!({"decide": {"min_area": 16}}))
}

fn whole(place: &Path, scale: f64) -> Result<Made> {
    large(place, sides(12_000, 12_000, scale), 4, &json!({"size": 512, "mode": "whole"}), &json!({}))
}

fn small_scale(place: &Path, scale: f64) -> Result<Made> {
    let mut made =
        large(place, sides(12_000, 12_000, scale), 4, &json!({"size": 128, "overlap": 0.125}), &json!({}))?;
    made.job["members"][0]["scale"] = json!(0.02);
    Ok(made)
}

fn wide(place: &Path, scale: f64) -> Result<Made> {
    large(place, sides(512, 100_000, scale), 8, &json!({"size": 256, "overlap": 0.125}), &json!({}))
}

fn probabilities(place: &Path, scale: f64, format: &str) -> Result<Made> {
    let outputs = json!({"outputs": [{"probabilities": {"format": format, "dtype": "u8"}}]});
    large(place, sides(2048, 2048, scale), 150, &json!({"size": 256, "overlap": 0.0}), &outputs)
}

fn long_runs(place: &Path, scale: f64) -> Result<Made> {
    let outputs = json!({"outputs": [{"submission": "kaggle-rle"}, {"coco": "rle"}]});
    large(place, sides(6000, 6000, scale), 3, &json!({"size": 512, "overlap": 0.0}), &outputs)
}

fn polygons(place: &Path, scale: f64) -> Result<Made> {
    let outputs = json!({"outputs": [{"polygons": "geojson"}]});
    large(place, sides(4000, 4000, scale), 3, &json!({"size": 512, "overlap": 0.0}), &outputs)
}

fn judged(place: &Path, scale: f64) -> Result<Made> {
    let size = sides(6000, 6000, scale);
    let truth = place.join("truth");
    fs::create_dir_all(&truth)?;
    let more = json!({
        "outputs": [{"evaluation": "html"}], "truth": {"from": truth, "others": "ignore"},
        "limits": {"block_mb": 64, "band_mb": 32, "image_mb": 512},
    });
    let made = large(place, size, 3, &json!({"size": 512, "overlap": 0.0}), &more)?;
    crate::memory::images::write_labels(&truth.join("large.png"), size.0, size.1, 3)?;
    crate::memory::images::write_labels(&truth.join("0.png"), 64, 64, 3)?;
    Ok(made)
}

fn many_images(place: &Path, _: f64) -> Result<Made> {
    const IMAGES: u32 = 20_000;
    let mut made = large(
        place,
        (64, 64),
        3,
        &json!({"size": 64, "overlap": 0.0}),
        &json!({"outputs": [{"submission": "kaggle-rle"}]}),
    )?;
    let images = place.join("images");
    if !images.join(format!("{}.png", IMAGES - 1)).is_file() {
        for number in 1..IMAGES {
            fs::copy(images.join("0.png"), images.join(format!("{number}.png")))?;
        }
    }
    made.naive_mb = 1600;
    // What is kept of each image from its plan to the table, some kilobytes.
    made.activations_mb += u64::from(IMAGES) * 5 / 1024;
    Ok(made)
}
