//! The aggregator: puts the tiles of finished images together and writes their outputs.
//!
//! This crate must not know: the coordinator, the worker, how members are run, terminals.

mod bands;
mod clean;
mod image;
pub mod legend;
mod outputs;
mod part;
mod picture;
mod spool;
mod tiles;

use crate::image::{Made, Work};
use crate::tiles::TilesError;
use bytes::Bytes;
use marquetry_failure::FailureClass;
use marquetry_imagery::ImageError;
use marquetry_job::message::short_reason;
use marquetry_job::{AggregateMessage, Event, Plan, ResultMessage, RunId, TaskId, key, message};
use marquetry_raster::write::WriteError;
use marquetry_spec::JobSpec;
use marquetry_telemetry::{ImageOutcome, Metrics, TileOutcome};
use marquetry_transport::{
    Drain, Files, Known, ObjectStore, QueueError, StoreError, StoreErrorKind, Stores, TaskQueue, Topic,
    consume,
};
pub use outputs::expected;
pub use part::{Part, PartError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// Jobs whose plans are kept.
const JOBS_MAX: usize = 8;
/// How long it is believed that a run counts.
const RUN_BELIEVED: Duration = Duration::from_secs(1);

/// How an aggregator uses its machine.
#[derive(Debug, Clone)]
pub struct AggregatorOptions {
    /// Images put together at the same time; each holds one band.
    pub images: usize,
    /// Folder for label maps and outputs until they are stored.
    pub temp_dir: PathBuf,
    /// Where images are read from, for their georeference and the report's pictures.
    pub files: Files,
    /// What is counted.
    pub metrics: Metrics,
}

/// Why an image could not be put together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AggregateError {
    /// A tile is damaged or gone.
    #[error(transparent)]
    Tiles(#[from] TilesError),
    /// An output cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The image cannot be read for the report's picture.
    #[error(transparent)]
    Read(#[from] ImageError),
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The temporary folder is in trouble.
    #[error("the temporary folder: {0}")]
    Io(#[from] std::io::Error),
    /// The plan and the message do not go together.
    #[error("{0}")]
    Plan(String),
}

impl AggregateError {
    fn damaged(&self) -> Vec<TaskId> {
        match self {
            Self::Tiles(TilesError::Damaged { task, .. }) => vec![*task],
            _ => Vec::new(),
        }
    }

    /// Who is to blame.
    fn class(&self) -> FailureClass {
        match self {
            Self::Tiles(_) => FailureClass::Passing,
            Self::Store(error) => class_of_store(error.kind),
            Self::Io(_) | Self::Write(WriteError::Io { .. }) => FailureClass::Worker,
            Self::Read(error) if error.may_pass() => FailureClass::Passing,
            Self::Read(_) | Self::Write(_) | Self::Plan(_) => FailureClass::Input,
        }
    }
}

/// Who is to blame for an error of the store.
const fn class_of_store(kind: StoreErrorKind) -> FailureClass {
    match kind {
        StoreErrorKind::Denied | StoreErrorKind::NoStore | StoreErrorKind::BadKey => FailureClass::Config,
        StoreErrorKind::Full => FailureClass::Worker,
        _ => FailureClass::Passing,
    }
}

/// An aggregator.
pub struct Aggregator {
    /// Its name among all that say something about a job.
    name: String,
    stores: Stores,
    queue: Arc<dyn TaskQueue>,
    options: AggregatorOptions,
    jobs: Mutex<Vec<(JobKey, Arc<Job>)>>,
    /// Which run of each job counts.
    runs: Known,
}

/// A run and the decisions and outputs that it asks for.
type JobKey = (RunId, String);

/// What putting an image of a job together needs to know of it.
struct Job {
    plan: Plan,
    spec: JobSpec,
}

impl Aggregator {
    /// An aggregator that is called `name`.
    pub fn new(name: &str, stores: Stores, queue: Arc<dyn TaskQueue>, options: AggregatorOptions) -> Self {
        let (jobs, runs) = (Mutex::default(), Known::new(RUN_BELIEVED));
        Self { name: name.to_owned(), stores, queue, options, jobs, runs }
    }

    /// Works until the queue is closed or `drain` says so.
    ///
    /// # Errors
    /// When the queue is lost for good.
    pub async fn run(self: Arc<Self>, drain: &Drain) -> Result<(), QueueError> {
        let subscription = self.queue.subscribe(Topic::Aggregate, "aggregators").await?;
        let admission = Arc::new(Semaphore::new(self.options.images.max(1)));
        consume(subscription, admission, drain, |payload, admitted| {
            Arc::clone(&self).handle(payload, admitted)
        })
        .await
    }

    /// Does one image and announces what came of it; whether it may be acknowledged.
    async fn handle(self: Arc<Self>, payload: Bytes, _admitted: OwnedSemaphorePermit) -> bool {
        let wanted: AggregateMessage = match message::decode(&payload) {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::error!(%error, "dropped a message on the aggregate topic");
                return true;
            }
        };
        let started = Instant::now();
        let (run, image, attempt) = (wanted.run.clone(), wanted.image, wanted.attempt);
        let worked = Arc::clone(&self).work_on(wanted).await;
        self.count(&worked, started.elapsed());
        let (event, done) = match worked {
            Ok(None) => {
                tracing::debug!(job = run.job, image, "left over from a run that has ended");
                return true;
            }
            Ok(Some(done)) => {
                let (partial, seconds) = (done.partial, started.elapsed().as_secs_f64());
                (Event::Image { image, partial, seconds }, Some(done))
            }
            Err(error) => {
                let (damaged, class, reason) =
                    (error.damaged(), error.class(), marquetry_failure::chain(&error));
                tracing::debug!(image, attempt, %class, "{reason}");
                let reason = short_reason(&reason);
                (Event::ImageFailed { image, attempt, reason, damaged, class }, None)
            }
        };
        let said = ResultMessage { run, from: self.name.clone(), event };
        let payload = Bytes::from(message::encode(&said));
        let announced = self.queue.publish(Topic::Results, &image.to_string(), payload).await.is_ok();
        // Only now: whoever works on the same image may still be reading them.
        if let Some(done) = done.filter(|_| announced) {
            done.delete_tiles().await;
        }
        announced
    }

    fn count(&self, worked: &Result<Option<Done>, AggregateError>, took: Duration) {
        let metrics = &self.options.metrics;
        match worked {
            Ok(Some(_)) => {
                metrics.images.of(ImageOutcome::Done).increment();
                metrics.image_duration.observe_duration(took);
            }
            Ok(None) => {}
            Err(error) => {
                metrics.tiles.of(TileOutcome::Damaged).add(error.damaged().len() as u64);
                metrics.images.of(ImageOutcome::Failed).increment();
            }
        }
    }

    /// Puts an image together; `None` when its run does not count any more.
    async fn work_on(self: Arc<Self>, wanted: AggregateMessage) -> Result<Option<Done>, AggregateError> {
        let store = self.stores.open(&wanted.run.store)?;
        if !self.runs.holds(&*store, &key::run(&wanted.run.job), wanted.run.run.as_bytes()).await? {
            return Ok(None);
        }
        let job = self.job(&wanted, &*store).await?;
        // What is stored of an image with gaps is needed when these are filled.
        let keep = wanted.partial || job.spec.tiles.keep;
        let (image, kept, known) = (wanted.image, Arc::clone(&store), Arc::clone(&job));
        let runtime = tokio::runtime::Handle::current();
        let work = move || {
            let work = Work {
                run: &wanted.run,
                store: &store,
                runtime: &runtime,
                plan: &job.plan,
                spec: &job.spec,
                outputs: &wanted.outputs,
                image: wanted.image,
                partial: wanted.partial,
                options: &self.options,
            };
            work.run()
        };
        let joined = tokio::task::spawn_blocking(work).await;
        let made = joined.unwrap_or_else(|e| Err(AggregateError::Plan(format!("a bug: {e}"))))?;
        let partial = match made {
            Made::Whole => false,
            Made::WithGaps => true,
            Made::Nothing => return Ok(None),
        };
        Ok(Some(Done { store: kept, job: known, image, partial, keep }))
    }

    /// The plan and the job file, read once for each run.
    async fn job(
        &self,
        wanted: &AggregateMessage,
        store: &dyn ObjectStore,
    ) -> Result<Arc<Job>, AggregateError> {
        let mut jobs = self.jobs.lock().await;
        let name = (wanted.run.clone(), wanted.outputs.clone());
        if let Some((_, known)) = jobs.iter().find(|(known, _)| *known == name) {
            return Ok(Arc::clone(known));
        }
        let job = &wanted.run.job;
        let wrong = |what: &str, e: &dyn std::fmt::Display| {
            AggregateError::Plan(format!("the {what} of job {job} cannot be read: {e}"))
        };
        let plan = store.get(&key::plan(job)).await?;
        let plan: Plan = serde_json::from_slice(&plan).map_err(|e| wrong("plan", &e))?;
        let spec = store.get(&key::spec(job, &wanted.outputs)).await?;
        let spec = std::str::from_utf8(&spec).map_err(|e| wrong("job file", &e))?;
        let spec = JobSpec::parse(spec).map_err(|e| wrong("job file", &e))?;
        let read = Arc::new(Job { plan, spec });
        if jobs.len() >= JOBS_MAX {
            jobs.remove(0);
        }
        jobs.push((name, Arc::clone(&read)));
        Ok(read)
    }
}

/// An image that is finished, and whose tiles may go.
struct Done {
    store: Arc<dyn ObjectStore>,
    job: Arc<Job>,
    image: u32,
    /// Whether there are gaps in it.
    partial: bool,
    keep: bool,
}

impl Done {
    /// Deletes the image's tiles, unless they are to stay. What is left behind is deleted at the end of the job.
    async fn delete_tiles(self) {
        if self.keep {
            return;
        }
        let (plan, planned) = (&self.job.plan, &self.job.plan.images[self.image as usize]);
        for task in plan.tasks_of(self.image) {
            let key = key::tile(&plan.job, &planned.key, task.group, task.block);
            if let Err(error) = self.store.delete(&key).await {
                tracing::debug!(%error, "a tile was left behind");
            }
        }
    }
}
