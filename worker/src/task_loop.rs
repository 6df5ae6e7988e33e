//! The loop of a worker: messages in, tiles and announcements out.

use crate::block::{BlockSpec, BlockTask};
use crate::context::PlanContext;
use crate::health::Health;
use crate::image::{ImageOptions, OpenImage};
use crate::lane::Lanes;
use crate::plans::Plans;
use crate::scorer::ScorerSource;
use crate::tile_builder::Outcome;
use crate::{Failure, Images};
use bytes::Bytes;
use marquetry_failure::{Classify, FailureClass, chain};
use marquetry_job::message::short_reason;
use marquetry_job::tile::{self, Frame};
use marquetry_job::{
    Event, ImageStatistics, ResultMessage, StageSeconds, TaskKind, TaskMessage, TileHeader, key, message,
};
use marquetry_telemetry::{Metrics, Stage, TaskOutcome, TileOutcome};
use marquetry_transport::{
    CachedObject, Drain, ObjectStore, QueueError, StoreErrorKind, Stores, TaskQueue, Topic, consume,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// Most tasks in hand at once, however small they are: being read, computed or stored.
const TASKS_MAX: usize = 32;
/// How long after a task's deadline a lane may still be in the middle of a window.
const STUCK: Duration = Duration::from_secs(10);
/// How long it is believed that a run counts: a cancelled job is worked on no longer than that, and one task.
const RUN_BELIEVED: Duration = Duration::from_secs(1);
/// Canvases are counted in KiB, so that a semaphore's 32 bits are enough.
const KIB: u64 = 1024;

/// How a worker uses its machine. None of it changes a byte of the result.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Threads that compute, each with its own sessions.
    pub lanes: usize,
    /// Most bytes of all canvases in hand; one that is larger is worked on alone.
    pub canvas_bytes: u64,
    /// Most bytes of models that all lanes keep open.
    pub model_bytes: u64,
    /// What images may cost.
    pub images: ImageOptions,
    /// How long the lanes may take for one task; for ever if not given.
    pub deadline: Option<Duration>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Why a worker ends.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The queue is lost.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A thread does not come back, and the process with it.
    #[error(
        "a model run has not ended {0} s after the deadline of its task; the thread is lost, start this worker again"
    )]
    Stuck(u64),
    /// Whatever it is sent fails, for reasons of this machine or of its rights.
    #[error("this worker has failed {failures} times in a row and stops: {reason}")]
    Sick {
        /// Failures in a row.
        failures: u32,
        /// Who is to blame.
        class: FailureClass,
        /// Why the last task failed.
        reason: String,
    },
}

impl Classify for WorkerError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Queue(_) => FailureClass::Passing,
            Self::Stuck(_) => FailureClass::Worker,
            Self::Sick { class, .. } => *class,
        }
    }
}

/// A worker.
pub struct Worker {
    /// Its name among all that say something about a job.
    name: String,
    stores: Stores,
    queue: Arc<dyn TaskQueue>,
    lanes: Lanes,
    images: Arc<Images>,
    plans: Plans,
    /// Which run of each job counts.
    runs: CachedObject,
    canvas_kib: u32,
    canvases: Arc<Semaphore>,
    in_hand: Arc<Semaphore>,
    deadline: Option<Duration>,
    /// Cancelled when a lane does not come back.
    stuck: CancellationToken,
    health: Health,
    metrics: Metrics,
}

