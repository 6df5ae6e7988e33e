//! `marquetry tune`: fits what an ensemble is made of to the job's truth, and writes the job with it.

use crate::args::{Common, Format, LaneArgs};
use crate::coordination::Coordination;
use crate::exit::{Exit, Fatal};
use crate::hardware::DeviceArgs;
use crate::job::{JobFile, StoredMemory, load_runtime, start_tokio};
use crate::run::{InProcessCluster, OVERDUE_AFTER};
use crate::run_folder::RunFolder;
use crate::say;
use crate::storage::StorageArgs;
use crate::subset::SubsetArgs;
use crate::summary::LastSeen;
use crate::sweep::SweepArgs;
use crate::threads::Threads;
use crate::tune_report::{Report, json, text};
use clap::{Args, ValueEnum};
use marquetry_coordinator::{
    GateSample, Planned, Probed, Tally, TuneError, probes_per_image, probing_job, read_probes, tune_cascade,
    tuned_job,
};
use marquetry_spec::{JobSpec, Output};
use marquetry_telemetry::Metrics;
use marquetry_tuning::{Metric, disagreement, rounds, tune};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

#[derive(Args)]
pub(crate) struct TuneArgs {
    /// The job file, with a truth: a path or `s3://bucket/key`.
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) sweep: SweepArgs,
    #[command(flatten)]
    pub(crate) subset: SubsetArgs,
    /// Where the tuned job file goes: into the job file's folder, since its relative paths begin there [default: the job
    /// file's name with `-tuned`].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What is made as great as it can be: the mean over classes, of counts of the whole data set.
    #[arg(long, value_enum, default_value = "mean-iou")]
    metric: MetricName,
    /// Most megabytes of probes: pixels at which what each member says is kept. They are read into memory at once. A job with the
    /// output `probes` says itself how many of each image there are.
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    probe_mb: u64,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    #[command(flatten)]
    pub(crate) lanes: LaneArgs,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What is made as great as it can be.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum MetricName {
    /// Mean IoU (`dataset` in evaluations).
    MeanIou,
    /// Mean Dice, in the same way.
    MeanDice,
}

/// How a tuned job begins: what begins so may be written over.
pub(crate) const WRITTEN: &str = "# Written by marquetry tune, of ";

impl TuneArgs {
    /// What is made as great as it can be.
    pub(crate) const fn metric(&self) -> Metric {
        match self.metric {
            MetricName::MeanIou => Metric::MeanIou,
            MetricName::MeanDice => Metric::MeanDice,
        }
    }
}

pub(crate) fn run(args: &TuneArgs) -> Result<Exit, Fatal> {
    if args.sweep.windows.is_some() || args.sweep.views.is_some() {
        return crate::sweep::run(args);
    }
    let output = place_of_output(args)?;
    check_output(&output, WRITTEN)?;
    let tokio = start_tokio()?;
    let Drawn { asked, base, coordination, tally, probed, gates } = draw(args, &tokio)?;
    tokio.shutdown_timeout(Duration::from_secs(1));
    let planned = &coordination.planned;
    if probed.sample.images() == 0 {
        let reason = "no image has a probe: nothing came of any, or no pixel of their truth is a class";
        return Err(Fatal::new(Exit::Failed, reason));
    }
    let (probes, images) = (probed.sample.probes() as u64, probed.sample.images() as u64);
    say::note(&format!("fitting to {} probes of {} images", say::count(probes), say::count(images)));
    let metric = args.metric();
    let tuned = tune(&probed.sample, (probed.space, &probed.ln_factors), metric);
    let rounds = rounds(&probed.sample, &tuned, &probed.costs, metric);
    let mut written =
        tuned_job(&asked, planned, &probed.candidates, (&tuned, &rounds), &base).map_err(failed)?;
    let cascade = tune_cascade(&asked, planned, &probed, &tuned, metric);
    cascade.iter().for_each(|cascade| cascade.apply(&mut written));
    let gate = gates.tune(&asked);
    gate.iter().for_each(|class| class.apply(&mut written));
    std::fs::write(&output, format!("{WRITTEN}{}\n", args.job) + &written.to_yaml()).map_err(|error| {
        Fatal::new(Exit::Unavailable, format!("cannot write {}: {error}", output.display()))
    })?;
    let report = Report {
        spec: &asked,
        probed: &probed,
        tuned: &tuned,
        rounds,
        cascade,
        gate,
        disagreement: disagreement(&probed.sample),
        metric,
        losses: tally.losses.sample().iter().map(|lost| (lost.image.clone(), lost.reason.clone())).collect(),
        output: &output,
    };
    match args.common.format {
        Format::Text => say::data(&text(&report)),
        Format::Json => say::data(&json(&report)),
    }
    let is_whole = tally.losses.is_empty() && planned.rejected.is_empty();
    Ok(if is_whole { Exit::Done } else { Exit::Partial })
}

/// The probes of a job, and what came of drawing them.
struct Drawn {
    /// The job as it is.
    asked: JobSpec,
    /// Its folder.
    base: String,
    coordination: Coordination,
    tally: Tally,
    probed: Probed,
    gates: GateSample,
}

