//! The main loop of a job: publishes the plan's tasks and takes in what becomes of them.

mod deadly;
mod error;
mod events;
mod sending;

pub use error::RunError;

use crate::breaker::{AllFail, JobBreaker};
use crate::ended_run::EndedRun;
use crate::in_flight::{InFlight, InFlightKey};
use crate::job_runner::events::{apply, count, describe, note_in_flight, note_start};
use crate::job_runner::sending::When;
use crate::job_tasks::JobTasks;
use crate::losses::Losses;
use crate::run_lease::{RunLease, Stopped};
use crate::silence::Silence;
use crate::status::{JobFailure, JobState, RateTracker, Seen};
use crate::stored_inputs::StoredInputs;
use crate::tally::Tally;
use crate::too_large::TooLarge;
use marquetry_job::{Event, Ledger, Plan, PlannedImage, Progress, ResultMessage, RunId, message};
use marquetry_spec::{JobSpec, Priority};
use marquetry_telemetry::{ImageOutcome, JobImageState, JobTaskState, Metrics, RetryReason};
use marquetry_transport::lag::{Lag, watch};
use marquetry_transport::{Feed, ObjectStore, QueueError, TaskQueue, Topic};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

/// The first pause before something that failed is tried again; it doubles with each attempt.
const BACK_OFF: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Between two looks at what is late.
const TICK: Duration = Duration::from_secs(1);
/// Tasks that are out at least, and for each worker: enough that nobody waits for the next one, and no more, so that
/// jobs that share workers take turns.
const AHEAD_MIN: usize = 64;
const AHEAD_EACH: usize = 16;
/// How many times as much a job of high priority has out as a normal one, and that as one of low priority. Workers take what
/// waits in its order, so this is how much more of their time it gets.
const STEP: usize = 4;
/// Images whose pictures are on the report's contact sheet: the first so many.
const PICTURES_MAX: u32 = 48;

/// One job and how it is run.
pub struct JobRunner<'a> {
    /// Where tiles lie.
    pub store: Arc<dyn ObjectStore>,
    /// Where messages go.
    pub queue: Arc<dyn TaskQueue>,
    /// The job and this run of it.
    pub run: &'a RunId,
    /// What is computed, and how it is merged.
    pub plan: &'a Plan,
    /// What tasks read of it, beside the images themselves.
    pub inputs: Arc<StoredInputs>,
    /// For which images.
    pub images: &'a [PlannedImage],
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
    /// What becomes of results that were made for other outputs.
    pub other_results: OtherResults<'a>,
    /// Nothing is sent again for being late before this.
    pub overdue_after: Duration,
    /// What is counted.
    pub metrics: &'a Metrics,
}

/// What becomes of the results of images that were made for other decisions or outputs, when a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherResults<'a> {
    /// They are deleted: the files that they speak of are about to be written anew.
    Delete,
    /// They are deleted but for those of the first pass, which are called so.
    KeepOf(&'a str),
    /// They stay: this is a first pass, which writes no file.
    KeepAll,
}

/// What changes while a job runs.
struct RunState<'a> {
    /// The name under which messages count now.
    run: RunId,
    renewed: u32,
    tasks: JobTasks<'a>,
    /// The hash of the plan.
    plan: String,
    ledger: Ledger,
    tally: Tally,
    in_flight: InFlight,
    rate: RateTracker,
    /// Messages on their way; what failed and waits for its next try is among them.
    publishing: JoinSet<Result<(), QueueError>>,
    /// Dead letters on their way: the job does not end before they are safe.
    letters: JoinSet<Result<(), QueueError>>,
    breaker: JobBreaker,
    silence: Silence,
    too_large: TooLarge,
    /// Whether it was told that somebody says what is not understood.
    has_told_unread: bool,
}

/// What was heard, and from whom.
struct Heard {
    from: String,
    event: Event,
}

