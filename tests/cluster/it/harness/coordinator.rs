//! Coordinators, run as `marquetry coordinate` runs them.

use super::cluster::Cluster;
use super::plans::JobOf;
use marquetry_coordinator::{JobRunner, JobState, RunError, Stopped, Tables, new_run, set_state};
use marquetry_job::{Progress, RunId, TaskId, key};
use marquetry_telemetry::Metrics;
use marquetry_transport::{Files, ObjectStore, StoreError, TaskQueue};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinHandle};

/// What is counted here is looked at by nobody.
static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// How a coordinator is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) attempts_max: u32,
    pub(crate) keep_tiles: bool,
    /// Nothing is sent again for being late before this.
    pub(crate) overdue_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { attempts_max: 3, keep_tiles: false, overdue_after: Duration::from_secs(20) }
    }
}

/// What a job came to.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) progress: Progress,
    /// Images of which all was given up.
    pub(crate) lost_images: BTreeSet<u32>,
    pub(crate) lost_tasks: BTreeSet<TaskId>,
    pub(crate) retries: u64,
}

/// How a coordinator ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    Done(Summary),
    /// It found out that it does not count any more.
    Replaced,
    Cancelled,
    /// It is lost, or dead.
    Broken(String),
}

impl End {
    /// What the job came to; an error if the coordinator did not see its end.
    pub(crate) fn done(self) -> Result<Summary, String> {
        match self {
            Self::Done(summary) => Ok(summary),
            other => Err(format!("the coordinator should have seen the end of its job: {other:?}")),
        }
    }
}

/// A coordinator at work.
pub(crate) struct Coordinating {
    pub(crate) run: RunId,
    task: JoinHandle<End>,
}

impl Coordinating {
    /// Starts the coordinator `name` of `job`, which sees the store as `store` has it.
    pub(crate) fn start(
        cluster: &Arc<Cluster>,
        name: &str,
        store: Arc<dyn ObjectStore>,
        job: &JobOf,
        options: Options,
    ) -> Self {
        let run = new_run(&job.plan.job, &store.name());
        let (cluster, name) = (Arc::clone(cluster), name.to_owned());
        let (of_run, job) = (run.clone(), job.clone());
        let task = tokio::task::spawn_local(async move {
            cluster.journal.note(&name, "starts");
            let queue: Arc<dyn TaskQueue> = Arc::clone(&cluster.queue) as _;
            let end = coordinate(store, queue, &of_run, &job, options).await;
            cluster.journal.note(&name, format!("ends: {end:?}"));
            end
        });
        Self { run, task }
    }

    /// Waits for its end.
    pub(crate) async fn end(self) -> End {
        self.task.await.unwrap_or_else(|error| End::Broken(error.to_string()))
    }

    /// Whether it has come to its end.
    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// What kills it.
    pub(crate) fn abort_handle(&self) -> AbortHandle {
        self.task.abort_handle()
    }
}

async fn coordinate(
    store: Arc<dyn ObjectStore>,
    queue: Arc<dyn TaskQueue>,
    run: &RunId,
    job: &JobOf,
    options: Options,
) -> End {
    if let Err(error) = store_job(&*store, job).await {
        return End::Broken(error.to_string());
    }
    let runner = JobRunner {
        store,
        queue,
        run,
        plan: &job.plan,
        spec: &job.spec,
        outputs: &job.outputs,
        attempts_max: options.attempts_max,
        stop_at_loss: false,
        keep_tiles: options.keep_tiles,
        overdue_after: options.overdue_after,
        metrics: &METRICS,
    };
    match runner.run(|_| ()).await {
        Ok(tally) => End::Done(Summary {
            progress: tally.progress,
            lost_images: tally.losses.iter().filter(|l| l.task.is_none()).map(|l| l.image).collect(),
            lost_tasks: tally.losses.iter().filter_map(|loss| loss.task).collect(),
            retries: tally.retries,
        }),
        Err(RunError::Stopped(Stopped::Replaced)) => End::Replaced,
        Err(RunError::Stopped(Stopped::Cancelled)) => End::Cancelled,
        Err(error) => End::Broken(error.to_string()),
    }
}

/// Stores what workers and aggregators read of a job.
async fn store_job(store: &dyn ObjectStore, job: &JobOf) -> Result<(), StoreError> {
    let plan = serde_json::to_vec(&*job.plan).expect("a plan becomes JSON");
    store.put(&key::plan(&job.plan.job), plan.into()).await?;
    store.put(&key::spec(&job.plan.job, &job.outputs), job.spec.to_yaml().into()).await
}

/// Does what a coordinator does after its images are finished: writes the tables, and that the job is done.
pub(crate) async fn finish(store: Arc<dyn ObjectStore>, job: &JobOf) -> Result<(), String> {
    let ids = job.plan.images.iter().map(|image| image.id.clone()).collect();
    let tables = Tables::prepare(&job.spec, "", &Files::local_only(), ids);
    let tables = tables.map_err(|error| error.to_string())?;
    let written = tables.write(Arc::clone(&store), &job.plan, &job.outputs, &std::env::temp_dir()).await;
    written.map_err(|error| error.to_string())?;
    set_state(&*store, &job.plan.job, JobState::Done).await.map_err(|error| error.to_string())
}