/// Runs the members of the job over its images with truth, as far as their probes are not there, and reads these.
fn draw(args: &TuneArgs, tokio: &Runtime) -> Result<Drawn, Fatal> {
    let started = Instant::now();
    let threads = Threads::choose(args.lanes.lanes, args.lanes.threads);
    threads.require()?;
    let storage = args.storage.open(tokio, Duration::ZERO, &Metrics::new()).written_behind();
    let mut job = JobFile::read(&args.job, &storage.files)?;
    let asked = job.spec.clone();
    let (probing, told) = probing_job(&asked).map_err(failed)?;
    job.spec = probing;
    // What is tuned is a part; the job that is written is whole again.
    args.subset.apply(&mut job.spec)?;
    told.iter().for_each(|words| say::note(&format!("note: {words}")));
    let runtime = load_runtime(args.common.onnxruntime.as_deref())?;
    let device = args.device.settle(&mut job, &runtime)?;
    let threads = threads.on(device, args.lanes.lanes);
    let place = RunFolder::open(&job.store()?, &storage, tokio)?;
    let memory = StoredMemory { store: Arc::clone(&place.store), runtime: tokio.handle().clone() };
    let (files, scratch, base) = (&storage.files, place.scratch.clone(), job.root());
    let mut planned = job.plan_for(&memory, files, &runtime, scratch.clone())?;
    settle_probes(&asked, &mut job.spec, &mut planned, args.probe_mb)?;
    let store = (place.uri.clone(), Arc::clone(&place.store));
    let mut coordination =
        Coordination::prepare(job, planned, files, store, scratch.clone(), started, OVERDUE_AFTER)?;
    // Of a job that was run before, its results stay: tune writes nothing over them.
    coordination.keeps_others = true;
    let local =
        InProcessCluster { storage, scratch, runtime, device, threads, models_mb: args.lanes.models_mb };
    tokio.block_on(async {
        let followed = local.compute(&coordination, &mut LastSeen::default(), std::future::pending()).await?;
        let tally = coordination.close(followed).await?;
        let specs = (&asked, &coordination.job.spec);
        let probed = read_probes(&*place.store, specs, &coordination.planned).await.map_err(failed)?;
        let gates = GateSample::read(&*place.store, &coordination.job.spec, &coordination.planned);
        let gates = gates.await.map_err(failed)?;
        Ok(Drawn { asked, base, coordination, tally, probed, gates })
    })
}

/// Where the tuned job goes.
pub(crate) fn place_of_output(args: &TuneArgs) -> Result<PathBuf, Fatal> {
    let job = Path::new(&args.job);
    if marquetry_transport::uri::is_uri(&args.job) {
        return args.output.clone().ok_or_else(|| {
            Fatal::new(
                Exit::Usage,
                "the job file lies in a bucket: say with -o where the tuned one goes, and copy it there",
            )
        });
    }
    let stem = job.file_stem().map_or_else(|| "job".into(), |stem| stem.to_string_lossy());
    let beside = job.with_file_name(format!("{stem}-tuned.yaml"));
    let output = args.output.clone().unwrap_or(beside);
    let folder = |path: &Path| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        parent.canonicalize().ok()
    };
    if folder(&output) != folder(job) {
        return Err(Fatal::new(
            Exit::Usage,
            format!(
                "-o {}: relative paths of a job begin at its file, so the tuned one belongs into the same folder as {}",
                output.display(),
                args.job
            ),
        ));
    }
    if output.file_name() == job.file_name() {
        return Err(Fatal::new(Exit::Usage, "-o names the job file itself; the tuned job is another file"));
    }
    Ok(output)
}

/// Nothing is written over but what an earlier run wrote, which begins so.
pub(crate) fn check_output(output: &Path, beginning: &str) -> Result<(), Fatal> {
    let is_own = |bytes: Vec<u8>| bytes.starts_with(beginning.as_bytes());
    if output.exists() && !std::fs::read(output).is_ok_and(is_own) {
        let reason =
            format!("-o {}: it is there, and tune has not written it; take another name", output.display());
        return Err(Fatal::new(Exit::Usage, reason));
    }
    Ok(())
}

/// Leaves the images that have a truth, and settles how many probes of each are drawn, where the job does not say it.
fn settle_probes(
    asked: &JobSpec,
    spec: &mut JobSpec,
    planned: &mut Planned,
    probe_mb: u64,
) -> Result<(), Fatal> {
    if asked.outputs.iter().any(|output| matches!(output, Output::Probes(_))) {
        // What it has of all of its images stays.
        return Ok(());
    }
    let all = planned.images.len();
    planned.images.retain(|image| image.truth.is_some());
    if planned.images.is_empty() {
        return Err(Fatal::new(
            Exit::BadJob,
            "truth: no image of the job has one; there is nothing to tune to",
        ));
    }
    if planned.images.len() < all {
        let (used, all) = (say::count(planned.images.len() as u64), say::count(all as u64));
        say::note(&format!("note: {used} of {all} images have a truth; the others are left out"));
    }
    let per_image = probes_per_image(planned, probe_mb << 20);
    for output in &mut spec.outputs {
        if let Output::Probes(probes) = output {
            probes.per_image = per_image;
        }
    }
    say::note(&format!("note: {per_image} probes of each image at most"));
    Ok(())
}

pub(crate) fn failed(error: TuneError) -> Fatal {
    match error {
        TuneError::Store(error) => Fatal::of_store(&error),
        TuneError::Job(_) => Fatal::new(Exit::BadJob, error),
        TuneError::Probes { .. } | TuneError::Sample(_) => Fatal::new(Exit::BadConfig, error),
    }
}
