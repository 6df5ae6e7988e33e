//! `cargo xtask chaos`: storms over clusters, for as long as one likes.

use crate::checks::test_with;
use crate::tools::{cargo, workspace};
use anyhow::Result;

/// The test that is one storm on a folder and one on S3.
const STORM: &str = "cluster::kills";

#[derive(clap::Args)]
pub(crate) struct Chaos {
    /// How long storms follow each other [default: 10, unless --faults is given].
    #[arg(long)]
    minutes: Option<f64>,
    /// Until so many things went wrong, and at least as long as --minutes.
    #[arg(long)]
    faults: Option<u32>,
    /// The first storm's seed, as a storm before has printed it [default: one of the moment].
    #[arg(long)]
    seed: Option<u64>,
}

impl Chaos {
    pub(crate) fn run(&self) -> Result<()> {
        let mut storms = cargo();
        storms.arg("test").args(workspace()).args(["--test", "it", "--", STORM, "--nocapture"]);
        let minutes = self.minutes.unwrap_or(if self.faults.is_some() { 0.0 } else { 10.0 });
        storms.env("MARQUETRY_CHAOS_MINUTES", minutes.to_string());
        storms.env("MARQUETRY_CHAOS_FAULTS", self.faults.unwrap_or(0).to_string());
        if let Some(seed) = self.seed {
            storms.env("MARQUETRY_SEED", seed.to_string());
        }
        test_with(&mut storms)
    }
}
