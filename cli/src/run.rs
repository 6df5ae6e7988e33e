//! `marquetry run`: coordinator, worker and aggregator in one process, over a queue in memory.

use crate::args::RunArgs;
use crate::broker::lost_queue;
use crate::coordination::{Coordination, Followed, stop, stopped, unavailable};
use crate::exit::{Exit, Fatal};
use crate::in_time::{InRounds, Roles, Workplace};
use crate::job::{JobFile, StoredMemory, load_runtime, start_tokio};
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use crate::storage::Storage;
use crate::summary::LastSeen;
use crate::threads::Threads;
use marquetry_aggregator::{Aggregator, AggregatorOptions};
use marquetry_model::{Device, Runtime, SessionOptions};
use marquetry_spec::JobSpec;
use marquetry_telemetry::Metrics;
use marquetry_transport::{Drain, MemoryQueue, TaskQueue};
use marquetry_worker::{ImageOptions, SelfTest, Worker, WorkerOptions, scorers};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::{JoinError, JoinSet};

/// Between two looks at what the lanes have done.
const TICK: Duration = Duration::from_millis(200);
/// What the roles call themselves where they are one process.
const NAME: &str = "this process";
/// Nothing is overdue in one process: what is out is in hand.
pub(crate) const OVERDUE_AFTER: Duration = Duration::from_hours(24);

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Fatal> {
    let mut seen = LastSeen::default();
    run_here(args, &mut seen).inspect_err(|fatal| seen.print(fatal, args.common.format))
}

fn run_here(args: &RunArgs, seen: &mut LastSeen) -> Result<Exit, Fatal> {
    let started = Instant::now();
    let tokio = start_tokio()?;
    let threads = Threads::choose(args.lanes.lanes, args.lanes.threads);
    threads.require()?;
    let storage = args.storage.open(&tokio, Duration::ZERO, &Metrics::new()).written_behind();
    let mut job = JobFile::read(&args.job, &storage.files)?;
    args.subset.apply(&mut job.spec)?;
    let runtime = load_runtime(args.common.onnxruntime.as_deref())?;
    let device = args.device.settle(&mut job, &runtime)?;
    let threads = threads.on(device, args.lanes.lanes);
    let place = RunFolder::open(&job.store()?, &storage, &tokio)?;
    let memory = StoredMemory { store: Arc::clone(&place.store), runtime: tokio.handle().clone() };
    let (scratch, models_mb) = (place.scratch.clone(), args.lanes.models_mb);
    let local = InProcessCluster {
        storage: storage.clone(),
        scratch: scratch.clone(),
        runtime: runtime.clone(),
        device,
        threads,
        models_mb,
    };
    let (machine, uri, store) = (local.machine(&place.uri), place.uri.clone(), Arc::clone(&place.store));
    let stores = storage.stores.clone();
    let exit = if let Some(time) = args.time.finish_in {
        let (files, overdue_after) = (storage.files, OVERDUE_AFTER);
        let at = Workplace { files, runtime, memory, uri, store, scratch, started, overdue_after };
        let rounds = InRounds::plan(job, at, time)?;
        tokio.block_on(rounds.run(Roles::Here(Box::new(local)), machine, (seen, args.common.format)))
    } else {
        let planned = job.plan_for(&memory, &storage.files, &runtime, scratch.clone())?;
        let (files, store) = (&storage.files, (uri, store));
        let coordination =
            Coordination::prepare(job, planned, files, store, scratch, started, OVERDUE_AFTER)?;
        seen.job = Some((coordination.planned.plan.job.clone(), coordination.folder()));
        tokio.block_on(async {
            let ended = local.compute(&coordination, seen, std::future::pending()).await?;
            Ok(coordination.finish(ended, machine).await?.print(args.common.format))
        })
    };
    let settled = tokio.block_on(stores.settle()).map_err(unavailable);
    tokio.shutdown_timeout(Duration::from_secs(1));
    settled.and(exit)
}

/// Most bytes of canvases in hand: one being computed, one being stored.
pub(crate) const fn canvas_bytes(spec: &JobSpec) -> u64 {
    spec.limits.block_bytes() * 2
}

/// The roles beside the coordinator.
pub(crate) struct InProcessCluster {
    pub(crate) storage: Storage,
    pub(crate) scratch: PathBuf,
    pub(crate) runtime: Runtime,
    pub(crate) device: Device,
    pub(crate) threads: Threads,
    pub(crate) models_mb: u64,
}

impl InProcessCluster {
    /// The three roles, until every image is finished or given up, or the process is asked to stop. When `broken_off` ends
    /// they end too, after the windows that they have in hand, and its reason is the error.
    pub(crate) async fn compute(
        &self,
        coordination: &Coordination,
        seen: &mut LastSeen,
        broken_off: impl Future<Output = Fatal>,
    ) -> Result<Followed, Fatal> {
        let ended = tokio::select! {
            ended = Box::pin(self.work(coordination, seen, broken_off)) => ended,
            () = stop() => Err(stopped()),
        };
        // However it ended: what is done is to be found by the next run.
        self.storage.stores.settle().await.map_err(unavailable).and(ended)
    }

