//! Coordinators, run as `marquetry coordinate` runs them.

use super::cluster::Cluster;
use super::plans::JobOf;
use marquetry_coordinator::{
    CollectedResults, EndedRun, Findings, Finished, JobRunner, JobState, OtherResults, RunError, Stopped,
    StoredInputs, TableError, Tables, Tally, new_run,
};
use marquetry_failure::{Classify, FailureClass};
use marquetry_job::{Progress, RunId, TaskId};
use marquetry_telemetry::Metrics;
use marquetry_transport::{Files, ObjectStore, TaskQueue};
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
    /// Whether the tables are written. That takes threads of its own, for which virtual time stands still.
    pub(crate) tables: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { attempts_max: 3, keep_tiles: false, overdue_after: Duration::from_secs(20), tables: false }
    }
}

/// What a job came to.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) progress: Progress,
    /// Keys of images of which all was given up.
    pub(crate) lost_images: BTreeSet<String>,
    pub(crate) lost_tasks: BTreeSet<TaskId>,
    pub(crate) retries: u64,
    pub(crate) computed: u64,
}

/// How a coordinator ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    Done(Summary),
    /// It found out that it does not count any more.
    Replaced,
    Cancelled,
    /// The job cannot be done: who is to blame, and why.
    Failed(FailureClass, String),
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
    let runner = JobRunner {
        store: Arc::clone(&store),
        queue,
        run,
        plan: &job.plan,
        inputs: Arc::new(StoredInputs::new(&job.plan, &job.spec, &job.outputs)),
        images: &job.images,
        spec: &job.spec,
        outputs: &job.outputs,
        attempts_max: options.attempts_max,
        stop_at_loss: false,
        keep_tiles: options.keep_tiles,
        other_results: OtherResults::Delete,
        overdue_after: options.overdue_after,
        metrics: &METRICS,
    };
    let ended = match runner.run(|_| ()).await {
        Ok(ended) => ended,
        Err(error) => return End::of(error),
    };
    let summary = Summary::of(&ended.tally, job);
    match finish(ended, &store, job, options.tables).await {
        Ok(()) => End::Done(summary),
        Err(end) => end,
    }
}

/// Does what is left to do once the tasks are over: writes the tables, clears away, gives the job back.
async fn finish(ended: EndedRun, store: &Arc<dyn ObjectStore>, job: &JobOf, tables: bool) -> Result<(), End> {
    let written = if tables { write_tables(&ended, job).await } else { Ok(()) };
    if let Err(error) = written {
        ended.check().await.map_err(End::of)?;
        return Err(End::Broken(error.to_string()));
    }
    ended.clean_up(&**store, &job.plan, &job.images).await.map_err(End::of)?;
    ended.release(JobState::Done, None).await.map_err(End::of)
}

async fn write_tables(ended: &EndedRun, job: &JobOf) -> Result<(), TableError> {
    let ids = job.images.iter().map(|image| image.id.clone()).collect();
    let tables =
        Tables::prepare(&job.spec, "", &Files::local_only(), ids, &std::collections::BTreeMap::new())?;
    let finished = Finished {
        plan: &job.plan,
        images: &job.images,
        spec: &job.spec,
        asked: &job.spec,
        outputs: &job.outputs,
        tally: &ended.tally,
        rejected: &[],
        findings: &Findings::default(),
        truth: None,
    };
    let (store, scratch) = (ended.finishing(), std::env::temp_dir());
    let results = CollectedResults::read(Arc::clone(&store), &finished, &tables.outputs(), &scratch).await?;
    tables.write(results.table_rows, &job.images, store, &job.plan.job, &scratch).await.map(drop)
}

impl End {
    fn of(error: RunError) -> Self {
        match error {
            RunError::Stopped(Stopped::Replaced) => Self::Replaced,
            RunError::Stopped(Stopped::Cancelled) => Self::Cancelled,
            error => match error.class() {
                FailureClass::Bug => Self::Broken(error.to_string()),
                class => Self::Failed(class, error.to_string()),
            },
        }
    }
}

impl Summary {
    fn of(tally: &Tally, job: &JobOf) -> Self {
        let lost = tally.losses.sample();
        let key = |id: &str| job.image(id).key.clone();
        let whole = lost.iter().filter(|loss| loss.task.is_none());
        let task = |kind, id: &str| TaskId { image: key(id), kind };
        Self {
            progress: tally.progress,
            lost_images: whole.map(|loss| key(&loss.image)).collect(),
            lost_tasks: lost.iter().filter_map(|loss| Some(task(loss.task?, &loss.image))).collect(),
            retries: tally.retries,
            computed: tally.tasks_computed,
        }
    }
}
