//! Publishing a plan's tasks and following what becomes of them.

use crate::aggregator::expected;
use bytes::Bytes;
use marquetry_job::spec::JobSpec;
use marquetry_job::{Ledger, Loss, Plan, Progress, ResultMessage, StageSeconds, Step, TaskId, key, message};
use marquetry_transport::{ObjectStore, QueueError, StoreError, TaskQueue, Topic};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// The first pause before something that failed is tried again; it doubles with each attempt.
const BACK_OFF: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// Why following a job ended early.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The queue is lost.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The store is lost.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a job's tasks came to.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Tally {
    /// How far it came.
    pub progress: Progress,
    /// Blocks computed in this run.
    pub tasks_computed: u64,
    /// Blocks whose tiles were found in the store.
    pub tasks_found: u64,
    /// Images that were found finished in the store.
    pub images_found: u64,
    /// Model runs of one window each, in this run.
    pub forwards: u64,
    /// Model runs that were found done in the store.
    pub forwards_found: u64,
    /// Bytes of all tiles stored in this run.
    pub tile_bytes: u64,
    /// Where workers' time went, s, summed over threads.
    pub seconds: StageSeconds,
    /// Seconds of putting images together, summed.
    pub aggregate_seconds: f64,
    /// Tries that failed and were made again.
    pub retries: u64,
    /// What was given up.
    pub losses: Vec<Loss>,
}

/// One job as the coordinator follows it.
pub struct Follow<'a> {
    /// Where tiles lie.
    pub store: &'a dyn ObjectStore,
    /// Where messages go.
    pub queue: Arc<dyn TaskQueue>,
    /// What is computed.
    pub plan: &'a Plan,
    /// What was asked for.
    pub spec: &'a JobSpec,
    /// Names the decisions and outputs.
    pub outputs: &'a str,
    /// Tries of a task or an image.
    pub attempts_max: u32,
    /// Whether the first loss ends the job.
    pub stop_at_loss: bool,
    /// Whether tiles stay when their image is finished.
    pub keep_tiles: bool,
}

