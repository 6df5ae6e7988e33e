//! Publishing a plan's tasks and following what becomes of them.

use crate::beacon::{Beacon, Stopped};
use crate::control::settle;
use crate::outstanding::{Outstanding, Work};
use crate::status::{JobState, Watch};
use bytes::Bytes;
use marquetry_job::message::short_reason;
use marquetry_job::{
    AggregateMessage, DeadLetter, Event, Ledger, Loss, Plan, Progress, ResultMessage, RunId, StageSeconds,
    Step, TaskMessage, message,
};
use marquetry_spec::JobSpec;
use marquetry_telemetry::{DeadLetterKind, ImageOutcome, JobImageState, JobTaskState, Metrics, RetryReason};
use marquetry_transport::{Feed, ObjectStore, QueueError, StoreError, TaskQueue, Topic};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The first pause before something that failed is tried again; it doubles with each attempt.
const BACK_OFF: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Between two looks at what is late.
const TICK: Duration = Duration::from_secs(1);
/// Tasks that are out at least, and for each worker: enough that nobody waits for the next one, and no more, so that
/// jobs that share workers take turns.
const AHEAD_MIN: usize = 64;
const AHEAD_EACH: usize = 16;

/// Why following a job ended early.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The queue is lost.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The store is lost.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Someone wants it to end.
    #[error(transparent)]
    Stopped(#[from] Stopped),
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
    /// Blocks and images that were out for too long and sent again.
    pub resent: u64,
    /// What was given up.
    pub losses: Vec<Loss>,
}

/// One job as the coordinator follows it.
pub struct Follow<'a> {
    /// Where tiles lie.
    pub store: Arc<dyn ObjectStore>,
    /// Where messages go.
    pub queue: Arc<dyn TaskQueue>,
    /// The job and this run of it.
    pub run: &'a RunId,
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
    /// Nothing is sent again for being late before this.
    pub patience: Duration,
    /// What is counted.
    pub metrics: &'a Metrics,
}

/// What changes while a job is followed.
struct Course {
    ledger: Ledger,
    tally: Tally,
    outstanding: Outstanding,
    watch: Watch,
    /// Messages on their way; what failed and waits for its next try is among them.
    publishing: JoinSet<Result<(), QueueError>>,
    /// Dead letters on their way: the job does not end before they are safe.
    letters: JoinSet<Result<(), QueueError>>,
}

