//! The aggregator: puts the tiles of finished images together and writes their outputs.

mod bands;
mod clean;
mod image;
mod outputs;
pub(crate) mod part;
mod picture;
mod spool;
mod tiles;

use crate::aggregator::image::Work;
use crate::aggregator::tiles::TilesError;
use bytes::Bytes;
use marquetry_imagery::ImageError;
use marquetry_job::spec::JobSpec;
use marquetry_job::{AggregateMessage, Plan, ResultMessage, TaskId, key, message};
use marquetry_raster::write::WriteError;
use marquetry_transport::{Drain, Files, ObjectStore, QueueError, StoreError, TaskQueue, Topic, consume};
pub(crate) use outputs::expected;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

/// How an aggregator uses its machine.
#[derive(Debug, Clone)]
pub struct AggregatorOptions {
    /// Images put together at the same time; each holds one band.
    pub images: usize,
    /// Folder for label maps and outputs until they are stored.
    pub temp_dir: PathBuf,
    /// Where images are read from, for their georeference and the report's pictures.
    pub files: Files,
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

    /// Whether another attempt could go better.
    fn may_pass(&self) -> bool {
        match self {
            Self::Tiles(_) | Self::Store(_) | Self::Io(_) => true,
            Self::Read(error) => error.may_pass(),
            Self::Write(error) => matches!(error, WriteError::Io { .. }),
            Self::Plan(_) => false,
        }
    }
}

/// An aggregator.
pub struct Aggregator {
    store: Arc<dyn ObjectStore>,
    queue: Arc<dyn TaskQueue>,
    options: AggregatorOptions,
    jobs: Mutex<Jobs>,
}

/// Plans and job files that were read, by job and outputs.
type Jobs = HashMap<(String, String), Arc<(Plan, JobSpec)>>;

impl Aggregator {
    /// An aggregator on this store and queue.
    pub fn new(store: Arc<dyn ObjectStore>, queue: Arc<dyn TaskQueue>, options: AggregatorOptions) -> Self {
        Self { store, queue, options, jobs: Mutex::new(HashMap::new()) }
    }

    /// Works until the queue is closed or `drain` says so.
    ///
    /// # Errors
    /// When the queue is lost for good.
    pub async fn run(self: Arc<Self>, drain: &Drain) -> Result<(), QueueError> {
        let subscription = self.queue.subscribe(Topic::Aggregate, "aggregators").await?;
        consume(subscription, self.options.images, drain, |payload| Arc::clone(&self).handle(payload)).await
    }

    /// Does one image and announces what came of it; whether it may be acknowledged.
    async fn handle(self: Arc<Self>, payload: Bytes) -> bool {
        let wanted: AggregateMessage = match message::decode(&payload) {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::error!(%error, "dropped a message on the aggregate topic");
                return true;
            }
        };
        let started = Instant::now();
        let (image, attempt) = (wanted.image, wanted.attempt);
        let event = match Arc::clone(&self).put_together(wanted).await {
            Ok(()) => ResultMessage::Image { image, seconds: started.elapsed().as_secs_f64() },
            Err(error) => {
                let (damaged, retry, reason) = (error.damaged(), error.may_pass(), error.to_string());
                tracing::debug!(image, attempt, retry, "{reason}");
                ResultMessage::ImageFailed { image, attempt, reason, damaged, retry }
            }
        };
        let payload = Bytes::from(message::encode(&event));
        self.queue.publish(Topic::Results, &image.to_string(), payload).await.is_ok()
    }

    async fn put_together(self: Arc<Self>, wanted: AggregateMessage) -> Result<(), AggregateError> {
        let job = self.job(&wanted.job, &wanted.outputs).await?;
        let runtime = tokio::runtime::Handle::current();
        let work = move || {
            let (plan, spec) = &*job;
            let work = Work {
                store: &self.store,
                runtime: &runtime,
                plan,
                spec,
                outputs: &wanted.outputs,
                image: wanted.image,
                partial: wanted.partial,
                options: &self.options,
            };
            work.run()
        };
        let joined = tokio::task::spawn_blocking(work).await;
        joined.unwrap_or_else(|e| Err(AggregateError::Plan(format!("a bug: {e}"))))
    }

    /// The plan and the job file, read once.
    async fn job(&self, job: &str, outputs: &str) -> Result<Arc<(Plan, JobSpec)>, AggregateError> {
        let mut jobs = self.jobs.lock().await;
        let name = (job.to_owned(), outputs.to_owned());
        if let Some(known) = jobs.get(&name) {
            return Ok(Arc::clone(known));
        }
        let wrong = |what: &str, e: &dyn std::fmt::Display| {
            AggregateError::Plan(format!("the {what} of job {job} cannot be read: {e}"))
        };
        let plan = self.store.get(&key::plan(job)).await?;
        let plan: Plan = serde_json::from_slice(&plan).map_err(|e| wrong("plan", &e))?;
        let spec = self.store.get(&key::spec(job, outputs)).await?;
        let spec = std::str::from_utf8(&spec).map_err(|e| wrong("job file", &e))?;
        let spec = JobSpec::parse(spec).map_err(|e| wrong("job file", &e))?;
        let read = Arc::new((plan, spec));
        jobs.insert(name, Arc::clone(&read));
        Ok(read)
    }
}
