//! `marquetry aggregate`: puts finished images together for the jobs of a cluster.

use crate::args::AggregateArgs;
use crate::broker::lost_queue;
use crate::exit::{Exit, Fatal};
use crate::process::{Process, RETRY_TIMEOUT};
use crate::say;
use crate::self_test::{require, self_test, trusted_stores};
use marquetry_aggregator::{Aggregator, AggregatorOptions};
use marquetry_transport::lag::watch;
use std::sync::Arc;

pub(crate) fn run(args: &AggregateArgs) -> Result<Exit, Fatal> {
    let process = Process::start(&args.process, &args.storage, RETRY_TIMEOUT)?;
    let options = AggregatorOptions {
        images: usize::from(args.images),
        temp_dir: process.scratch().to_path_buf(),
        files: process.files().clone(),
        planned_here: false,
        metrics: process.metrics().clone(),
    };
    let (name, stores) = (process.name().to_owned(), trusted_stores(&process, &args.trust)?);
    require(&self_test(&process, &args.trust, &stores))?;
    let (ready, metrics) = (process.readiness(), process.metrics().clone());
    process.block_on(async {
        let queue = args.broker.connect().await?;
        ready();
        // An aggregator is there while no job is: what waits is known by it, for whatever adds workers.
        let _watching = watch(Arc::clone(&queue), metrics);
        let drain = args.drain.listen();
        let aggregator = Arc::new(Aggregator::new(&name, stores, queue, options));
        say::note(&format!("aggregator {name} is ready: {} images at a time", args.images));
        aggregator.run(&drain).await.map_err(lost_queue)?;
        Ok(Exit::Done)
    })
}
