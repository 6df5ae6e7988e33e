//! How far a job is, in the store for whoever asks.

use crate::leased_store::write_over;
use crate::tally::Tally;
use crate::worker_health::SickWorker;
use marquetry_failure::FailureClass;
use marquetry_job::{Progress, RunId, key};
use marquetry_spec::JobSpec;
use marquetry_transport::{Content, ObjectStore, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

const VERSION: u32 = 1;
/// Losses that are listed; the dead-letter topic and the report have them all.
const LOSSES_SHOWN: usize = 100;
/// What the rate is measured over.
const RATE_OVER: Duration = Duration::from_mins(1);
/// A worker that was not heard of for so long is not counted.
const WORKER_SEEN: Duration = Duration::from_mins(5);

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Tasks are being done.
    Running,
    /// Tables and the report are being written.
    Finishing,
    /// All outputs are written; tiles that nobody needs any more are being deleted.
    Cleaning,
    /// Everything is done.
    Done,
    /// Done, but something was given up.
    Partial,
    /// It ended early, as its policy asks or because everything failed alike; the status says why.
    Failed,
    /// It was cancelled; what is done is kept.
    Cancelled,
}

/// Something that was given up, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossShown {
    /// The image's id.
    pub image: String,
    /// `whole image` or `block 3 of group 0`.
    pub what: String,
    /// Tries made; 0 where it only follows from other losses.
    pub attempts: u32,
    /// Why the last one failed.
    pub reason: String,
    /// The worker or aggregator that said so last.
    #[serde(default)]
    pub from: String,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    version: u32,
    /// The job and its run.
    #[serde(flatten)]
    pub run: RunId,
    /// Its name.
    pub name: String,
    /// Names the decisions and outputs.
    pub outputs: String,
    /// Where it stands.
    pub state: JobState,
    /// When the run began, s since 1970.
    pub started: u64,
    /// When this was written, s since 1970.
    pub updated: u64,
    /// Blocks and images.
    pub progress: Progress,
    /// Model runs of one window each that are done, and all of them.
    pub forwards_done: u64,
    /// All of them.
    pub forwards: u64,
    /// Model runs a second, over the last minute.
    pub forwards_per_second: f64,
    /// Seconds to the end at this rate.
    pub eta_seconds: Option<f64>,
    /// Who was heard of in the last minutes: name, and blocks or images done.
    pub workers: BTreeMap<String, u64>,
    /// Blocks that were sent and are not back.
    #[serde(rename = "outstanding")]
    pub in_flight: u64,
    /// Tries that failed and were made again.
    pub retries: u64,
    /// Blocks and images that were out for too long and sent again.
    pub resent: u64,
    /// How many were given up.
    pub losses: u64,
    /// The first of them.
    pub losses_shown: Vec<LossShown>,
    /// For how long nobody has answered, s, where that is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_seconds: Option<u64>,
    /// Workers that only fail what they are sent.
    #[serde(default)]
    pub sick_workers: Vec<SickWorker>,
    /// What there is to say while no worker was heard of that takes the largest image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_large: Option<String>,
    /// Why the job failed, if it did.
    #[serde(default, flatten)]
    pub failure: JobFailure,
}

/// Why a job failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFailure {
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who is to blame for all failures, where they are alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<FailureClass>,
}

impl JobState {
    /// Whether a coordinator is at work on the job, if it still lives.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Finishing | Self::Cleaning)
    }
}

impl Status {
    /// Changes the state, now.
    pub(crate) fn enter(&mut self, state: JobState) {
        self.state = state;
        self.updated = unix_now();
        self.eta_seconds = None;
    }

    /// Reads the status of `job`.
    ///
    /// # Errors
    /// When there is none, or the store is away.
    pub async fn read(store: &dyn ObjectStore, job: &str) -> Result<Option<Self>, StoreError> {
        let bytes = store.get(&key::status(job)).await?;
        // One of another version says nothing that could be relied on.
        Ok(serde_json::from_slice::<Self>(&bytes).ok().filter(|status| status.version == VERSION))
    }

