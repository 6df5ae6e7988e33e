//! `cargo xtask simulate`: how far one coordinator goes.

use crate::services::Services;
use crate::tools::{cargo, run};
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
}

impl Simulate {
    pub(crate) fn run(&self) -> Result<()> {
        let program = ["--quiet", "--release", "--package", "marquetry-tests", "--example", "simulate"];
        // Built before the broker runs, so that the two do not wait for each other.
        run(cargo().arg("build").args(program))?;
        let services = Services::start()?;
        let mut simulate = cargo();
        simulate.arg("run").args(program).args([
            "--",
            "--tasks",
            &self.tasks.to_string(),
            "--workers",
            &self.workers.to_string(),
            "--task-ms",
            &self.task_ms.to_string(),
        ]);
        run(services.give_to(&mut simulate))
    }
}
