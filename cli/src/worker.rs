//! `marquetry worker`: runs members for the jobs of a cluster.

use crate::args::WorkerArgs;
use crate::broker::lost_queue;
use crate::exit::{Exit, Fatal};
use crate::job::load_runtime;
use crate::process::{Process, RETRY_TIMEOUT};
use crate::run::no_threads;
use crate::say;
use crate::self_test::{require, self_test, trusted_stores};
use crate::threads::Threads;
use marquetry_job::Provider;
use marquetry_model::SessionOptions;
use marquetry_worker::{ImageOptions, Worker, WorkerError, WorkerOptions, scorers, try_device};
use std::sync::Arc;
use std::time::Duration;

const MB: u64 = 1 << 20;

pub(crate) fn run(args: &WorkerArgs) -> Result<Exit, Fatal> {
    let process = Process::start(&args.process, &args.storage, RETRY_TIMEOUT)?;
    let runtime = load_runtime(args.onnxruntime.as_deref())?;
    let threads = Threads::choose(args.lanes.lanes, args.lanes.threads).on(args.device, args.lanes.lanes);
    threads.require()?;
    let session = SessionOptions::on(args.device, threads.each);
    let files = process.files().clone();
    let metrics = process.metrics();
    let stores = trusted_stores(&process, &args.trust)?;
    let tried = runtime.clone();
    let self_test = self_test(&process, &args.trust, &stores)
        .and("the device", move || try_device(&tried, Provider::Any, &session));
    require(&self_test)?;
    let model_bytes = args.lanes.models_mb.saturating_mul(MB);
    let scorers = scorers(runtime.clone(), session, files.clone(), metrics.clone(), model_bytes);
    let scorers = scorers.map_err(|error| no_threads(&error))?;
    let options = WorkerOptions {
        lanes: threads.lanes,
        canvas_bytes: args.canvas_mb.saturating_mul(MB),
        model_bytes,
        images: ImageOptions {
            pixels_max: args.image_megapixels.saturating_mul(1_000_000),
            memory_bytes: args.image_mb.saturating_mul(MB),
            scratch_dir: process.scratch().to_path_buf(),
            files,
            planned_here: false,
        },
        deadline: Some(Duration::from_secs(args.deadline_seconds)),
        self_test,
        metrics: process.metrics().clone(),
    };
    let name = process.name().to_owned();
    let ready = process.readiness();
    process.block_on(async {
        let queue = args.broker.connect().await?;
        ready();
        let drain = args.drain.listen();
        let worker =
            Worker::start(&name, stores, queue, &scorers, &options).map_err(|error| no_threads(&error))?;
        say::note(&format!(
            "worker {name} is ready: ONNX Runtime {} on {}, {} lanes × {} threads",
            runtime.version(),
            args.device,
            threads.lanes,
            threads.each
        ));
        Arc::new(worker).run(&drain).await.map_err(ended)?;
        Ok(Exit::Done)
    })
}

/// Why a worker ends by itself: whoever watches over it sees by the code whether to start it again.
pub(crate) fn ended(error: WorkerError) -> Fatal {
    match error {
        WorkerError::Queue(error) => lost_queue(error),
        error @ WorkerError::Stuck(_) => Fatal::new(Exit::TryAgain, error),
        error @ WorkerError::Sick { class, .. } => Fatal::new(Exit::from(class), error),
    }
}