impl Follow<'_> {
    /// Publishes what is not done yet and follows it to the end. `each` sees every change.
    ///
    /// # Errors
    /// When the queue or the store is lost, the job is cancelled, or another coordinator takes it over.
    pub async fn run(&self, mut each: impl FnMut(&Tally)) -> Result<Tally, FollowError> {
        // Listening begins before looking, so that nothing that is announced in between is missed.
        let mut results = self.queue.follow(Topic::Results).await?;
        let mut beacon = Beacon::light(Arc::clone(&self.store), self.run.clone()).await?;
        let _lag = crate::lag::watch(Arc::clone(&self.queue), self.metrics.clone());
        let mut course = self.begin().await?;
        each(&course.tally);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !(course.ledger.is_complete() || self.stop_at_loss && !course.tally.losses.is_empty()) {
            self.fill(&mut course);
            tokio::select! {
                event = self.hear(&mut *results, &mut course.watch) => {
                    if self.take_in(&event?, &mut course) {
                        each(&course.tally);
                    }
                }
                Some(published) = course.publishing.join_next() => {
                    published.unwrap_or(Err(QueueError::Closed))?;
                    // What is ready is taken at once, so that it does not pile up behind what is heard.
                    while let Some(published) = course.publishing.try_join_next() {
                        published.unwrap_or(Err(QueueError::Closed))?;
                    }
                }
                stopped = beacon.stopped() => {
                    if stopped == Stopped::Cancelled {
                        settle(&*self.store, &self.run.job, JobState::Cancelled).await?;
                    }
                    return Err(stopped.into());
                }
                _ = tick.tick() => {
                    self.send_late(&mut course);
                    beacon.show(self.status(&mut course));
                }
            }
        }
        while let Some(published) = course.letters.join_next().await {
            published.unwrap_or(Err(QueueError::Closed))?;
        }
        if course.ledger.is_complete() {
            self.clear_tiles(&course.tally.losses.iter().map(|loss| loss.image).collect()).await?;
        }
        beacon.put_out(self.status(&mut course)).await;
        Ok(course.tally)
    }

    async fn begin(&self) -> Result<Course, FollowError> {
        let blocks: Vec<Vec<u32>> =
            (0..self.plan.images.len() as u32).map(|image| self.plan.blocks_of(image)).collect();
        let mut ledger = Ledger::new(&blocks, self.attempts_max);
        let mut tally = Tally::default();
        self.look_up(&mut ledger, &mut tally).await?;
        tally.progress = ledger.progress();
        self.show(tally.progress);
        self.metrics.images.of(ImageOutcome::Found).add(tally.images_found);
        let partitions =
            [self.queue.partitions(Topic::Tasks).await?, self.queue.partitions(Topic::Aggregate).await?];
        Ok(Course {
            ledger,
            tally,
            outstanding: Outstanding::new(self.patience, partitions),
            watch: Watch::new(self.plan.cost().forwards),
            publishing: JoinSet::new(),
            letters: JoinSet::new(),
        })
    }

    fn status(&self, course: &mut Course) -> crate::Status {
        let outstanding = course.outstanding.tasks() as u64;
        course.watch.status(self.run, self.plan, self.spec, self.outputs, &course.tally, outstanding)
    }

    /// Sends tasks until enough are out for the workers that are there.
    fn fill(&self, course: &mut Course) {
        let ahead = AHEAD_MIN.max(AHEAD_EACH * course.watch.workers());
        let room = ahead.saturating_sub(course.outstanding.tasks());
        if room == 0 || course.ledger.is_handed_out() {
            return;
        }
        for step in course.ledger.advance(room) {
            self.take(step, Duration::ZERO, course);
        }
    }

    fn show(&self, progress: Progress) {
        let (tasks, images) = (&self.metrics.job_tasks, &self.metrics.job_images);
        tasks.of(JobTaskState::All).set(progress.tasks as f64);
        tasks.of(JobTaskState::Done).set(progress.tasks_done as f64);
        images.of(JobImageState::All).set(progress.images as f64);
        images.of(JobImageState::Done).set(progress.images_done as f64);
        images.of(JobImageState::Failed).set(progress.images_failed as f64);
    }

    /// The next event of this job. Tiles count whichever run asked for them: what is stored is stored, and if it is not,
    /// that is found out. All else is of this run's own messages, its plan, its decisions and its tries.
    async fn hear(&self, results: &mut dyn Feed, watch: &mut Watch) -> Result<Event, QueueError> {
        loop {
            match message::decode::<ResultMessage>(&results.next().await?) {
                Ok(ResultMessage { run, from, event }) => {
                    let of_job = run.job == self.run.job && run.store == self.run.store;
                    if run == *self.run || of_job && matches!(event, Event::Tile { .. }) {
                        if event != Event::Retry {
                            watch.heard(&from, Instant::now());
                        }
                        return Ok(event);
                    }
                }
                Err(error) => tracing::error!(%error, "dropped a message on the results topic"),
            }
        }
    }

    /// Takes an event in, and does what follows from it; whether anything changed.
    fn take_in(&self, event: &Event, course: &mut Course) -> bool {
        let now = Instant::now();
        if *event == Event::Retry {
            course.tally.losses.clear();
        }
        let before = course.ledger.progress();
        let steps = course.ledger.apply(event);
        let progress = course.ledger.progress();
        let changed = progress != before || !steps.is_empty();
        self.show(progress);
        match event {
            Event::Tile { task, .. } => course.outstanding.back(Work::Task(*task), true, now),
            Event::Image { image, partial, .. } if changed || !partial => {
                course.outstanding.back(Work::Image(*image), true, now);
            }
            // What comes of a failure is in the steps; an old one must not touch what is out.
            Event::TaskFailed { task, .. } if changed => {
                course.outstanding.back(Work::Task(*task), false, now);
            }
            Event::ImageFailed { image, .. } if changed => {
                course.outstanding.back(Work::Image(*image), false, now);
            }
            Event::TaskFailed { .. } | Event::Image { .. } | Event::ImageFailed { .. } | Event::Retry => {}
        }
        if progress != before {
            count(event, &mut course.tally);
        }
        course.tally.progress = progress;
        // What follows from a failure waits a little; what a stored tile was waited for does not.
        let failed = matches!(event, Event::TaskFailed { .. } | Event::ImageFailed { .. });
        for step in steps {
            let pause = if failed { back_off(&step) } else { Duration::ZERO };
            if failed && Work::of(&step).is_some() {
                course.tally.retries += 1;
                self.metrics.retries.of(RetryReason::Failure).increment();
            }
            self.take(step, pause, course);
        }
        changed
    }

    fn send_late(&self, course: &mut Course) {
        for late in course.outstanding.late(Instant::now()) {
            if let Some(step) = course.ledger.again(&late) {
                tracing::warn!("{} has been out for long; sending it again", describe(&step));
                course.tally.resent += 1;
                self.metrics.retries.of(RetryReason::Overdue).increment();
                self.take(step, Duration::ZERO, course);
            }
        }
    }

    fn take(&self, step: Step, pause: Duration, course: &mut Course) {
        let run = self.run.clone();
        let (topic, bytes) = match &step {
            Step::Compute { task, attempt, replace } => {
                let message = TaskMessage { run, task: *task, attempt: *attempt, replace: *replace };
                (Topic::Tasks, message::encode(&message))
            }
            Step::Aggregate { image, attempt, partial } => {
                let (image, attempt, partial) = (*image, *attempt, *partial);
                let outputs = self.outputs.to_owned();
                (
                    Topic::Aggregate,
                    message::encode(&AggregateMessage { run, outputs, image, attempt, partial }),
                )
            }
            Step::GiveUp(loss) => (Topic::Dead, message::encode(&self.give_up(run, loss, course))),
        };
        let partition = course.outstanding.sent(step, Instant::now() + pause);
        let (queue, payload) = (Arc::clone(&self.queue), Bytes::from(bytes));
        let way = if topic == Topic::Dead { &mut course.letters } else { &mut course.publishing };
        way.spawn(async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            match partition {
                Some(partition) => queue.publish_to(topic, partition, payload).await,
                None => queue.publish(topic, "", payload).await,
            }
        });
    }

    fn give_up(&self, run: RunId, loss: &Loss, course: &mut Course) -> DeadLetter {
        let image = self.plan.images.get(loss.image as usize);
        let image_id = image.map_or_else(String::new, |image| image.id.clone());
        tracing::error!(image = %image_id, attempts = loss.attempts, "gave up: {}", loss.reason);
        course.tally.losses.push(loss.clone());
        let kind = if loss.task.is_some() { DeadLetterKind::Task } else { DeadLetterKind::Image };
        self.metrics.dead_letters.of(kind).increment();
        DeadLetter { run, image_id: short_reason(&image_id), loss: loss.clone() }
    }
}

/// How long something waits before its next try.
fn back_off(step: &Step) -> Duration {
    match step {
        Step::Compute { attempt, .. } | Step::Aggregate { attempt, .. } if *attempt > 1 => {
            BACK_OFF.saturating_mul(1 << (attempt - 2).min(10)).min(BACK_OFF_MAX)
        }
        _ => Duration::ZERO,
    }
}

fn describe(step: &Step) -> String {
    match step {
        Step::Compute { task, .. } => task.to_string(),
        Step::Aggregate { image, .. } => format!("image {image}"),
        Step::GiveUp(loss) => format!("image {}", loss.image),
    }
}

fn count(event: &Event, tally: &mut Tally) {
    match event {
        Event::Tile { tile_bytes, forwards, seconds, .. } => {
            tally.tile_bytes += tile_bytes;
            tally.tasks_computed += 1;
            tally.forwards += forwards;
            tally.seconds += *seconds;
        }
        Event::Image { seconds, .. } => tally.aggregate_seconds += seconds,
        Event::TaskFailed { .. } | Event::ImageFailed { .. } | Event::Retry => {}
    }
}