impl<'a> JobRunner<'a> {
    /// Has everything done that is not done yet. `each` sees every change. The job is held until what is returned is
    /// released: its outputs are still to be written.
    ///
    /// # Errors
    /// When the queue or the store is lost, the job is cancelled, another coordinator takes it over, or all tasks fail
    /// alike.
    pub async fn run(&self, mut each: impl FnMut(&Tally)) -> Result<EndedRun, RunError> {
        // A span of this level is there whenever something that can be wrong is logged.
        let span = tracing::warn_span!("job", id = self.run.job, run = self.run.run);
        self.run_to_end(&mut each).instrument(span).await
    }

    async fn run_to_end(&self, each: &mut dyn FnMut(&Tally)) -> Result<EndedRun, RunError> {
        // Listening begins before looking, so that nothing that is announced in between is missed.
        let mut results = self.queue.follow(Topic::Results).await?;
        let mut lease = RunLease::acquire(Arc::clone(&self.store), self.run.clone()).await?;
        self.inputs.put_all(&*self.store, self.images).await?;
        let lag = watch(Arc::clone(&self.queue), self.metrics.clone());
        let mut state = self.begin(&lease).await?;
        each(&state.tally);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !(state.ledger.is_complete() || self.stop_at_loss && !state.tally.losses.is_empty()) {
            self.fill(&mut state);
            tokio::select! {
                // In this order, so that a seed of a schedule gives the same run again; what is heard comes last, for
                // it is the one that need not end.
                biased;
                lost = lease.lost() => {
                    if matches!(lost, RunError::Stopped(Stopped::Cancelled)) {
                        lease.note_cancelled().await?;
                    }
                    return Err(lost);
                }
                Some(published) = state.publishing.join_next() => {
                    published.unwrap_or(Err(QueueError::Closed))?;
                    // What is ready is taken at once, so that it does not pile up behind what is heard.
                    while let Some(published) = state.publishing.try_join_next() {
                        published.unwrap_or(Err(QueueError::Closed))?;
                    }
                }
                _ = tick.tick() => {
                    self.send_overdue(lag.tasks(), &mut state);
                    let silent = state.silence.look(&state.in_flight, lag.tasks(), Instant::now());
                    lease.publish_status(self.status(&mut state, silent));
                    if let Some(all) = state.in_flight.refused_to_all(Instant::now()) {
                        return Err(self.stop(all, lease, state).await);
                    }
                }
                heard = self.hear(&mut *results, &state.run, (&mut state.rate, &mut state.has_told_unread)) => {
                    let heard = heard?;
                    state.silence.heard(Instant::now());
                    if let Some((key, verdict)) = note_start(&heard, self.attempts_max, &mut state) {
                        self.judge(key, verdict, &lease, &mut state).await?;
                        continue;
                    }
                    if self.take_in(&heard, &mut state) {
                        each(&state.tally);
                    }
                    if let Some(all) = state.breaker.note(&heard.event) {
                        return Err(self.stop(all, lease, state).await);
                    }
                }
            }
        }
        self.end(lease, state).await
    }

    /// Waits until what was given up is written down.
    async fn end(&self, lease: RunLease, mut state: RunState<'_>) -> Result<EndedRun, RunError> {
        while let Some(published) = state.letters.join_next().await {
            published.unwrap_or(Err(QueueError::Closed))?;
        }
        if let Some(error) = self.came_to_nothing(&state) {
            return Err(match error {
                RunError::AllFail(all) => self.stop(all, lease, state).await,
                error => self.fail(error, lease, state).await,
            });
        }
        // The first of each was told when it came up.
        for loss in state.tally.losses.by_reason().iter().filter(|loss| loss.count > 1) {
            tracing::warn!(count = loss.count, class = %loss.class, "gave up in all: {}", loss.reason);
        }
        let deletes_tiles = state.ledger.is_complete() && !self.keep_tiles;
        let images = self.images.iter().zip(0..);
        let unfinished = images.filter(|(_, place)| !state.ledger.is_whole(*place));
        state.tally.unfinished = unfinished.map(|(image, _)| image.key.clone()).collect();
        lease.publish_status(self.status(&mut state, None));
        Ok(EndedRun { tally: state.tally, lease, deletes_tiles })
    }

