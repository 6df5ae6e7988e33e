//! `cargo xtask chaos`: storms over clusters, for as long as one likes.

use crate::checks::test_with;
use crate::tools::{cargo, workspace};
use anyhow::Result;

/// The test that is one storm on a folder and one on S3.
const STORM: &str = "cluster::kills";

#[derive(clap::Args)]
pub(crate) struct Chaos {
    /// How long storms follow each other.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The first storm's seed, as a storm before has printed it [default: one of the moment].
    #[arg(long)]
    seed: Option<u64>,
}

impl Chaos {
    pub(crate) fn run(&self) -> Result<()> {
        let mut storms = cargo();
        storms.arg("test").args(workspace()).args(["--test", "it", "--", STORM, "--nocapture"]);
        storms.env("MARQUETRY_CHAOS_MINUTES", self.minutes.to_string());
        if let Some(seed) = self.seed {
            storms.env("MARQUETRY_SEED", seed.to_string());
        }
        test_with(&mut storms)
    }
}
