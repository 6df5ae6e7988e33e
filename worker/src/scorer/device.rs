//! Threads that own a device: each keeps its networks, and runs what lanes send.
//!
//! A device is used by few threads, however many lanes there are: a session runs on the thread that opened it, and while
//! one thread's copies go over the bus the other's kernels run. Lanes prepare and stitch meanwhile.

use crate::Failure;
use crate::lane::words;
use crate::network::RuntimeSource;
use lru::LruCache;
use marquetry_job::Member;
use marquetry_model::{FusedNetwork, FusedOpening, FusedSpec, MergedScores};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// A model, and what is done around it.
pub(super) struct FusedModel {
    /// Equal for what one session can run.
    pub(super) key: String,
    pub(super) member: Member,
    pub(super) spec: FusedSpec,
}

/// What became of a run.
pub(super) struct Done {
    pub(super) answer: Answer,
    /// Spent on opening the model, and on running it.
    pub(super) opening: f64,
    pub(super) running: f64,
}

pub(super) enum Answer {
    Scores(MergedScores),
    /// It cannot be in one graph: whoever asks next need not.
    Refused,
}

struct Job {
    model: Arc<FusedModel>,
    /// `[N, C, H, W]`.
    windows: Arc<Vec<f32>>,
    /// How many of them are no filling.
    count: usize,
    done: Sender<Result<Done, Failure>>,
}

/// The threads, and what they refuse.
pub(super) struct Devices {
    /// None once they are to stop.
    jobs: Option<Sender<Job>>,
    refused: Arc<Refused>,
    threads: Vec<JoinHandle<()>>,
}

/// Models that are left to the host scorer, by their keys, and why.
#[derive(Default)]
struct Refused(Mutex<HashMap<String, String>>);

impl Refused {
    fn has(&self, key: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// Says so once.
    fn add(&self, key: &str, member: &str, reason: &str) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.insert(key.to_owned(), reason.to_owned()).is_none() {
            tracing::info!(
                member,
                reason,
                "views and activation are computed beside the model, not in its graph"
            );
        }
    }
}

impl Devices {
    /// Starts `threads` threads, each of which keeps about `model_bytes` bytes of models open.
    pub(super) fn start(
        source: &Arc<RuntimeSource>,
        threads: usize,
        model_bytes: u64,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = channel();
        let (waiting, refused) = (Arc::new(Mutex::new(waiting)), Arc::new(Refused::default()));
        let mut started = Self { jobs: Some(jobs), refused: Arc::clone(&refused), threads: Vec::new() };
        for k in 0..threads.max(1) {
            let (waiting, refused) = (Arc::clone(&waiting), Arc::clone(&refused));
            let (source, open) = (Arc::clone(source), LruCache::unbounded());
            let mut device = DeviceThread { source, refused, bytes_max: model_bytes, bytes: 0, open };
            let builder = std::thread::Builder::new().name(format!("device-{k}"));
            started.threads.push(builder.spawn(move || device.run(&waiting))?);
        }
        Ok(started)
    }

    /// Has some windows scored, `[N, C, H, W]`, of which all after the first `count` are filling. Where the answer will
    /// come; nothing if it is known that the model is refused.
    pub(super) fn send(
        &self,
        model: &Arc<FusedModel>,
        windows: &Arc<Vec<f32>>,
        count: usize,
    ) -> Option<Receiver<Result<Done, Failure>>> {
        if self.refused.has(&model.key) {
            return None;
        }
        let (done, answer) = channel();
        let job = Job { model: Arc::clone(model), windows: Arc::clone(windows), count, done };
        // Where nobody takes it `done` is dropped, and whoever waits for the answer is told.
        let _ = self.jobs.as_ref()?.send(job);
        Some(answer)
    }

    /// Notes that the plan itself leaves a member to the host scorer.
    pub(super) fn refuse(&self, member: &Member, reason: &str) {
        self.refused.add(&format!("{} {reason}", member.name), &member.name, reason);
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // Lanes hold this, so nobody waits for an answer by now, and no thread is in the middle of one.
            let _ = thread.join();
        }
    }
}

/// What an answer comes to that nobody will give any more.
pub(super) fn nobody_answers() -> Failure {
    Failure::bug("a bug: a thread of the device ended; the log above says where")
}

struct DeviceThread {
    source: Arc<RuntimeSource>,
    refused: Arc<Refused>,
    bytes_max: u64,
    bytes: u64,
    open: LruCache<String, Open>,
}

struct Open {
    bytes: u64,
    network: Box<FusedNetwork>,
}

impl DeviceThread {
    /// Works until nobody can send any more.
    fn run(&mut self, waiting: &Mutex<Receiver<Job>>) {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = next else { return };
            let done = catch_unwind(AssertUnwindSafe(|| self.score(&job))).unwrap_or_else(|panic| {
                // What a panic left half-done is not used again.
                self.open.clear();
                self.bytes = 0;
                let said = words(&*panic);
                Err(Failure::bug(format!(
                    "a bug: a thread of the device panicked ({said}); the log above says where"
                )))
            });
            // A lane that failed meanwhile waits for nothing.
            let _ = job.done.send(done);
        }
    }

    fn score(&mut self, job: &Job) -> Result<Done, Failure> {
        let started = Instant::now();
        let model = &*job.model;
        let is_open = self.is_open(model)?;
        let opening = started.elapsed().as_secs_f64();
        let Some(open) = self.open.get_mut(&model.key).filter(|_| is_open) else {
            return Ok(Done { answer: Answer::Refused, opening, running: 0.0 });
        };
        let started = Instant::now();
        let scores = open.network.run(&job.windows).map_err(|error| failed(&model.member, error))?;
        let metrics = &self.source.metrics;
        metrics.inference_duration.observe_duration(started.elapsed());
        metrics.inference_batch.observe((job.count * model.spec.views.len()) as f64);
        Ok(Done { answer: Answer::Scores(scores), opening, running: started.elapsed().as_secs_f64() })
    }

    /// Opens the model, unless it is open; false if it is refused.
    fn is_open(&mut self, model: &FusedModel) -> Result<bool, Failure> {
        if self.open.contains(&model.key) {
            return Ok(true);
        }
        if self.refused.has(&model.key) {
            return Ok(false);
        }
        let started = Instant::now();
        let (source, member) = (&self.source, &model.member);
        let files = source.models.read(member)?;
        let options = member
            .signatures
            .first()
            .map_or(Ok(source.options), |contract| source.options.for_backend(contract.backend));
        let opening =
            options.and_then(|options| FusedNetwork::open(&source.runtime, &*files, &model.spec, &options));
        let network = match opening.map_err(|error| failed(member, error))? {
            FusedOpening::Opened(network) => network,
            FusedOpening::Refused(refusal) => {
                self.refused.add(&model.key, &member.name, &refusal.to_string());
                return Ok(false);
            }
        };
        source.metrics.model_load_duration.observe_duration(started.elapsed());
        tracing::debug!(member = %member.name, windows = model.spec.windows, "opened a fused session");
        let bytes = source.models.bytes(member);
        while self.bytes + bytes > self.bytes_max {
            let Some((_, closed)) = self.open.pop_lru() else { break };
            self.bytes -= closed.bytes;
        }
        self.bytes += bytes;
        self.open.put(model.key.clone(), Open { bytes, network });
        Ok(true)
    }
}

fn failed(member: &Member, error: marquetry_model::ModelError) -> Failure {
    let failure = Failure::from(error);
    Failure { reason: format!("member {}: {}", member.name, failure.reason), ..failure }
}