    /// Ends a job in which everything fails alike.
    async fn stop(&self, all: AllFail, lease: RunLease, state: RunState<'_>) -> RunError {
        tracing::error!(class = %all.class, "{all}");
        self.fail(RunError::AllFail(all), lease, state).await
    }

    /// Writes down that a job has failed.
    async fn fail(&self, why: RunError, lease: RunLease, mut state: RunState<'_>) -> RunError {
        lease.publish_status(self.status(&mut state, None));
        let class = if let RunError::AllFail(all) = &why { Some(all.class) } else { None };
        let failure = JobFailure { reason: Some(why.to_string()), class };
        if let Err(error) = lease.release(JobState::Failed, Some(failure)).await {
            tracing::warn!(%error, "the end of the job was not written down");
        }
        why
    }

    /// Why nothing is handed back, where all was given up: however few it were, one cause is told as one.
    fn came_to_nothing(&self, state: &RunState<'_>) -> Option<RunError> {
        let (progress, losses) = (state.ledger.progress(), &state.tally.losses);
        if self.stop_at_loss || progress.images == 0 || progress.images_done > 0 {
            return None;
        }
        let most = losses.by_reason().iter().max_by_key(|loss| loss.count)?;
        let (class, reason) = (most.class, most.reason.clone());
        Some(match losses.by_reason().len() {
            1 => RunError::AllFail(AllFail { failures: most.count as usize, class, reason }),
            reasons => RunError::NothingDone { reasons, reason },
        })
    }

