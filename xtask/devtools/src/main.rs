//! The part of `cargo xtask` that needs Marquetry's own crates. `xtask` builds it, with the binary where that is run, and
//! hands everything over: options without defaults, and ONNX Runtime in the environment.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to people on a terminal")]

mod bench;
mod demo;
mod docs;
mod label_noise;
mod memory;
mod scene;

use anyhow::{Context, Result, bail};
use clap::Parser;
use marquetry_geometry::Size;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Parser)]
enum Task {
    /// Run the main job on generated pictures, and print what each step of the ensemble is worth.
    Demo {
        /// The binary.
        #[arg(long)]
        marquetry: PathBuf,
    },
    /// Measure marquetry beside a bare ONNX Runtime loop.
    Bench(bench::Bench),
    /// Run jobs that could take much memory, and compare what they take with what their limits allow.
    Memory(memory::Memory),
    /// Make labels wrong on purpose, and print how well the output `label_quality` finds them.
    LabelNoise(label_noise::LabelNoise),
    /// Draw pictures of marquetry with their masks.
    Scenes {
        /// The folder to write images/, masks/ and folds.csv to.
        #[arg(long)]
        out: PathBuf,
        #[arg(long)]
        count: u32,
        #[arg(long)]
        seed: u32,
        /// Height and width in pixels.
        #[arg(long, value_parser = parse_size)]
        size: Size,
        /// Deal the scenes to so many folds; with 0 all are held out as `test`.
        #[arg(long)]
        folds: u32,
    },
    /// Write the pages of docs/ that are made from the code.
    Docs {
        /// Write nothing; fail when a page is not what the code says.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Demo { marquetry } => demo::demo(&marquetry),
        Task::Bench(bench) => bench.run(),
        Task::Memory(memory) => memory.run(),
        Task::LabelNoise(label_noise) => label_noise.run(),
        Task::Scenes { out, count, seed, size, folds } => {
            scene::write_dataset(&scene::DatasetSpec { out, count, seed, size, folds })
        }
        Task::Docs { check } => docs::docs(check),
    }
}

fn parse_size(text: &str) -> Result<Size> {
    let (height, width) = text.split_once('x').context("a size is HEIGHTxWIDTH, such as 256x384")?;
    let side = |text: &str| text.parse::<u32>().ok().filter(|side| *side > 0);
    let size = side(height)
        .zip(side(width))
        .with_context(|| format!("{text} is no size: use HEIGHTxWIDTH in pixels"))?;
    Ok(Size::new(size.0, size.1))
}

/// The repository's root.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// What was made and can be made again.
fn cache() -> PathBuf {
    root().join(".cache")
}

/// Runs a command in the repository's root; an error if it fails.
fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.current_dir(root()).status().with_context(|| format!("cannot start {shown}"))?;
    if !status.success() {
        bail!("{shown} failed ({status})");
    }
    Ok(())
}