    async fn work(
        &self,
        coordination: &Coordination,
        seen: &mut LastSeen,
        broken_off: impl Future<Output = Fatal>,
    ) -> Result<Followed, Fatal> {
        let queue = MemoryQueue::new();
        let shared: Arc<dyn TaskQueue> = Arc::new(queue.clone());
        let worker = Arc::new(self.worker(&coordination.job.spec, &shared)?);
        let options = AggregatorOptions {
            images: self.threads.lanes.min(2),
            temp_dir: self.scratch.clone(),
            files: self.storage.files.clone(),
            metrics: Metrics::new(),
            planned_here: true,
        };
        let aggregator =
            Arc::new(Aggregator::new(NAME, self.storage.stores.clone(), Arc::clone(&shared), options));
        let images_in_hand = Arc::downgrade(&aggregator);
        let mut roles = JoinSet::new();
        let spawned = Arc::clone(&worker);
        roles.spawn(async move { spawned.run(&Drain::never()).await.map_err(crate::worker::ended) });
        roles.spawn(async move { aggregator.run(&Drain::never()).await.map_err(lost_queue) });

        let progress = Progress::new(coordination.planned.forwards());
        let (metrics, forwards) = (Metrics::new(), Arc::clone(&seen.forwards));
        let following = coordination.follow(shared, &metrics, |tally| {
            seen.note(tally);
            progress.follow(tally);
        });
        tokio::pin!(following, broken_off);
        let result = loop {
            tokio::select! {
                result = &mut following => break result,
                // Nobody else would do its work.
                Some(role) = roles.join_next() => break Err(role_ended(role)),
                reason = &mut broken_off => {
                    roles.abort_all();
                    break Err(reason);
                }
                () = tokio::time::sleep(TICK) => {
                    forwards.store(worker.forwards(), Ordering::Relaxed);
                    progress.forwards(worker.forwards());
                }
            }
        };
        forwards.store(worker.forwards(), Ordering::Relaxed);
        queue.close();
        while roles.join_next().await.is_some() {}
        // Threads that put images together are not ended with their role, and write to the store.
        while images_in_hand.strong_count() > 0 {
            tokio::time::sleep(TICK / 10).await;
        }
        result
    }

    fn worker(&self, spec: &JobSpec, queue: &Arc<dyn TaskQueue>) -> Result<Worker, Fatal> {
        let options = SessionOptions::on(self.device, self.threads.each);
        let model_bytes = self.models_mb.saturating_mul(1 << 20);
        let (runtime, files) = (self.runtime.clone(), self.storage.files.clone());
        let scorers = scorers(runtime, options, files, Metrics::new(), model_bytes)
            .map_err(|error| no_threads(&error))?;
        let options = WorkerOptions {
            lanes: self.threads.lanes,
            canvas_bytes: canvas_bytes(spec),
            model_bytes,
            images: ImageOptions {
                pixels_max: spec.limits.image_pixels,
                memory_bytes: spec.limits.image_bytes(),
                scratch_dir: self.scratch.clone(),
                files: self.storage.files.clone(),
                planned_here: true,
            },
            deadline: None,
            self_test: SelfTest::new(),
            metrics: Metrics::new(),
        };
        Worker::start(NAME, self.storage.stores.clone(), Arc::clone(queue), &scorers, &options)
            .map_err(|error| no_threads(&error))
    }

    fn machine(&self, store: &str) -> Vec<(String, String)> {
        vec![
            ("ONNX Runtime".to_owned(), self.runtime.version().to_owned()),
            (
                "Device".to_owned(),
                format!("{}, {} lanes × {} threads", self.device, self.threads.lanes, self.threads.each),
            ),
            ("Store".to_owned(), store.to_owned()),
        ]
    }
}

/// The system lets this process have no more of them.
pub(crate) fn no_threads(error: &std::io::Error) -> Fatal {
    Fatal::new(Exit::Unavailable, format!("cannot start threads: {error}"))
}

/// Why the job cannot go on: the worker or the aggregator has ended before it.
fn role_ended(role: Result<Result<(), Fatal>, JoinError>) -> Fatal {
    match role {
        Ok(Err(error)) => error,
        Ok(Ok(())) => Fatal::new(Exit::Bug, "a bug: the worker or the aggregator ended before the job"),
        Err(error) => Fatal::new(Exit::Bug, format!("a bug: the worker or the aggregator panicked: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_role_that_ends_early_ends_the_run_with_its_own_error() {
        let ended = async |role: fn() -> Result<(), Fatal>| {
            let joined = tokio::spawn(async move { role() }).await;
            role_ended(joined)
        };
        let sick = ended(|| Err(Fatal::new(Exit::Unavailable, "the disk is full"))).await;
        assert_eq!((sick.exit, sick.message.as_str()), (Exit::Unavailable, "the disk is full"));
        assert_eq!(ended(|| Ok(())).await.exit, Exit::Bug);
        assert!(ended(|| panic!("on purpose")).await.message.contains("panicked"));
    }
}
