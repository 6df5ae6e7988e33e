//! The aggregator: puts the tiles of finished images together and writes their outputs.
//!
//! This crate must not know: the coordinator, the worker, how members are run, terminals.

mod error;
mod gate;
mod image_job;
mod image_result;
mod label_cleanup;
mod label_row_file;
pub mod legend;
mod output_file;
mod outputs;
mod outside;
mod regions;
mod row;
mod row_passes;
mod sink;
mod sinks;
mod source_image;

use crate::error::{AggregateError, panic_message};
use crate::image_job::{ImageFate, ImageJob};
use bytes::Bytes;
pub use image_result::{
    CascadeCounts, GateCounts, ImageResult, ImageResultError, KeptPixels, RegionCounts, SureTruth,
    TruthOutside,
};
use lru::LruCache;
use marquetry_failure::{Classify, chain};
use marquetry_job::message::short_reason;
use marquetry_job::{
    AggregateMessage, Event, ImageTasks, MessageError, Plan, PlannedImage, ResultMessage, RunId, TaskId,
    TaskKind, key, message,
};
use marquetry_scores::KnownGroups;
use marquetry_spec::JobSpec;
use marquetry_telemetry::{ImageOutcome, Metrics, TileOutcome};
use marquetry_transport::lag::AGGREGATORS;
use marquetry_transport::{
    CachedObject, Drain, Files, ObjectStore, QueueError, Stores, TaskQueue, Topic, WaitingThreads, consume,
};
pub use output_file::OutputFile;
pub use outputs::{
    evaluation_picture, expected, expected_of, image_outputs, label_quality_picture, probes_file,
    renamed_classes, renamed_outputs,
};
pub use row::{Row, RowScores};
pub use sink::{FinishedImage, RowSink, SinkError};
pub use sinks::corrected_labels::CorrectedLabelRow;
pub use sinks::pseudo_labels::PseudoLabelRow;
pub use sinks::ranking::{RankedImage, RankedWindow, similarity};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// Jobs whose plans are kept.
const JOBS_MAX: NonZeroUsize = NonZeroUsize::new(8).expect("it is not 0");
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
    /// Whether files of this machine were planned on it: then they are read only while they are as they were.
    pub planned_here: bool,
    /// What is counted.
    pub metrics: Metrics,
}

/// An aggregator.
pub struct Aggregator {
    /// Its name among all that say something about a job.
    name: String,
    /// Tells this process from others that were, and will be, called the same.
    process: u64,
    stores: Stores,
    queue: Arc<dyn TaskQueue>,
    options: AggregatorOptions,
    jobs: Mutex<LruCache<JobKey, Arc<Job>>>,
    in_hand: Arc<Semaphore>,
    /// They put images together.
    threads: WaitingThreads,
    /// Which run of each job counts.
    runs: CachedObject,
}

/// The store, the job, its plan, and the decisions and outputs that are asked for.
type JobKey = [String; 4];

/// What putting an image of a job together needs to know of it.
struct Job {
    plan: Plan,
    known: Arc<KnownGroups>,
    spec: JobSpec,
}

impl Aggregator {
    /// An aggregator that is called `name`.
    pub fn new(name: &str, stores: Stores, queue: Arc<dyn TaskQueue>, options: AggregatorOptions) -> Self {
        let (jobs, runs) =
            (Mutex::new(LruCache::new(JOBS_MAX)), CachedObject::new(RUN_BELIEVED, RUN_BELIEVED));
        let in_hand = Arc::new(Semaphore::new(options.images.max(1)));
        let threads = WaitingThreads::new("aggregator", options.images);
        Self {
            name: name.to_owned(),
            process: fastrand::u64(..),
            stores,
            queue,
            options,
            jobs,
            in_hand,
            threads,
            runs,
        }
    }

