//! What anyone may hand to Marquetry, and the readers that must survive it: images, files beside them, labels, models, tiles,
//! messages, job files, lists of images.
//!
//! Each target shows bytes to one reader. It may refuse them, and must not panic, hang, or take memory that the bytes do
//! not justify; what it accepts must keep its own laws. `cargo xtask fuzz` lets libFuzzer look for bytes that break
//! this; `cargo test` shows each target its seeds, what broke it before, and a few thousand changed seeds.

mod image;
mod job;
mod labels;
mod onnx;
mod seeds;
mod sidecar;
mod tile;

/// A reader under test.
pub struct Target {
    /// What it is called on the command line, and the name of its folder of inputs.
    pub name: &'static str,
    /// Shows it some bytes.
    pub run: fn(&[u8]),
    /// Inputs to begin with: whole files of each form that it reads.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 12] = [
    Target { name: "tiff", run: image::tiff, seeds: seeds::tiff },
    Target { name: "png", run: image::png, seeds: seeds::png },
    Target { name: "jpeg", run: image::jpeg, seeds: seeds::jpeg },
    Target { name: "other-image", run: image::other, seeds: seeds::other_images },
    Target { name: "sidecar", run: sidecar::sidecar, seeds: seeds::sidecars },
    Target { name: "label", run: labels::label, seeds: seeds::labels },
    Target { name: "coco", run: labels::coco, seeds: seeds::coco },
    Target { name: "geojson", run: labels::geojson, seeds: seeds::geojson },
    Target { name: "tile", run: tile::tile, seeds: seeds::tiles },
    Target { name: "onnx", run: onnx::onnx, seeds: seeds::models },
    Target { name: "message", run: job::message, seeds: seeds::messages },
    Target { name: "job-file", run: job::job_file, seeds: seeds::job_files },
];

#[cfg(test)]
mod tests;
