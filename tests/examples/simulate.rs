//! A coordinator at its real work, over a real broker, with workers that only pretend to compute: how many messages a
//! second it plans and publishes, what it costs, and how long workers wait for it.
//!
//! `cargo xtask simulate` starts the broker and runs this. The workers live in a process of their own, so that what is
//! measured of this one is the coordinator's alone.

#![expect(clippy::print_stdout, reason = "this program talks to people on a terminal")]

#[path = "simulate/bucket.rs"]
mod bucket;
#[path = "simulate/dispatch.rs"]
mod dispatch;
#[path = "simulate/measure.rs"]
mod measure;
#[path = "simulate/restart.rs"]
mod restart;
#[path = "simulate/store.rs"]
mod store;
#[path = "simulate/workers.rs"]
mod workers;

use anyhow::{Context, Result};
use clap::Parser;
use marquetry_coordinator::{JobRunner, OtherResults, StoredInputs, new_run};
use marquetry_ensemble::{ClassMap, Importance, Labelling, OutputActivation, ScoreSpace, View, ViewMerge};
use marquetry_geometry::{Edges, Reading, Size, WindowSpec};
use marquetry_job::{
    Fit, Group, Inference, Input, Member, Merge, PLAN_FORMAT, Plan, PlannedImage, Scaling, TileDtype,
};
use marquetry_spec::JobSpec;
use marquetry_telemetry::Metrics;
use marquetry_transport::{KafkaOptions, KafkaQueue, S3, S3Options, Stores};
use measure::Usage;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use workers::Simulated;

/// Blocks of one simulated image.
const BLOCKS: u64 = 50;

#[derive(Parser)]
struct Args {
    /// Blocks to compute.
    #[arg(long, default_value_t = 1_000_000)]
    tasks: u64,
    /// Simulated workers.
    #[arg(long, default_value_t = 1000)]
    workers: usize,
    /// Members of their consumer group; each stands for an equal part of the workers.
    #[arg(long, default_value_t = 50)]
    members: usize,
    /// How long a member stays on average before it is cut off and another comes, s; 0: to the end.
    #[arg(long, default_value_t = 0)]
    spot_seconds: u64,
    /// What a worker pretends to need for one block, ms; each block differs by up to a half.
    #[arg(long, default_value_t = 200)]
    task_ms: u64,
    /// Bytes of a tile that workers store and an aggregator reads and deletes; 0: the store is not touched.
    #[arg(long, default_value_t = 0)]
    tile_bytes: usize,
    /// The job's store is the bucket, and not a folder.
    #[arg(long)]
    in_bucket: bool,
    /// Tiles that are left in a bucket for a coordinator to find and to delete.
    #[arg(long, default_value_t = 100_000)]
    bucket_tiles: u64,
    /// A bucket to leave them in, at the endpoint that the environment names.
    #[arg(long, env = "MARQUETRY_TEST_BUCKET")]
    bucket: Option<String>,
    #[arg(long, env = "MARQUETRY_TEST_S3")]
    endpoint: Option<String>,
    /// Kafka brokers.
    #[arg(long, env = "MARQUETRY_TEST_KAFKA")]
    brokers: String,
    #[arg(long, hide = true)]
    prefix: Option<String>,
}