impl Follow<'_> {
    /// Publishes what is not done yet and follows it to the end. `each` sees every change.
    ///
    /// # Errors
    /// When the queue or the store is lost.
    pub async fn run(&self, mut each: impl FnMut(&Tally)) -> Result<Tally, FollowError> {
        let mut results = self.queue.follow(Topic::Results).await?;
        let blocks: Vec<Vec<u32>> =
            (0..self.plan.images.len() as u32).map(|image| self.plan.blocks_of(image)).collect();
        let mut ledger = Ledger::new(&self.plan.job, self.outputs, &blocks, self.attempts_max);
        let mut tally = Tally::default();
        self.look_up(&mut ledger, &mut tally).await?;
        tally.progress = ledger.progress();
        each(&tally);
        for step in ledger.start() {
            self.take(step, &mut tally, false).await?;
        }
        while !(ledger.is_complete() || self.stop_at_loss && !tally.losses.is_empty()) {
            match message::decode::<ResultMessage>(&results.next().await?) {
                Ok(event) => {
                    let before = ledger.progress();
                    // What follows from a failure waits a little; what a stored tile was waited for does not.
                    let pause = !matches!(event, ResultMessage::Tile { .. });
                    for step in ledger.apply(&event) {
                        self.take(step, &mut tally, pause).await?;
                    }
                    if ledger.progress() != before {
                        count(&event, &mut tally);
                    }
                    tally.progress = ledger.progress();
                    each(&tally);
                }
                Err(error) => tracing::error!(%error, "dropped a message on the results topic"),
            }
        }
        Ok(tally)
    }

    /// Notes what an earlier run of the same job left in the store, and clears away tiles that nobody needs any more.
    async fn look_up(&self, ledger: &mut Ledger, tally: &mut Tally) -> Result<(), FollowError> {
        let images: HashMap<&str, u32> =
            self.plan.images.iter().enumerate().map(|(i, image)| (image.key.as_str(), i as u32)).collect();
        let mut finished = vec![false; self.plan.images.len()];
        let written = self.store.list(&key::out(&self.plan.job, "")).await?;
        let written: HashSet<&str> = written.iter().map(|m| m.key.as_str()).collect();
        let is_whole = |image: u32| {
            let files = expected(self.spec, &self.plan.images[image as usize].id);
            files.iter().all(|file| written.contains(key::out(&self.plan.job, file).as_str()))
        };
        let own = key::parts(&self.plan.job, self.outputs);
        for part in self.store.list(&key::all_parts(&self.plan.job)).await? {
            if !part.key.starts_with(&own) {
                // The files it speaks of are about to be written over by those of this run.
                self.store.delete(&part.key).await?;
                continue;
            }
            if let Some(&image) =
                key::image_of_part(&part.key).and_then(|k| images.get(k)).filter(|i| is_whole(**i))
            {
                ledger.found_image(image);
                finished[image as usize] = true;
                let tasks = self.plan.tasks_of(image);
                tally.forwards_found += tasks.map(|t| self.plan.forwards_of(t)).sum::<u64>();
            }
        }
        tally.images_found = ledger.progress().images_done;
        for tile in self.store.list(&key::tiles(&self.plan.job)).await? {
            let Some((image, group, block)) = key::of_tile(&tile.key) else { continue };
            let Some(&image) = images.get(image) else { continue };
            if finished[image as usize] {
                if !self.keep_tiles {
                    self.store.delete(&tile.key).await?;
                }
                continue;
            }
            let before = ledger.progress().tasks_done;
            let task = TaskId { image, group, block };
            ledger.found_tile(task);
            if ledger.progress().tasks_done > before {
                tally.tasks_found += 1;
                tally.forwards_found += self.plan.forwards_of(task);
            }
        }
        Ok(())
    }

    async fn take(&self, step: Step, tally: &mut Tally, pause: bool) -> Result<(), FollowError> {
        match step {
            Step::Compute(task) => {
                let key = format!("{}-{}-{}", task.task.image, task.task.group, task.task.block);
                if task.attempt > 1 {
                    tally.retries += 1;
                    tracing::warn!(task = %task.task, attempt = task.attempt, "trying again");
                }
                self.publish(Topic::Tasks, key, message::encode(&task), task.attempt).await?;
            }
            Step::Aggregate(image) => {
                tally.retries += u64::from(image.attempt > 1);
                let key = image.image.to_string();
                let attempt = if pause { image.attempt } else { 1 };
                self.publish(Topic::Aggregate, key, message::encode(&image), attempt).await?;
            }
            Step::GiveUp(loss) => {
                let id = &self.plan.images[loss.image as usize].id;
                tracing::error!(image = %id, attempts = loss.attempts, "gave up: {}", loss.reason);
                let key = loss.image.to_string();
                self.publish(Topic::Dead, key, message::encode(&loss), 1).await?;
                tally.losses.push(loss);
            }
        }
        Ok(())
    }

    /// Publishes now, or after a pause when it is not the first attempt.
    async fn publish(
        &self,
        topic: Topic,
        key: String,
        bytes: Vec<u8>,
        attempt: u32,
    ) -> Result<(), FollowError> {
        let payload = Bytes::from(bytes);
        if attempt <= 1 {
            return Ok(self.queue.publish(topic, &key, payload).await?);
        }
        let queue = Arc::clone(&self.queue);
        let pause = BACK_OFF.saturating_mul(1 << (attempt - 2).min(10)).min(BACK_OFF_MAX);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Err(error) = queue.publish(topic, &key, payload).await {
                tracing::debug!(%error, "a retry was not published");
            }
        });
        Ok(())
    }
}

fn count(event: &ResultMessage, tally: &mut Tally) {
    match event {
        ResultMessage::Tile { tile_bytes, forwards, seconds, .. } => {
            tally.tile_bytes += tile_bytes;
            tally.tasks_computed += 1;
            tally.forwards += forwards;
            tally.seconds += *seconds;
        }
        ResultMessage::Image { seconds, .. } => tally.aggregate_seconds += seconds,
        ResultMessage::TaskFailed { .. } | ResultMessage::ImageFailed { .. } => {}
    }
}
