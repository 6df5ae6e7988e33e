//! `marquetry run`: coordinator, worker and aggregator in one process, over a queue in memory and a store in a folder.

use crate::args::RunArgs;
use crate::exit::{Exit, Fatal};
use crate::job::{JobFile, load_runtime, start_tokio, tables};
use crate::place::Place;
use crate::progress::Progress;
use crate::summary;
use bytes::Bytes;
use marquetry_coordinator::aggregator::{Aggregator, AggregatorOptions};
use marquetry_coordinator::{
    Finished, Follow, FollowError, Planned, RunFacts, TableError, Tables, Tally, outputs_hash, report,
};
use marquetry_job::key;
use marquetry_job::spec::{JobSpec, Output, Policy};
use marquetry_model::{Device, Runtime, SessionOptions};
use marquetry_transport::{Drain, Files, MemoryQueue, ObjectStore, StoreError, TaskQueue};
use marquetry_worker::{ImageOptions, NetworkSource, OrtSource, Worker, WorkerOptions};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Lanes beyond this many seldom help, and each keeps sessions of its own.
const LANES_MAX: usize = 8;
/// Between two looks at what the lanes have done.
const TICK: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Fatal> {
    let started = Instant::now();
    let tokio = start_tokio()?;
    let storage = args.storage.open(&tokio);
    let job = JobFile::read(&args.job, &storage.files)?;
    let runtime = load_runtime(args.common.onnxruntime.as_deref())?;
    let place = Place::open(&job.store()?, &storage, &tokio)?;
    let planned = job.plan(&storage.files, &runtime, place.scratch.clone(), Some(&place.memory))?;
    if job.spec.failures.policy == Policy::Fail && !planned.rejected.is_empty() {
        return Err(Fatal::new(
            Exit::BadJob,
            "failures.policy is `fail` and some images cannot be used; nothing was run",
        ));
    }
    let tables = tables(&job, &storage.files, &planned)?;
    let threads = Threads::choose(args);
    let (store, files) = (Arc::clone(&place.store), storage.files);
    let local = Local {
        store,
        files,
        place: &place,
        spec: &job.spec,
        planned: &planned,
        runtime,
        threads,
        args,
        started,
    };
    let exit = tokio.block_on(local.run(tables));
    tokio.shutdown_timeout(Duration::from_secs(1));
    exit
}

/// Most bytes of canvases in hand: one being computed, one being stored.
pub(crate) const fn canvas_bytes(spec: &JobSpec) -> u64 {
    spec.limits.block_bytes() * 2
}

/// How the cores are used.
#[derive(Clone, Copy)]
struct Threads {
    lanes: usize,
    each: usize,
}

impl Threads {
    fn choose(args: &RunArgs) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes = args.lanes.map_or(cores.min(LANES_MAX), usize::from);
        let each = args.threads.map_or((cores / lanes).max(1), usize::from);
        Self { lanes, each }
    }
}

/// One run on this machine.
struct Local<'a> {
    store: Arc<dyn ObjectStore>,
    files: Files,
    place: &'a Place,
    spec: &'a JobSpec,
    planned: &'a Planned,
    runtime: Runtime,
    threads: Threads,
    args: &'a RunArgs,
    started: Instant,
}