    async fn begin(&self, lease: &RunLease) -> Result<RunState<'a>, RunError> {
        let tasks = JobTasks::new(self.plan, self.images);
        let mut ledger = Ledger::new(&tasks.stages(), self.attempts_max);
        let mut tally = Tally { progress: ledger.progress(), ..Tally::default() };
        let mut rate = RateTracker::new(self.plan.cost(self.images).forwards);
        // Looking through the store may take long: whoever asks for the job's status, or wants to cancel it, finds it at work.
        let mut show = |tally: &Tally| {
            lease.publish_status(rate.status(self.run, self.spec, self.outputs, Seen::of(tally)));
        };
        show(&tally);
        lease.write_status().await;
        self.recover_from_store(lease, &tasks, &mut ledger, &mut tally, &mut show).await?;
        tally.progress = ledger.progress();
        self.show(tally.progress);
        self.metrics.images.of(ImageOutcome::Found).add(tally.images_found);
        let partitions =
            [self.queue.partitions(Topic::Tasks).await?, self.queue.partitions(Topic::Aggregate).await?];
        Ok(RunState {
            run: self.run.clone(),
            renewed: 0,
            tasks,
            plan: self.plan.hash(),
            ledger,
            tally,
            in_flight: InFlight::new(self.overdue_after, partitions),
            rate,
            publishing: JoinSet::new(),
            letters: JoinSet::new(),
            breaker: JobBreaker::default(),
            silence: Silence::new(self.overdue_after, Instant::now()),
            too_large: TooLarge::new(self.images),
            has_told_unread: false,
        })
    }

    fn status(&self, state: &mut RunState<'_>, silent_seconds: Option<u64>) -> crate::Status {
        let seen = Seen {
            tally: &state.tally,
            in_flight: state.in_flight.tasks() as u64,
            sick_workers: state.in_flight.sick_workers(),
            silent_seconds,
            too_large: state.too_large.words(),
        };
        state.rate.status(&state.run, self.spec, self.outputs, seen)
    }

    /// Sends tasks until enough are out for the workers that are there.
    fn fill(&self, state: &mut RunState<'_>) {
        let ahead = ahead(self.spec.priority, state.rate.workers());
        let room = ahead.saturating_sub(state.in_flight.tasks());
        if room == 0 || state.ledger.is_handed_out() {
            return;
        }
        for action in state.ledger.advance(room) {
            self.carry_out(action, When::Now, state);
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

    /// The next event of this job. A task counts whichever run asked for it: what is stored is stored, and if it is not,
    /// that is found out. All else is of this run's own messages, its plan, its decisions and its tries, under whichever of
    /// its names.
    async fn hear(
        &self,
        results: &mut dyn Feed,
        current: &RunId,
        (rate, told): (&mut RateTracker, &mut bool),
    ) -> Result<Heard, QueueError> {
        loop {
            match message::decode::<ResultMessage>(&results.next().await?) {
                Ok(ResultMessage { run, from, event }) => {
                    let of_job = run.job == self.run.job && run.store == self.run.store;
                    let counts = match event {
                        Event::TaskDone { .. } => of_job,
                        // Under another name it is the start of a message that has been sent anew.
                        _ if event.is_of_start() => run == *current,
                        _ => of_job && current.is_life_of(&run.run),
                    };
                    if counts {
                        if event != Event::Retry {
                            let ended = !event.is_of_start();
                            rate.heard(&from, ended, Instant::now());
                        }
                        return Ok(Heard { from, event });
                    }
                }
                Err(error) if !std::mem::replace(told, true) => {
                    tracing::error!(%error, "dropped a message on the results topic");
                }
                Err(_) => {}
            }
        }
    }

    /// Takes an event in, and does what follows from it; whether anything changed.
    fn take_in(&self, heard: &Heard, state: &mut RunState<'_>) -> bool {
        let event = &heard.event;
        if *event == Event::Retry {
            state.tally.losses = Losses::default();
        }
        let before = state.ledger.progress();
        let actions = apply(heard, state);
        let progress = state.ledger.progress();
        let changed = progress != before || !actions.is_empty();
        self.show(progress);
        note_in_flight(heard, changed, state);
        if progress != before {
            count(event, &mut state.tally);
        }
        state.tally.progress = progress;
        // What follows from a failure waits a little; what a stored tile was waited for does not.
        let when = match event {
            Event::TaskFailed { class, .. } | Event::ImageFailed { class, .. } => When::AfterFailure(*class),
            _ => When::Now,
        };
        for action in actions {
            if matches!(when, When::AfterFailure(_)) && InFlightKey::of(&action).is_some() {
                state.tally.retries += 1;
                self.metrics.retries.of(RetryReason::Failure).increment();
            }
            self.carry_out(action, when, state);
        }
        changed
    }

    fn send_overdue(&self, waiting: Option<Lag>, state: &mut RunState<'_>) {
        let (mut sent, mut first) = (0, None);
        for late in state.in_flight.overdue(Instant::now(), waiting) {
            if let Some(action) = state.ledger.resend(&late) {
                sent += 1;
                first.get_or_insert_with(|| describe(&action, &state.tasks));
                state.tally.resent += 1;
                self.metrics.retries.of(RetryReason::Overdue).increment();
                self.carry_out(action, When::Now, state);
            }
        }
        match (first, sent) {
            (Some(first), 1) => tracing::warn!("{first} has been out for long; sending it again"),
            (Some(first), n) => {
                tracing::warn!("{n} tasks or images have been out for long ({first}, …); sending them again");
            }
            (None, _) => {}
        }
    }
}

/// Tasks that a job has out at most.
fn ahead(priority: Priority, workers: usize) -> usize {
    let normal = AHEAD_MIN.max(AHEAD_EACH * workers);
    match priority {
        Priority::Low => normal / STEP,
        Priority::Normal => normal,
        Priority::High => normal * STEP,
    }
}

#[cfg(test)]
#[path = "job_runner_tests.rs"]
mod tests;