    /// Works until the queue is closed or `drain` says so.
    ///
    /// # Errors
    /// When the queue is lost for good.
    pub async fn run(self: Arc<Self>, drain: &Drain) -> Result<(), QueueError> {
        let subscription = self.queue.subscribe(Topic::Aggregate, AGGREGATORS).await?;
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
                let is_sound = matches!(error, MessageError::Version { .. });
                // Kept among what was given up: it is of another version, and not wrong.
                return !is_sound || self.queue.publish(Topic::Dead, "", payload).await.is_ok();
            }
        };
        let started = Instant::now();
        let (run, image, attempt) = (wanted.run.clone(), wanted.image.key.clone(), wanted.attempt);
        let worked = Arc::clone(&self).work_on(wanted).await;
        self.count(&worked, started.elapsed());
        let (event, done) = match worked {
            Ok(Worked::NotBegun) => return false,
            Ok(Worked::LeftOver) => {
                tracing::debug!(job = run.job, image, "left over from a run that has ended");
                return true;
            }
            Ok(Worked::Stored(done)) => {
                let (partial, seconds) = (done.partial, started.elapsed().as_secs_f64());
                let unread = done.unread.as_deref().map(short_reason);
                (Event::Image { image: image.clone(), partial, seconds, unread }, Some(done))
            }
            Err(error) => {
                let (damaged, class, reason) = (error.damaged(), error.class(), chain(&error));
                tracing::debug!(image, attempt, %class, "{reason}");
                let reason = short_reason(&reason);
                (Event::ImageFailed { image: image.clone(), attempt, reason, damaged, class }, None)
            }
        };
        let said = ResultMessage { run, from: self.name.clone(), event };
        let payload = Bytes::from(message::encode(&said));
        let announced = self.queue.publish(Topic::Results, &image, payload).await.is_ok();
        // Only now: whoever works on the same image may still be reading them.
        if let Some(done) = done.filter(|_| announced) {
            done.delete_tiles().await;
        }
        announced
    }

    fn count(&self, worked: &Result<Worked, AggregateError>, took: Duration) {
        let metrics = &self.options.metrics;
        match worked {
            Ok(Worked::Stored(_)) => {
                metrics.images.of(ImageOutcome::Done).increment();
                metrics.image_duration.observe_duration(took);
            }
            Ok(Worked::LeftOver | Worked::NotBegun) => {}
            Err(error) => {
                let is_tile = |task: &&TaskId| matches!(task.kind, TaskKind::Block { .. });
                let damaged = error.damaged().iter().filter(is_tile).count();
                metrics.tiles.of(TileOutcome::Damaged).add(damaged as u64);
                metrics.images.of(ImageOutcome::Failed).increment();
            }
        }
    }

    /// Says that an image begins. To be waited for before anything of it is read, so that what ends the process has a name.
    async fn begin(&self, wanted: &AggregateMessage) -> bool {
        let (image, attempt) = (wanted.image.key.clone(), wanted.attempt);
        let event = Event::ImageBegun { image, attempt, process: self.process };
        let said = ResultMessage { run: wanted.run.clone(), from: self.name.clone(), event };
        let payload = Bytes::from(message::encode(&said));
        self.queue.publish(Topic::Results, &wanted.image.key, payload).await.is_ok()
    }

    /// Puts an image together.
    async fn work_on(self: Arc<Self>, wanted: AggregateMessage) -> Result<Worked, AggregateError> {
        // All of the room for one that is to be alone.
        let room = if wanted.alone { self.options.images.max(1) as u32 } else { 1 };
        let Ok(_in_hand) = Arc::clone(&self.in_hand).acquire_many_owned(room).await else {
            return Ok(Worked::NotBegun);
        };
        self.stores.trusts(&wanted.run.store).map_err(AggregateError::Foreign)?;
        let store = self.stores.open(&wanted.run.store)?;
        // Where no run is named at all, what was asked is done: nobody else has the job, and whoever asked waits for it.
        if self.runs.differs(&*store, &key::run(&wanted.run.job), wanted.run.run.as_bytes()).await? {
            return Ok(Worked::LeftOver);
        }
        let counted_at = Instant::now();
        let (begun, job) = tokio::join!(self.begin(&wanted), self.job(&wanted, &*store));
        let job = job?;
        if !begun {
            return Ok(Worked::NotBegun);
        }
        // What is stored of an incomplete image is needed when it is completed.
        let (partial, keep) = (wanted.partial, job.spec.tiles.keep);
        let (image, kept, known) = (Box::new(wanted.image.clone()), Arc::clone(&store), Arc::clone(&job));
        let (runtime, own) = (tokio::runtime::Handle::current(), Arc::clone(&self));
        let work = move || {
            let work = ImageJob {
                run: &wanted.run,
                store: &store,
                runtime: &runtime,
                plan: &job.plan,
                known: &job.known,
                spec: &job.spec,
                outputs: &wanted.outputs,
                image: &wanted.image,
                picture: wanted.picture,
                partial: wanted.partial,
                options: &own.options,
                counted_at,
            };
            work.run()
        };
        let done = self.threads.run(work).await;
        let fate = done.unwrap_or_else(|panic| Err(AggregateError::Panic(panic_message(&*panic))))?;
        let (incomplete, unread) = match fate {
            ImageFate::Whole => (false, None),
            ImageFate::Incomplete { unread } => (partial, unread),
            ImageFate::Abandoned => return Ok(Worked::LeftOver),
        };
        let keep = keep || partial || unread.is_some();
        let done = Done { store: kept, job: known, image, partial: incomplete, unread, keep };
        Ok(Worked::Stored(Box::new(done)))
    }

    /// The plan and the job file, read once for each of them.
    async fn job(
        &self,
        wanted: &AggregateMessage,
        store: &dyn ObjectStore,
    ) -> Result<Arc<Job>, AggregateError> {
        let mut jobs = self.jobs.lock().await;
        let RunId { store: place, job, .. } = wanted.run.clone();
        let name = [place, job.clone(), wanted.plan.clone(), wanted.outputs.clone()];
        if let Some(known) = jobs.get(&name) {
            return Ok(Arc::clone(known));
        }
        let plan = store.get(&key::plan(&job, &wanted.plan)).await?;
        let spec = store.get(&key::spec(&job, &wanted.outputs)).await?;
        let plan = match Plan::from_bytes(&plan, &wanted.plan) {
            Ok(plan) => plan,
            Err(source) => return Err(AggregateError::Plan { job, source }),
        };
        let spec = match std::str::from_utf8(&spec).map(JobSpec::parse) {
            Ok(Ok(spec)) => spec,
            Ok(Err(source)) => return Err(AggregateError::Spec { job, source }),
            Err(source) => return Err(AggregateError::SpecText { job, source }),
        };
        let read = Arc::new(Job { plan, known: Arc::default(), spec });
        jobs.put(name, Arc::clone(&read));
        Ok(read)
    }
}

/// What came of an image.
enum Worked {
    /// Its outputs are stored.
    Stored(Box<Done>),
    /// Nothing: its run does not count any more.
    LeftOver,
    /// Nothing, since nobody can be told of it. It is for another aggregator.
    NotBegun,
}

/// An image that is finished, and whose tiles may go.
struct Done {
    store: Arc<dyn ObjectStore>,
    job: Arc<Job>,
    image: Box<PlannedImage>,
    /// Whether blocks of it were given up.
    partial: bool,
    /// What cannot be read of its file, in one line.
    unread: Option<String>,
    keep: bool,
}

impl Done {
    /// Deletes the image's tiles and statistics, unless they are to stay. What is left behind is deleted at the end of the job.
    async fn delete_tiles(self) {
        if self.keep {
            return;
        }
        let plan = &self.job.plan;
        let scores = self.job.known.scores_of(plan, &self.image);
        let tasks = ImageTasks::new(plan, &self.image);
        for key in tasks.iter().filter_map(|task| task.produces(&plan.job, &self.image, &scores)) {
            if let Err(error) = self.store.delete(&key).await {
                tracing::debug!(%error, "a tile or statistics were left behind");
            }
        }
    }
}