impl Args {
    fn s3(&self) -> S3 {
        S3::new(S3Options { endpoint: self.endpoint.clone(), ..S3Options::default() })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    match &args.prefix {
        Some(prefix) => {
            let s3 = args.s3();
            let Args { workers, members, task_ms, spot_seconds, tile_bytes, .. } = args;
            let simulated = Simulated { workers, members, task_ms, spot_seconds, tile_bytes };
            workers::run(&args.brokers, prefix, s3, simulated).await
        }
        None => coordinate(&args).await,
    }
}

/// A queue whose topics have a partition for each of so many members, and no fewer than is usual.
async fn queue_of(brokers: &str, prefix: &str, members: usize) -> Result<Arc<KafkaQueue>> {
    let usual = KafkaOptions::new(brokers);
    let partitions = usual.partitions.max(members as i32);
    let options = KafkaOptions { prefix: prefix.to_owned(), partitions, ..usual };
    Ok(Arc::new(KafkaQueue::connect(options).await?))
}

async fn coordinate(args: &Args) -> Result<()> {
    let prefix = format!("simulate-{:08x}", fastrand::u32(..));
    let folder = tempfile::tempdir()?;
    let uri = match &args.bucket {
        Some(bucket) if args.in_bucket => format!("s3://{bucket}/{prefix}-store"),
        None if args.in_bucket => anyhow::bail!("there is no bucket"),
        _ => folder.path().display().to_string(),
    };
    let store = Stores::new(args.s3(), Metrics::new()).open_now(&uri).await?;
    let queue = queue_of(&args.brokers, &prefix, args.members).await?;

    let started = Instant::now();
    let images = args.tasks.div_ceil(BLOCKS) as u32;
    let (plan, images) = (plan(), images_of(images));
    let tasks = plan.cost(&images).tasks;
    println!("planned {tasks} tasks of {} images in {:.2} s", images.len(), started.elapsed().as_secs_f64());

    let spec = spec()?;
    let runner = JobRunner {
        store,
        queue,
        run: &new_run(&plan.job, &uri),
        plan: &plan,
        inputs: Arc::new(StoredInputs::new(&plan, &spec, "simulated")),
        images: &images,
        spec: &spec,
        outputs: "simulated",
        attempts_max: 3,
        stop_at_loss: false,
        keep_tiles: false,
        other_results: OtherResults::Delete,
        overdue_after: Duration::from_mins(10),
        metrics: &Metrics::new(),
    };
    work(args, &prefix, &runner, tasks).await?;
    if args.tile_bytes > 0 {
        // What follows would find the images finished.
        return Ok(());
    }

    let aside = queue_of(&args.brokers, &format!("{prefix}-aside"), args.members).await?;
    let rate = dispatch::rate(&aside, &plan, &images, runner.run).await?;
    println!("dispatch:    {rate:.0} task messages/s planned and published, while nobody reads them");

    restart::leave_tiles(folder.path(), &plan, &images)?;
    let (took, found) = restart::measure(&runner).await?;
    println!("restart:     {:.1} s until the {found} tiles of a folder are known", took.as_secs_f64());

    if let (Some(bucket), 1..) = (&args.bucket, args.bucket_tiles) {
        let uri = format!("s3://{bucket}/{prefix}");
        let store = Stores::new(args.s3(), Metrics::new()).open_now(&uri).await?;
        let images = &images[..images.len().min(args.bucket_tiles.div_ceil(BLOCKS) as usize)];
        let runner = JobRunner { store, images, run: &new_run(&plan.job, &uri), ..runner };
        bucket::measure(&runner, plan.cost(images).tasks).await?;
    }
    Ok(())
}

/// Has all tasks done by simulated workers, and says what that cost.
async fn work(args: &Args, prefix: &str, runner: &JobRunner<'_>, tasks: u64) -> Result<()> {
    let mut workers = Command::new(std::env::current_exe()?)
        .args(["--brokers", &args.brokers, "--prefix", prefix])
        .args(["--workers", &args.workers.to_string(), "--task-ms", &args.task_ms.to_string()])
        .args(["--members", &args.members.to_string(), "--spot-seconds", &args.spot_seconds.to_string()])
        .args(["--tile-bytes", &args.tile_bytes.to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .context("the simulated workers")?;
    let (before, started) = (Usage::now()?, Instant::now());
    let mut ramp = None;
    let tally = runner
        .run(|tally| {
            // From here on every worker has had a task.
            if ramp.is_none() && tally.tasks_computed >= 2 * args.workers as u64 {
                ramp = Some((started.elapsed(), tally.tasks_computed));
            }
        })
        .await?
        .tally;
    let (wall, used) = (started.elapsed().as_secs_f64(), Usage::now()?);
    anyhow::ensure!(tally.tasks_computed == tasks, "{} of {tasks} tasks", tally.tasks_computed);
    // The workers end when nobody holds the other end of their input, and say how long they were idle.
    drop(workers.stdin.take());
    workers.wait()?;

    println!("coordinator: {:.0} tasks/s over {wall:.1} s", tasks as f64 / wall);
    if let Some((at, done)) = ramp {
        let rate = (tasks - done) as f64 / (wall - at.as_secs_f64());
        let ideal = args.workers as f64 * 1000.0 / args.task_ms.max(1) as f64;
        println!(
            "             {rate:.0} tasks/s once all were at work, of {ideal:.0} that the workers could do"
        );
    }
    let cpu = used.cpu_seconds - before.cpu_seconds;
    let (us, mb) = (1e6 * cpu / tasks as f64, used.peak_mb);
    println!("             {us:.1} µs of CPU a task, {mb:.0} MB resident at most");
    println!("             {} sent again for being late", tally.resent);
    Ok(())
}

/// A plan of one member that nobody runs.
fn plan() -> Plan {
    let window = Size::square(512);
    let input = Input::default();
    let member = Member {
        name: "none".into(),
        onnx: "none.onnx".into(),
        sha256: String::new(),
        external: Vec::new(),
        model_bytes: 0,
        tags: BTreeMap::new(),
        weights: vec![1.0; 2],
        input,
        applied: OutputActivation::None,
        classes: ClassMap::default(),
        fit: Fit::Resize,
        signatures: Vec::new(),
    };
    let group = Group {
        scaling: Scaling::Factor(1.0),
        resample: marquetry_geometry::Resample::Linear,
        window: WindowSpec { inner: window, margin: Size::square(0), stride: window, edges: Edges::Shift },
        importance: Importance::Constant,
        views: vec![View::IDENTITY],
        members: vec![member],
    };
    let inference = Inference {
        format: PLAN_FORMAT,
        reading: Reading::default(),
        classes: vec!["a".into(), "b".into()],
        labelling: Labelling::Multiclass,
        view_merge: ViewMerge::Mean,
        view_space: ScoreSpace::Probabilities,
        tile_space: ScoreSpace::Probabilities,
        centred: false,
        swapped: std::collections::BTreeMap::new(),
        tile: TileDtype::F16,
        block_pixels: window.area(),
        region: None,
        cascade: None,
        gate: Vec::new(),
        groups: vec![group],
    };
    let merge = Merge { space: ScoreSpace::Probabilities, weights: vec![vec![1.0; 2]] };
    Plan::new("simulate", inference, merge)
}

/// Images that nobody looks at.
fn images_of(count: u32) -> Vec<PlannedImage> {
    let image = |n: u32| PlannedImage {
        id: format!("image-{n:07}"),
        uri: format!("s3://bucket/images/image-{n:07}.tif"),
        sidecars: Vec::new(),
        version: String::new(),
        key: format!("{n:016x}"),
        content: None,
        size: Size::new(5 * 512, BLOCKS as u32 / 5 * 512),
        bands: 3,
        tags: BTreeMap::new(),
        members: None,
        truth: None,
    };
    (0..count).map(image).collect()
}

fn spec() -> Result<JobSpec> {
    let text = "
version: 1
images: nowhere
classes: [a, b]
members: [{onnx: none.onnx}]
outputs: [{masks: png}]
";
    JobSpec::parse(text).map_err(|errors| anyhow::anyhow!("{errors}"))
}
