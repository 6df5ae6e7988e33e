//! What a person would otherwise type: `cargo xtask …`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to people on a terminal")]

mod bench;
mod chaos;
mod checks;
mod demo;
mod deploy;
mod docs;
mod memory;
mod scene;
mod services;
mod simulate;
mod tools;

use anyhow::{Context, Result};
use clap::Parser;
use marquetry_geometry::Size;
use std::path::PathBuf;

#[derive(Parser)]
enum Command {
    /// Run the main job on generated pictures, and print what each step of the ensemble is worth.
    Demo,
    /// Fetch and start what the tests need, and run every one.
    Test,
    /// Start a real Kafka, S3 store and Toxiproxy on this machine, and print how tests find them.
    Services(services::ServicesCommand),
    /// Read the compose files as Docker Compose does; no engine is needed.
    ComposeCheck,
    /// Kill, stop and hold up the roles of clusters at random moments, and see that the outputs stay the same.
    Chaos(chaos::Chaos),
    /// Format, lints, documentation, licences, tests: all that must hold before a change lands.
    Ci,
    /// Write the pages of docs/ that are made from the code.
    Docs {
        /// Write nothing; fail when a page is not what the code says.
        #[arg(long)]
        check: bool,
    },
    /// Measure marquetry beside a bare ONNX Runtime loop.
    Bench(bench::Bench),
    /// Drive a real coordinator over a real broker with workers that only pretend to compute.
    Simulate(simulate::Simulate),
    /// Run one very large generated image, and print the peak memory.
    Memory(memory::Memory),
    /// Draw pictures of marquetry with their masks.
    Scenes {
        /// The folder to write images/, masks/ and folds.csv to.
        #[arg(long)]
        out: PathBuf,
        #[arg(long, default_value_t = 90)]
        count: u32,
        #[arg(long, default_value_t = 1)]
        seed: u32,
        /// Height and width in pixels.
        #[arg(long, default_value = "256x256", value_parser = parse_size)]
        size: Size,
        /// Deal the scenes to so many folds; with 0 all are held out as `test`.
        #[arg(long, default_value_t = 3)]
        folds: u32,
    },
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Demo => demo::demo(),
        Command::Test => checks::test(),
        Command::Services(services) => services.run(),
        Command::ComposeCheck => deploy::check(),
        Command::Chaos(chaos) => chaos.run(),
        Command::Ci => checks::ci(),
        Command::Docs { check } => docs::docs(check),
        Command::Bench(bench) => bench.run(),
        Command::Simulate(simulate) => simulate.run(),
        Command::Memory(memory) => memory.run(),
        Command::Scenes { out, count, seed, size, folds } => {
            scene::write_dataset(&scene::DatasetSpec { out, count, seed, size, folds })
        }
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