impl Worker {
    /// Starts the lanes of a worker that is called `name`, each with a scorer of `scorers`.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn start(
        name: &str,
        stores: Stores,
        queue: Arc<dyn TaskQueue>,
        scorers: &Arc<dyn ScorerSource>,
        options: &WorkerOptions,
    ) -> std::io::Result<Self> {
        let lanes = options.lanes.max(1);
        let canvas_kib = u32::try_from(options.canvas_bytes / KIB).unwrap_or(u32::MAX).max(1);
        Ok(Self {
            name: name.to_owned(),
            lanes: Lanes::start(lanes, scorers, options.model_bytes / lanes as u64)?,
            images: Arc::new(Images::new(&options.images)),
            plans: Plans::default(),
            runs: CachedObject::new(RUN_BELIEVED),
            canvas_kib,
            canvases: Arc::new(Semaphore::new(canvas_kib as usize)),
            in_hand: Arc::new(Semaphore::new(TASKS_MAX)),
            deadline: options.deadline,
            stuck: CancellationToken::new(),
            health: Health::default(),
            metrics: options.metrics.clone(),
            stores,
            queue,
        })
    }

    /// Model runs of one window each so far, for a progress bar.
    pub fn forwards(&self) -> u64 {
        self.lanes.forwards()
    }

    /// Works until the queue is closed or `drain` says so. A message is acknowledged once what came of it is stored and
    /// announced.
    ///
    /// # Errors
    /// When the queue is lost for good, a model does not come back, or all tasks fail for reasons of this machine; the
    /// process should end then.
    pub async fn run(self: Arc<Self>, drain: &Drain) -> Result<(), WorkerError> {
        let subscription = self.queue.subscribe(Topic::Tasks, "workers").await?;
        // One at a time is on its way to its canvas: what has to wait for room is left to others.
        let admission = Arc::new(Semaphore::new(1));
        let ours = Drain { stop: drain.stop.child_token(), grace: drain.grace };
        let (stuck, sick, stop) = (self.stuck.clone(), self.health.sick(), ours.stop.clone());
        let watching = tokio::spawn(async move {
            tokio::select! {
                () = stuck.cancelled() => {}
                () = sick.cancelled() => {}
            }
            stop.cancel();
        });
        let handle = |payload, admitted| Arc::clone(&self).handle(payload, admitted);
        let ended = consume(subscription, admission, &ours, handle).await;
        watching.abort();
        ended?;
        if self.stuck.is_cancelled() {
            self.lanes.give_up();
            return Err(WorkerError::Stuck(STUCK.as_secs()));
        }
        if let Some((failures, class, reason)) = self.health.diagnosis() {
            let error = WorkerError::Sick { failures, class, reason };
            tracing::error!(%class, "{error}");
            return Err(error);
        }
        Ok(())
    }

    /// Does one task and announces what came of it; whether it may be acknowledged.
    async fn handle(self: Arc<Self>, payload: Bytes, admitted: OwnedSemaphorePermit) -> bool {
        let task: TaskMessage = match message::decode(&payload) {
            Ok(task) => task,
            Err(error) => {
                tracing::error!(%error, "dropped a message on the task topic");
                return true;
            }
        };
        let (kind, attempt) = (task.task, task.attempt);
        let span = tracing::info_span!("task", job = task.run.job, image = task.image.id, %kind, attempt);
        self.do_task(task, admitted).instrument(span).await
    }

    async fn do_task(&self, task: TaskMessage, admitted: OwnedSemaphorePermit) -> bool {
        let (id, attempt) = (task.id(), task.attempt);
        let image = id.image.clone();
        let started = Instant::now();
        let worked = self.work_on(&task, admitted).await;
        self.count(task.task, &worked, started.elapsed());
        let event = match worked {
            Ok(Worked::Stored(done) | Worked::Found(done)) => {
                self.health.on_done();
                let Done { stored_bytes, forwards, seconds } = done;
                Event::TaskDone { task: id, stored_bytes, forwards, seconds }
            }
            Ok(Worked::NotBegun) => return false,
            Ok(Worked::LeftOver) => {
                tracing::debug!("left over from a run that has ended");
                return true;
            }
            Err(failure) => {
                let (class, reason) = (failure.class, chain(&failure));
                if self.health.on_failed(class, &reason) {
                    tracing::warn!(%class, "the task failed: {reason}");
                } else {
                    tracing::debug!(%class, "the task failed: {reason}");
                }
                Event::TaskFailed { task: id, attempt, reason: short_reason(&reason), class }
            }
        };
        let said = ResultMessage { run: task.run, from: self.name.clone(), event };
        let payload = Bytes::from(message::encode(&said));
        match self.queue.publish(Topic::Results, &image, payload).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "could not announce a task");
                false
            }
        }
    }

    fn count(&self, kind: TaskKind, worked: &Result<Worked, Failure>, took: Duration) {
        let outcome = match worked {
            Ok(Worked::Found(_)) => TaskOutcome::Found,
            Ok(Worked::Stored(Done { stored_bytes, seconds, .. })) => {
                self.metrics.task_duration.observe_duration(took);
                if matches!(kind, TaskKind::Block { .. }) {
                    self.metrics.tiles.of(TileOutcome::Stored).increment();
                    self.metrics.tile_bytes.add(*stored_bytes);
                }
                for (stage, seconds) in [
                    (Stage::Read, seconds.read),
                    (Stage::Prepare, seconds.prepare),
                    (Stage::Infer, seconds.infer),
                    (Stage::Stitch, seconds.stitch),
                    (Stage::Store, seconds.store),
                ] {
                    self.metrics.task_stage.of(stage).add(Duration::from_secs_f64(seconds.max(0.0)));
                }
                TaskOutcome::Stored
            }
            Ok(_) => TaskOutcome::Abandoned,
            Err(_) => TaskOutcome::Failed,
        };
        self.metrics.tasks.of(outcome).increment();
    }

    /// What comes of a task.
    async fn work_on(&self, task: &TaskMessage, admitted: OwnedSemaphorePermit) -> Result<Worked, Failure> {
        let _in_hand = self.in_hand.acquire().await.map_err(|e| Failure::passing(e.to_string()))?;
        let store = self.stores.open(&task.run.store)?;
        if !self.runs.matches(&*store, &key::run(&task.run.job), task.run.run.as_bytes()).await? {
            return Ok(Worked::LeftOver);
        }
        self.compute(task, &*store, admitted).await
    }

    /// Does what a task asks for, unless it is done already.
    async fn compute(
        &self,
        message: &TaskMessage,
        store: &dyn ObjectStore,
        admitted: OwnedSemaphorePermit,
    ) -> Result<Worked, Failure> {
        let context = self.plans.get(message, store).await?;
        let key = message.task.produces(&message.run.job, &message.image.key);
        if !message.replace
            && let Some(stored_bytes) = stored(store, &key).await?
        {
            // Someone else was faster, or another run: nothing is left to do but to say so.
            return Ok(Worked::Found(Done { stored_bytes, ..Done::default() }));
        }
        match message.task {
            TaskKind::Block { group, block } => {
                let place = BlockPlace { context, group, block };
                self.compute_block(message, place, store, admitted).await
            }
            TaskKind::Statistics => {
                let image = self.open(message).await?;
                drop(admitted);
                self.measure(message, &image, store).await.map(Worked::Stored)
            }
        }
    }

    async fn open(&self, message: &TaskMessage) -> Result<Arc<OpenImage>, Failure> {
        let (images, wanted) = (Arc::clone(&self.images), message.image.clone());
        blocking(move || images.open(&wanted)).await?
    }

    async fn compute_block(
        &self,
        message: &TaskMessage,
        BlockPlace { context, group, block }: BlockPlace,
        store: &dyn ObjectStore,
        admitted: OwnedSemaphorePermit,
    ) -> Result<Worked, Failure> {
        let (job, planned, task) = (&message.run.job, &message.image, message.task);
        let unknown = || Failure::reject(format!("there is no {task} of image {} in job {job}", planned.id));
        let (grid, blocks) = context.layout(planned.size, group).ok_or_else(unknown)?;
        let block = blocks.get(block).ok_or_else(unknown)?;
        let extent = block.extent(&grid);
        let inference = &context.inference;
        let classes = inference.classes.len();
        let kib = (extent.size.area() * classes as u64 * 4).div_ceil(KIB);
        let share = u32::try_from(kib).unwrap_or(u32::MAX).clamp(1, self.canvas_kib);
        let permit = self.canvases.acquire_many(share).await.map_err(|e| Failure::passing(e.to_string()))?;
        drop(admitted);

        let started = Instant::now();
        let image = self.open(message).await?;
        let members = &inference.groups[group as usize].members;
        if members.iter().any(|member| member.input.per_image) {
            self.fetch_statistics(message, &image, store).await?;
        }
        let open_seconds = started.elapsed().as_secs_f64();

        let header = TileHeader {
            inference: context.hash.clone(),
            image: planned.key.clone(),
            group,
            block: block.index,
            extent,
            classes: classes as u32,
            space: inference.tile_space,
            dtype: inference.tile,
            models: members.iter().map(|m| m.sha256.clone()).collect(),
        };
        let span = tracing::debug_span!("task", image = %planned.id, group, block = block.index);
        let group = group as usize;
        let spec =
            BlockSpec { context: Arc::clone(&context), image, grid, group, block: block.clone(), span };
        let (task, outcome) = self.lanes.submit(spec);
        let forwards = task.forwards();
        let stopped = |_| Failure::passing("the worker was stopped");
        let Some(outcome) = self.in_time(&task, outcome).await.map_err(stopped)? else {
            return Ok(Worked::NotBegun);
        };
        let (frames, mut seconds) = outcome?;
        seconds.read += open_seconds;
        let key = message.task.produces(job, &planned.key);
        let stored_bytes = store_tile(store, &key, header, frames, &mut seconds).await?;
        drop(permit);
        Ok(Worked::Stored(Done { stored_bytes, forwards, seconds }))
    }

    /// Makes the statistics of an image known to its tasks: those that are stored, or, where there are none that can be
    /// used, new ones.
    async fn fetch_statistics(
        &self,
        message: &TaskMessage,
        image: &Arc<OpenImage>,
        store: &dyn ObjectStore,
    ) -> Result<(), Failure> {
        if image.statistics().is_some() {
            return Ok(());
        }
        match store.get(&key::statistics(&message.run.job, &message.image.key)).await {
            Ok(bytes) => match ImageStatistics::from_bytes(&bytes, &message.image.key) {
                Ok(statistics) => {
                    image.set_statistics(statistics);
                    return Ok(());
                }
                Err(error) => tracing::warn!("computing statistics again: {}", chain(&error)),
            },
            Err(error) if error.kind == StoreErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        self.measure(message, image, store).await.map(drop)
    }

    /// Computes and stores the statistics of an image.
    async fn measure(
        &self,
        message: &TaskMessage,
        image: &Arc<OpenImage>,
        store: &dyn ObjectStore,
    ) -> Result<Done, Failure> {
        let started = Instant::now();
        let opened = Arc::clone(image);
        let bands = blocking(move || opened.measure()).await??;
        let read = started.elapsed().as_secs_f64();
        let statistics = ImageStatistics::new(&message.image.key, bands);
        let bytes = Bytes::from(statistics.to_bytes());
        let stored_bytes = bytes.len() as u64;
        store.put(&key::statistics(&message.run.job, &message.image.key), bytes).await?;
        image.set_statistics(statistics);
        let seconds = StageSeconds { read, ..StageSeconds::default() };
        Ok(Done { stored_bytes, forwards: 0, seconds })
    }
}

