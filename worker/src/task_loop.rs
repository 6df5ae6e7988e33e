//! The loop of a worker: messages in, tiles and announcements out.

mod compute;
mod gate;
mod region;
mod unsure;

use crate::health::Health;
use crate::image::ImageOptions;
use crate::lane::Lanes;
use crate::plans::Plans;
use crate::scorer::ScorerSource;
use crate::self_test::SelfTest;
use crate::{Failure, Images};
use bytes::Bytes;
use marquetry_failure::{Classify, FailureClass, chain};
use marquetry_job::message::short_reason;
use marquetry_job::{
    Event, MessageError, ResultMessage, RunId, StageSeconds, TaskKind, TaskMessage, key, message,
};
use marquetry_telemetry::{Metrics, Stage, TaskOutcome, TileOutcome};
use marquetry_transport::lag::WORKERS;
use marquetry_transport::{
    CachedObject, Drain, QueueError, Stores, TaskQueue, Topic, WaitingThreads, consume,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// Most tasks in hand at once, however small they are: being read, computed or stored.
const TASKS_MAX: usize = 32;
/// How long after a task's deadline a lane may still be in the middle of a window.
const STUCK: Duration = Duration::from_secs(10);
/// How long it is believed that a run counts, at least and, of one that has counted for minutes, at most: a cancelled job is
/// worked on no longer than that, and one task.
const RUN_BELIEVED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
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
    /// What a worker looks at once more before it stops for failures of its own.
    pub self_test: SelfTest,
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
    #[error("this worker has failed {failures} times in a row and stops: {reason}; {tested}")]
    Sick {
        /// Failures in a row.
        failures: u32,
        /// What came of its test of itself.
        tested: String,
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
    /// Tells this process from others that were, and will be, called the same.
    process: u64,
    stores: Stores,
    queue: Arc<dyn TaskQueue>,
    scorers: Arc<dyn ScorerSource>,
    lanes: Lanes,
    images: Arc<Images>,
    plans: Plans,
    /// Which run of each job counts.
    runs: CachedObject,
    canvas_kib: u32,
    canvases: Arc<Semaphore>,
    in_hand: Arc<Semaphore>,
    /// They work on small images beside the lanes.
    readers: WaitingThreads,
    deadline: Option<Duration>,
    /// Cancelled when a lane does not come back.
    stuck: CancellationToken,
    health: Health,
    self_test: SelfTest,
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
            process: fastrand::u64(..),
            scorers: Arc::clone(scorers),
            lanes: Lanes::start(lanes, scorers, options.model_bytes / lanes as u64)?,
            images: Arc::new(Images::new(&options.images)),
            plans: Plans::default(),
            runs: CachedObject::new(RUN_BELIEVED.0, RUN_BELIEVED.1),
            canvas_kib,
            canvases: Arc::new(Semaphore::new(canvas_kib as usize)),
            in_hand: Arc::new(Semaphore::new(TASKS_MAX)),
            readers: WaitingThreads::new("reader", lanes + 1),
            deadline: options.deadline,
            stuck: CancellationToken::new(),
            health: Health::default(),
            self_test: options.self_test.clone(),
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
        let subscription = self.queue.subscribe(Topic::Tasks, WORKERS).await?;
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
            let self_test = self.self_test.clone();
            let (class, tested) = match tokio::task::spawn_blocking(move || self_test.run()).await {
                Ok(Err(found)) => (found.class, format!("its test of itself finds: {found}")),
                _ => (class, "its test of itself finds nothing else wrong".to_owned()),
            };
            let error = WorkerError::Sick { failures, tested, class, reason };
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
                if self.health.is_news(&error.to_string()) {
                    tracing::error!(%error, "dropped a message on the task topic");
                }
                let is_sound = matches!(error, MessageError::Version { .. });
                return !is_sound || self.return_unread(payload, &error).await;
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
            Ok(Worked::NotBegun) => {
                // It comes to another worker, whether or not this is heard.
                self.announce(task.run, &image, Event::TaskLeft { task: id, attempt, process: self.process })
                    .await;
                return false;
            }
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
                let (reason, damaged) = (short_reason(&reason), failure.damaged);
                Event::TaskFailed { task: id, attempt, reason, class, damaged }
            }
        };
        self.announce(task.run, &image, event).await
    }

    /// Says what happened to a task of an image; whether it is safe that the coordinator will hear it.
    async fn announce(&self, run: RunId, image: &str, event: Event) -> bool {
        let said = ResultMessage { run, from: self.name.clone(), event };
        let payload = Bytes::from(message::encode(&said));
        match self.queue.publish(Topic::Results, image, payload).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "could not announce a task");
                false
            }
        }
    }

    /// Keeps a message of another version where given up things go, and says so to whoever has sent it: what is written
    /// of another version is not understood there, but which version it is.
    async fn return_unread(&self, payload: Bytes, error: &MessageError) -> bool {
        let (job, store, run) = (String::new(), String::new(), String::new());
        let event = Event::Unread { reason: short_reason(&error.to_string()) };
        self.queue.publish(Topic::Dead, "", payload).await.is_ok()
            && self.announce(RunId { job, store, run }, "", event).await
    }

    /// Says that a task begins. To be waited for before anything of the image is looked at.
    async fn begin(&self, task: &TaskMessage) -> bool {
        let takes = Some(self.images.pixels_max());
        let event = Event::TaskBegun { task: task.id(), attempt: task.attempt, process: self.process, takes };
        self.announce(task.run.clone(), &task.image.key, event).await
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
        // All of the room for one that is to be alone.
        let room = if task.alone { TASKS_MAX as u32 } else { 1 };
        let _in_hand = self.in_hand.acquire_many(room).await.map_err(|e| Failure::passing(e.to_string()))?;
        // Whoever names a foreign store makes no worker sick.
        self.stores.trusts(&task.run.store).map_err(Failure::reject)?;
        let store = self.stores.open(&task.run.store)?;
        // Where no run is named at all, what was asked is done: nobody else has the job, and whoever asked waits for it.
        if self.runs.differs(&*store, &key::run(&task.run.job), task.run.run.as_bytes()).await? {
            return Ok(Worked::LeftOver);
        }
        self.compute(task, &store, admitted).await
    }
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
    /// Nothing, since the lanes do not come back, or nobody can be told of it. It is for another worker.
    NotBegun,
}
