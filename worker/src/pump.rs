//! The loop of a worker: messages in, tiles and announcements out.

use crate::block::BlockTask;
use crate::context::PlanContext;
use crate::image::ImageOptions;
use crate::lane::Lanes;
use crate::network::NetworkSource;
use crate::{Failure, Images};
use bytes::Bytes;
use marquetry_job::tile::{self, Frame};
use marquetry_job::{Plan, ResultMessage, StageSeconds, TaskMessage, TileHeader, key, message};
use marquetry_transport::{Drain, ObjectStore, QueueError, TaskQueue, Topic, consume};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Mutex, Semaphore};

/// Most tasks in hand at once, however small they are: being read, computed or stored.
const TASKS_MAX: usize = 32;
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
}

/// A worker.
pub struct Worker {
    store: Arc<dyn ObjectStore>,
    queue: Arc<dyn TaskQueue>,
    lanes: Lanes,
    images: Arc<Images>,
    plans: Mutex<HashMap<String, Arc<PlanContext>>>,
    canvas_kib: u32,
    canvases: Arc<Semaphore>,
}

impl Worker {
    /// Starts the lanes of a worker.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn start(
        store: Arc<dyn ObjectStore>,
        queue: Arc<dyn TaskQueue>,
        networks: &Arc<dyn NetworkSource>,
        options: &WorkerOptions,
    ) -> std::io::Result<Self> {
        let lanes = options.lanes.max(1);
        let canvas_kib = u32::try_from(options.canvas_bytes / KIB).unwrap_or(u32::MAX).max(1);
        Ok(Self {
            lanes: Lanes::start(lanes, networks, options.model_bytes / lanes as u64)?,
            images: Arc::new(Images::new(&options.images)),
            plans: Mutex::new(HashMap::new()),
            canvas_kib,
            canvases: Arc::new(Semaphore::new(canvas_kib as usize)),
            store,
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
    /// When the queue is lost for good.
    pub async fn run(self: Arc<Self>, drain: &Drain) -> Result<(), QueueError> {
        let subscription = self.queue.subscribe(Topic::Tasks, "workers").await?;
        consume(subscription, TASKS_MAX, drain, |payload| Arc::clone(&self).handle(payload)).await
    }

    /// Does one task and announces what came of it; whether it may be acknowledged.
    async fn handle(self: Arc<Self>, payload: Bytes) -> bool {
        let task: TaskMessage = match message::decode(&payload) {
            Ok(task) => task,
            Err(error) => {
                tracing::error!(%error, "dropped a message on the task topic");
                return true;
            }
        };
        let id = task.task;
        let event = match self.compute(&task).await {
            Ok(event) => event,
            Err(Failure { reason, retry }) => {
                tracing::debug!(task = %id, attempt = task.attempt, retry, "{reason}");
                ResultMessage::TaskFailed { task: id, attempt: task.attempt, reason, retry }
            }
        };
        let payload = Bytes::from(message::encode(&event));
        match self.queue.publish(Topic::Results, &id.image.to_string(), payload).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(task = %id, %error, "could not announce a task");
                false
            }
        }
    }

    async fn compute(&self, message: &TaskMessage) -> Result<ResultMessage, Failure> {
        let (context, id) = (self.plan(&message.job).await?, message.task);
        let (planned, (grid, blocks)) = context
            .plan
            .images
            .get(id.image as usize)
            .zip(context.plan.layout(id.image, id.group))
            .ok_or_else(|| Failure::reject(format!("{id} is not in the plan of job {}", message.job)))?;
        let block =
            blocks.get(id.block).ok_or_else(|| Failure::reject(format!("{id} is not in the plan")))?;
        let extent = block.extent(&grid);
        let classes = context.plan.scoring.classes.len();
        let kib = (extent.size.area() * classes as u64 * 4).div_ceil(KIB);
        let share = u32::try_from(kib).unwrap_or(u32::MAX).clamp(1, self.canvas_kib);
        let permit = self.canvases.acquire_many(share).await.map_err(|e| Failure::passing(e.to_string()))?;

        let started = Instant::now();
        let (images, wanted) = (Arc::clone(&self.images), planned.clone());
        let image = blocking(move || images.open(&wanted)).await??;
        let open_seconds = started.elapsed().as_secs_f64();

        let (task, outcome) =
            BlockTask::new(Arc::clone(&context), image, grid, id.group as usize, block.clone());
        let forwards = task.forwards();
        self.lanes.submit(Arc::new(task));
        let (frames, mut seconds) =
            outcome.await.map_err(|_| Failure::passing("the worker was stopped"))??;
        seconds.read += open_seconds;

        let header = TileHeader {
            scoring: context.scoring.clone(),
            image: planned.key.clone(),
            group: id.group,
            block: id.block,
            extent,
            classes: classes as u32,
            space: context.plan.scoring.space,
            dtype: context.plan.scoring.tile,
            models: context.plan.scoring.groups[id.group as usize]
                .members
                .iter()
                .map(|m| m.sha256.clone())
                .collect(),
        };
        let key = key::tile(&message.job, &planned.key, id.group, id.block);
        let tile_bytes = self.keep(&key, header, frames, &mut seconds).await?;
        drop(permit);
        Ok(ResultMessage::Tile { task: id, tile_bytes, forwards, seconds })
    }

    async fn keep(
        &self,
        key: &str,
        header: TileHeader,
        frames: Vec<Frame>,
        seconds: &mut StageSeconds,
    ) -> Result<u64, Failure> {
        let started = Instant::now();
        let tile = blocking(move || tile::assemble(&header, &frames)).await?;
        let tile = tile.map_err(|e| Failure::reject(e.to_string()))?;
        let tile_bytes = tile.len() as u64;
        self.store.put(key, Bytes::from(tile)).await?;
        seconds.store += started.elapsed().as_secs_f64();
        Ok(tile_bytes)
    }

    /// The plan of `job`, read once.
    async fn plan(&self, job: &str) -> Result<Arc<PlanContext>, Failure> {
        let mut plans = self.plans.lock().await;
        if let Some(context) = plans.get(job) {
            return Ok(Arc::clone(context));
        }
        let bytes = self.store.get(&key::plan(job)).await?;
        let plan: Plan = serde_json::from_slice(&bytes)
            .map_err(|e| Failure::reject(format!("the plan of job {job} cannot be read: {e}")))?;
        let context = Arc::new(PlanContext::new(plan)?);
        plans.insert(job.to_owned(), Arc::clone(&context));
        Ok(context)
    }
}

/// Runs work that takes a while away from the threads that drive messages.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Failure::reject(format!("a bug: {e}")))
}
