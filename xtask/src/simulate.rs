//! `cargo xtask simulate`: how far one coordinator goes.

use crate::services::Services;
use crate::tools::{cargo, openssl, run};
use anyhow::Result;

/// How large the simulated job is.
#[derive(clap::Args)]
pub(crate) struct Simulate {
    /// Blocks to compute.
    #[arg(long, default_value_t = 1_000_000)]
    tasks: u64,
    /// Simulated workers.
    #[arg(long, default_value_t = 1000)]
    workers: u32,
    /// What a worker pretends to need for one block, on average, ms.
    #[arg(long, default_value_t = 200)]
    task_ms: u64,
    /// Members of their consumer group; each stands for an equal part of the workers.
    #[arg(long, default_value_t = 50)]
    members: u32,
    /// How long a member stays on average before it is cut off and another comes, s; 0: to the end.
    #[arg(long, default_value_t = 0)]
    spot_seconds: u64,
    /// Bytes of a tile that workers store and an aggregator reads and deletes; 0: the store is not touched.
    #[arg(long, default_value_t = 0)]
    tile_bytes: usize,
    /// The job's store is the bucket, and not a folder.
    #[arg(long)]
    in_bucket: bool,
    /// Tiles that are left in a bucket for a coordinator to find and to delete.
    #[arg(long, default_value_t = 100_000)]
    bucket_tiles: u64,
}

impl Simulate {
    pub(crate) fn run(&self) -> Result<()> {
        let program = ["--release", "--package", "marquetry-tests", "--example", "simulate"];
        // Built before the broker runs, so that the two do not wait for each other.
        eprintln!("building the simulation with all optimisations (the first time some minutes)");
        run(cargo().arg("build").args(program).args(openssl("marquetry-tests")))?;
        let services = Services::start()?;
        let mut simulate = cargo();
        simulate.args(["run", "--quiet"]).args(program).args(openssl("marquetry-tests")).args([
            "--",
            "--tasks",
            &self.tasks.to_string(),
            "--workers",
            &self.workers.to_string(),
            "--task-ms",
            &self.task_ms.to_string(),
            "--members",
            &self.members.to_string(),
            "--spot-seconds",
            &self.spot_seconds.to_string(),
            "--tile-bytes",
            &self.tile_bytes.to_string(),
            "--bucket-tiles",
            &self.bucket_tiles.to_string(),
        ]);
        simulate.args(self.in_bucket.then_some("--in-bucket"));
        run(services.give_to(&mut simulate))
    }
}
