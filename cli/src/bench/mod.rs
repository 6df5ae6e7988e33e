//! `marquetry bench`: what a job's models and the work around them take on this machine, and so how long the job will.

mod model_rates;
mod sample;
mod told;

use crate::args::{Common, LaneArgs};
use crate::exit::{Exit, Fatal};
use crate::hardware::DeviceArgs;
use crate::job::{JobFile, StoredMemory, load_runtime, start_tokio, tables};
use crate::run::InProcessCluster;
use crate::run_folder::RunFolder;
use crate::say;
use crate::storage::StorageArgs;
use crate::subset::SubsetArgs;
use crate::threads::Threads;
use clap::Args;
use marquetry_model::Device;
use marquetry_telemetry::Metrics;
use model_rates::model_rates;
use sample::Sampling;
use std::sync::Arc;
use std::time::Duration;
use told::Told;

/// The folder of a job's store where samples are run, apart from the job's own results.
const FOLDER: &str = "bench";

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// The job file: a path or `s3://bucket/key`.
    job: String,
    /// About how long the job is run on some of its images, s.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// What this machine costs an hour, in any currency: then it is told what the job will.
    #[arg(long, value_name = "PRICE", value_parser = price)]
    price: Option<f64>,
    #[command(flatten)]
    subset: SubsetArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    lanes: LaneArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    common: Common,
}

fn price(text: &str) -> Result<f64, String> {
    let price: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    if (0.0..=1e9).contains(&price) { Ok(price) } else { Err("a price is 0 to 1e9".into()) }
}

pub(crate) fn run(args: &BenchArgs) -> Result<Exit, Fatal> {
    let tokio = start_tokio()?;
    let threads = Threads::choose(args.lanes.lanes, args.lanes.threads);
    threads.require()?;
    let storage = args.storage.open(&tokio, Duration::ZERO, &Metrics::new()).written_behind();
    let mut job = JobFile::read(&args.job, &storage.files)?;
    args.subset.apply(&mut job.spec)?;
    let runtime = load_runtime(args.common.onnxruntime.as_deref())?;
    let device = args.device.settle(&mut job, &runtime)?;
    let threads = threads.on(device, args.lanes.lanes);
    let store = format!("{}/{FOLDER}", job.store()?.trim_end_matches('/'));
    let place = RunFolder::open(&store, &storage, &tokio)?;
    let memory = StoredMemory { store: Arc::clone(&place.store), runtime: tokio.handle().clone() };
    let planned = job.plan_for(&memory, &storage.files, &runtime, place.scratch.clone())?;
    // What `run` would refuse is not forecast.
    tables(&job, &storage.files, &planned)?;
    say::note("the models alone, one after the other");
    let asked = (args.lanes.lanes.is_some() || args.lanes.threads.is_some()).then_some(threads);
    let rates = model_rates(&planned, &storage.files, &runtime, (device, asked))?;
    let ways = if asked.is_some() || device != Device::Cpu { vec![threads] } else { rates.good_ways() };
    let (scratch, models_mb) = (place.scratch.clone(), args.lanes.models_mb);
    let local = InProcessCluster { storage, scratch, runtime, device, threads, models_mb };
    let mut sampling = Sampling { local, tokio: &tokio, memory: &memory, seconds: args.seconds.into() };
    let (threads, sample) = sampling.run(&job, &planned, &ways)?;
    let told = Told {
        planned: &planned,
        rates: &rates,
        sample: &sample,
        device,
        asked_device: args.device.asked(),
        threads,
        price: args.price,
    };
    told.print(args.common.format);
    Ok(Exit::Done)
}
