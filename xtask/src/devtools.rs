//! What needs Marquetry's own crates: its program is built when it is asked for, and run.

use crate::tools::{Python, cargo, run, target};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// The package.
const PACKAGE: &str = "marquetry-devtools";

/// The program and the binary it measures, with all optimisations.
struct Release {
    devtools: Command,
    marquetry: PathBuf,
}

impl Release {
    /// Builds both in one go, so that what they share is compiled once. A job in one process needs neither a broker nor
    /// a bucket nor GPU metrics, whose clients would be the larger part of the build.
    fn build() -> Result<Self> {
        eprintln!(
            "building marquetry and its tools with all optimisations (the first time five minutes on two cores)"
        );
        let packages = ["--package", "marquetry-cli", "--package", PACKAGE];
        run(cargo().args(["build", "--release", "--no-default-features"]).args(packages))?;
        let folder = target().join("release");
        Ok(Self { devtools: Command::new(folder.join(PACKAGE)), marquetry: folder.join("marquetry") })
    }
}

/// Runs the task of this name with its options, the binary and ONNX Runtime.
fn measure(task: &str, options: &[(&str, String)]) -> Result<()> {
    let python = Python::ready()?;
    let Release { mut devtools, marquetry } = Release::build()?;
    devtools.arg(task).arg("--marquetry").arg(marquetry);
    for (name, value) in options {
        devtools.args([*name, value]);
    }
    run(python.give_to(&mut devtools))
}

/// The main job on generated pictures.
pub(crate) fn demo() -> Result<()> {
    measure("demo", &[])
}

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Side of the generated image, px.
    #[arg(long, default_value_t = 4096, conflicts_with = "peers")]
    side: u32,
    /// Members, as a pattern below demo/models.
    #[arg(long, default_value = "fold{0..2}_seed0_epoch48", conflicts_with = "peers")]
    members: String,
    /// Views: d4, flips, hflip, …; none for the window alone.
    #[arg(long, default_value = "none", conflicts_with = "peers")]
    views: String,
    /// Instead of that, whole jobs of several kinds by Marquetry and by what people use in its place: a plain Python loop and,
    /// if asked for, MONAI, in a virtual environment in `.cache`.
    #[arg(long)]
    peers: bool,
    #[command(flatten)]
    of_peers: crate::peers::Options,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        if self.peers {
            return self.of_peers.run();
        }
        let side = self.side.to_string();
        measure("bench", &[("--side", side), ("--members", self.members), ("--views", self.views)])
    }
}

/// What is tried.
#[derive(clap::Args)]
pub(crate) struct Memory {
    /// The jobs, by the beginnings of their names, with commas between [default: all of them].
    #[arg(long, default_value = "")]
    only: String,
    /// Factor on the sides of large images: with 2.5 the one of 20 classes is 20,000 × 20,000 px.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

impl Memory {
    pub(crate) fn run(&self) -> Result<()> {
        measure("memory", &[("--only", self.only.clone()), ("--scale", self.scale.to_string())])
    }
}

/// What is planted.
#[derive(clap::Args)]
pub(crate) struct LabelNoise {
    /// How many pictures are painted: the 60 that the demo's models were trained on, and new ones.
    #[arg(long, default_value_t = 180)]
    count: u32,
    /// How many labels are wrong, in per cent, with commas between.
    #[arg(long, default_value = "1,5,20")]
    percent: String,
    /// What is wrong with them, by the beginnings of names, with commas between [default: shifted, smoothed, swapped,
    /// missing, invented, other].
    #[arg(long, default_value = "", hide_default_value = true)]
    kinds: String,
    /// How often each is planted, in other labels each time; the figures are means.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

impl LabelNoise {
    pub(crate) fn run(self) -> Result<()> {
        let numbers = [("--count", self.count), ("--rounds", self.rounds)];
        let mut options = vec![("--percent", self.percent), ("--kinds", self.kinds)];
        options.extend(numbers.map(|(name, number)| (name, number.to_string())));
        measure("label-noise", &options)
    }
}

/// Which pictures are drawn.
#[derive(clap::Args)]
pub(crate) struct Scenes {
    /// The folder to write images/, masks/ and folds.csv to.
    #[arg(long)]
    out: PathBuf,
    #[arg(long, default_value_t = 90)]
    count: u32,
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Height and width in pixels.
    #[arg(long, default_value = "256x256")]
    size: String,
    /// Deal the scenes to so many folds; with 0 all are held out as `test`.
    #[arg(long, default_value_t = 3)]
    folds: u32,
}

impl Scenes {
    pub(crate) fn run(&self) -> Result<()> {
        // Of the folder that the user is in, while the program runs in the repository's root.
        let out = std::path::absolute(&self.out)?;
        let numbers = [("--count", self.count), ("--seed", self.seed), ("--folds", self.folds)];
        let mut devtools = Release::build()?.devtools;
        devtools.arg("scenes").arg("--out").arg(out).args(["--size", &self.size]);
        for (name, number) in numbers {
            devtools.args([name, &number.to_string()]);
        }
        run(&mut devtools)
    }
}

/// Writes the pages of docs/ that are made from the code, or compares them. As it is for tests, with no optimisation.
pub(crate) fn docs(check: bool) -> Result<()> {
    let mut devtools = cargo();
    devtools.args(["run", "--package", PACKAGE, "--", "docs"]).args(check.then_some("--check"));
    run(&mut devtools)
}