/// A block of a plan.
struct BlockPlace {
    context: Arc<PlanContext>,
    group: u32,
    block: u32,
}

/// What there is to announce of a task that is done.
#[derive(Debug, Default)]
struct Done {
    stored_bytes: u64,
    forwards: u64,
    seconds: StageSeconds,
}

/// What came of a task.
enum Worked {
    /// It was computed and stored.
    Stored(Done),
    /// It had been stored before.
    Found(Done),
    /// Nothing: its run does not count any more.
    LeftOver,
    /// Nothing, since the lanes do not come back. It is for another worker.
    NotBegun,
}

impl Worker {
    /// What comes of a task before its deadline, which does not run while the task waits for others. After that its
    /// windows that are not begun are left out; a lane that is still in the middle of one a while later will not come
    /// back, and what waits for the lanes is `None`.
    async fn in_time(
        &self,
        task: &BlockTask,
        mut outcome: oneshot::Receiver<Outcome>,
    ) -> Result<Option<Outcome>, oneshot::error::RecvError> {
        let Some(deadline) = self.deadline else { return outcome.await.map(Some) };
        tokio::select! {
            biased;
            () = task.begun() => {}
            () = self.stuck.cancelled() => return Ok(None),
        }
        if let Ok(in_time) = tokio::time::timeout(deadline, &mut outcome).await {
            return in_time.map(Some);
        }
        task.abandon();
        if tokio::time::timeout(STUCK, outcome).await.is_err() {
            tracing::error!("a model run does not come back; this worker ends");
            self.stuck.cancel();
        }
        Ok(Some(Err(Failure::passing(format!(
            "it was not done within {} s (the worker's --deadline-seconds): a model hangs on these pixels, the machine \
             is too slow, or blocks are too large (limits.block_mb)",
            deadline.as_secs()
        )))))
    }
}

/// Bytes of the tile under `key`, if there is one.
async fn stored(store: &dyn ObjectStore, key: &str) -> Result<Option<u64>, Failure> {
    match store.head(key).await {
        Ok(meta) => Ok(Some(meta.size_bytes)),
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn store_tile(
    store: &dyn ObjectStore,
    key: &str,
    header: TileHeader,
    frames: Vec<Frame>,
    seconds: &mut StageSeconds,
) -> Result<u64, Failure> {
    let started = Instant::now();
    let tile = blocking(move || tile::assemble(&header, &frames)).await?;
    let tile = tile.map_err(|e| Failure::reject(e.to_string()))?;
    let tile_bytes = tile.len() as u64;
    store.put(key, Bytes::from(tile)).await?;
    seconds.store += started.elapsed().as_secs_f64();
    Ok(tile_bytes)
}

/// Runs work that takes a while away from the threads that drive messages.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Failure::bug(format!("a bug: {e}")))
}