impl Local<'_> {
    async fn run(self, tables: Tables) -> Result<Exit, Fatal> {
        let outputs = outputs_hash(self.spec);
        let tally = tokio::select! {
            tally = self.compute(&outputs) => tally?,
            () = stop() => {
                let message = "stopped; what is finished is kept, and the same command goes on";
                return Err(Fatal::new(Exit::TryAgain, message));
            }
        };
        let finished = Finished {
            plan: &self.planned.plan,
            spec: self.spec,
            outputs: &outputs,
            tally: &tally,
            rejected: &self.planned.rejected,
        };
        if self.spec.failures.policy == Policy::Fail && !finished.is_whole() {
            let reason = tally.losses.first().map_or("an image failed", |l| l.reason.as_str());
            let message =
                format!("failures.policy is `fail`: {reason}; fix it and run the same command again");
            return Err(Fatal::new(Exit::Partial, message));
        }
        let plan = &self.planned.plan;
        let store = Arc::clone(&self.store);
        let names = tables.write(store, plan, &outputs, &self.place.scratch).await.map_err(failed_table)?;
        let files = self.write_report(&finished, names).await?;
        let facts = self.facts(files);
        summary::print(&finished, &facts, self.args.common.format);
        Ok(if finished.is_whole() { Exit::Done } else { Exit::Partial })
    }

    /// The three roles, until every image is finished or given up.
    async fn compute(&self, outputs: &str) -> Result<Tally, Fatal> {
        let plan = &self.planned.plan;
        let json = serde_json::to_vec(plan).map_err(|e| Fatal::new(Exit::Bug, e))?;
        self.store.put(&key::plan(&plan.job), Bytes::from(json)).await.map_err(unavailable)?;
        let yaml = Bytes::from(self.spec.to_yaml());
        self.store.put(&key::spec(&plan.job, outputs), yaml).await.map_err(unavailable)?;

        let queue = MemoryQueue::new();
        let shared: Arc<dyn TaskQueue> = Arc::new(queue.clone());
        let store = Arc::clone(&self.store);
        let worker = Arc::new(self.worker(&store, &shared)?);
        let options = AggregatorOptions {
            images: self.threads.lanes.min(2),
            temp_dir: self.place.scratch.clone(),
            files: self.files.clone(),
        };
        let aggregator = Arc::new(Aggregator::new(Arc::clone(&store), Arc::clone(&shared), options));
        let spawned = Arc::clone(&worker);
        let working = tokio::spawn(async move { spawned.run(&Drain::never()).await });
        let aggregating = tokio::spawn(async move { aggregator.run(&Drain::never()).await });

        let progress = Progress::new(plan.cost().forwards);
        let follow = Follow {
            store: &*store,
            queue: shared,
            plan,
            spec: self.spec,
            outputs,
            attempts_max: self.spec.failures.attempts,
            stop_at_loss: self.spec.failures.policy == Policy::Fail,
            keep_tiles: self.spec.tiles.keep,
        };
        let following = follow.run(|tally| progress.follow(tally));
        tokio::pin!(following);
        let result = loop {
            tokio::select! {
                result = &mut following => break result,
                () = tokio::time::sleep(TICK) => progress.forwards(worker.forwards()),
            }
        };
        queue.close();
        let _ = tokio::join!(working, aggregating);
        result.map_err(|error| match error {
            FollowError::Store(error) => unavailable(error),
            error @ FollowError::Queue(_) => Fatal::new(Exit::Bug, error),
        })
    }

    fn worker(&self, store: &Arc<dyn ObjectStore>, queue: &Arc<dyn TaskQueue>) -> Result<Worker, Fatal> {
        let options = SessionOptions { intra_threads: self.threads.each, device: Device::Cpu };
        let networks: Arc<dyn NetworkSource> =
            Arc::new(OrtSource::new(self.runtime.clone(), options, self.files.clone()));
        let options = WorkerOptions {
            lanes: self.threads.lanes,
            canvas_bytes: canvas_bytes(self.spec),
            model_bytes: self.args.models_mb.saturating_mul(1 << 20),
            images: ImageOptions {
                pixels_max: self.spec.limits.image_pixels,
                memory_bytes: self.spec.limits.image_bytes(),
                spool_dir: self.place.scratch.clone(),
                files: self.files.clone(),
            },
        };
        Worker::start(Arc::clone(store), Arc::clone(queue), &networks, &options)
            .map_err(|e| Fatal::new(Exit::Unavailable, format!("cannot start threads: {e}")))
    }

    /// Writes the report if one is asked for; the files of the job, by name and place.
    async fn write_report(
        &self,
        finished: &Finished<'_>,
        tables: Vec<String>,
    ) -> Result<Vec<(String, String)>, Fatal> {
        let job = &finished.plan.job;
        let place = |name: &str| self.place.of(&key::out(job, name));
        let mut files: Vec<(String, String)> = Vec::new();
        for output in &self.spec.outputs {
            let name = output.place();
            let folder = name.split("/*").next().unwrap_or(&name).to_owned();
            files.push((folder.clone(), place(&folder)));
        }
        debug_assert!(tables.iter().all(|t| files.iter().any(|(name, _)| name == t)));
        if self.spec.outputs.contains(&Output::Report) {
            let page =
                finished.report(&*self.store, self.facts(files.clone())).await.map_err(failed_table)?;
            let key = key::out(job, "report.html");
            self.store.put(&key, Bytes::from(report::render(&page))).await.map_err(unavailable)?;
        }
        Ok(files)
    }

    fn facts(&self, files: Vec<(String, String)>) -> RunFacts {
        let machine = [
            ("ONNX Runtime".to_owned(), self.runtime.version().to_owned()),
            (
                "Device".to_owned(),
                format!("CPU, {} lanes × {} threads", self.threads.lanes, self.threads.each),
            ),
            ("Store".to_owned(), self.place.uri.clone()),
        ];
        RunFacts {
            wall_seconds: self.started.elapsed().as_secs_f64(),
            peak_memory_bytes: summary::peak_memory_bytes(),
            machine: machine.into(),
            files,
        }
    }
}

/// Ends when the user or the system asks the process to stop.
async fn stop() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unavailable(error: StoreError) -> Fatal {
    Fatal::of_store(&error)
}

fn failed_table(error: TableError) -> Fatal {
    match error {
        TableError::Store(error) => unavailable(error),
        error => Fatal::new(Exit::Unavailable, error),
    }
}