    /// Writes it where [`read`](Self::read) finds it.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn write(&self, store: &dyn ObjectStore) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec_pretty(self).expect("numbers and texts become JSON");
        let (key, content) = (key::status(&self.run.job), Content::Bytes(bytes.into()));
        // What is written later is not written over by what comes late.
        write_over(store, &key, &content, || std::future::ready(Ok(()))).await
    }

    /// All jobs of a store that have a status, by name.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn jobs(store: &dyn ObjectStore) -> Result<Vec<String>, StoreError> {
        let all = store.list(key::STATUSES).await?;
        Ok(all.iter().filter_map(|meta| key::job_of_status(&meta.key)).map(ToOwned::to_owned).collect())
    }
}

/// Seconds since 1970.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What the runner knows at this moment.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) tally: &'a Tally,
    /// Blocks that are out.
    pub(crate) in_flight: u64,
    pub(crate) sick_workers: Vec<SickWorker>,
    pub(crate) silent_seconds: Option<u64>,
    pub(crate) too_large: Option<String>,
}

impl<'a> Seen<'a> {
    /// Before anything is out.
    pub(crate) const fn of(tally: &'a Tally) -> Self {
        Self { tally, in_flight: 0, sick_workers: Vec::new(), silent_seconds: None, too_large: None }
    }
}

/// Who was heard of lately, and how fast the job goes.
#[derive(Debug)]
pub(crate) struct RateTracker {
    started: u64,
    forwards: u64,
    seen: BTreeMap<String, (Instant, u64)>,
    /// Model runs done at past moments, oldest first.
    past: VecDeque<(Instant, u64)>,
}

impl RateTracker {
    pub(crate) fn new(forwards: u64) -> Self {
        Self { started: unix_now(), forwards, seen: BTreeMap::new(), past: VecDeque::new() }
    }

    /// Someone said something; `ended`: that something is done or has failed.
    pub(crate) fn heard(&mut self, from: &str, ended: bool, now: Instant) {
        match self.seen.get_mut(from) {
            Some(seen) => *seen = (now, seen.1 + u64::from(ended)),
            None => drop(self.seen.insert(from.to_owned(), (now, u64::from(ended)))),
        }
    }

    /// How many were heard of before the last status, and not too long before.
    pub(crate) fn workers(&self) -> usize {
        self.seen.len()
    }

    /// Model runs a second since about a minute ago.
    fn rate(&mut self, done: u64, now: Instant) -> f64 {
        self.past.push_back((now, done));
        while self.past.len() > 2 && now.duration_since(self.past[1].0) >= RATE_OVER {
            self.past.pop_front();
        }
        let (at, before) = self.past[0];
        let seconds = now.duration_since(at).as_secs_f64();
        if seconds > 0.0 { done.saturating_sub(before) as f64 / seconds } else { 0.0 }
    }

    pub(crate) fn status(&mut self, run: &RunId, spec: &JobSpec, outputs: &str, seen: Seen<'_>) -> Status {
        let Seen { tally, in_flight, sick_workers, silent_seconds, too_large } = seen;
        let now = Instant::now();
        let done = tally.forwards + tally.forwards_found;
        let rate = self.rate(done, now);
        self.seen.retain(|_, (at, _)| now.duration_since(*at) < WORKER_SEEN);
        let left = self.forwards.saturating_sub(done) as f64;
        let shown = tally.losses.sample().iter().take(LOSSES_SHOWN).map(|loss| LossShown {
            image: loss.image.clone(),
            what: loss.what(),
            attempts: loss.attempts,
            reason: loss.reason.clone(),
            from: loss.from.clone(),
        });
        Status {
            version: VERSION,
            run: run.clone(),
            name: spec.name.clone(),
            outputs: outputs.to_owned(),
            state: JobState::Running,
            started: self.started,
            updated: unix_now(),
            progress: tally.progress,
            forwards_done: done,
            forwards: self.forwards,
            forwards_per_second: rate,
            eta_seconds: (rate > 0.0).then(|| left / rate),
            workers: self.seen.iter().map(|(id, (_, done))| (id.clone(), *done)).collect(),
            in_flight,
            retries: tally.retries,
            resent: tally.resent,
            losses: tally.losses.total(),
            losses_shown: shown.collect(),
            silent_seconds,
            sick_workers,
            too_large,
            failure: JobFailure::default(),
        }
    }
}
