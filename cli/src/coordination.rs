//! What the coordinator does, alone or in one process with the other roles.

use crate::args::Format;
use crate::broker::lost_queue;
use crate::exit::{Exit, Fatal};
use crate::job::{JobFile, tables};
use crate::{say, summary};
use bytes::Bytes;
use marquetry_coordinator::{
    CollectedResults, EndedRun, Finished, JobRunner, JobState, OutputLists, Planned, RunError, RunFacts,
    TableError, Tables, Tally, new_run, outputs_hash, report,
};
use marquetry_job::{RunId, key};
use marquetry_spec::{Output, Policy};
use marquetry_telemetry::Metrics;
use marquetry_transport::{Files, ObjectStore, StoreError, TaskQueue};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A job that is planned, and where it happens.
pub(crate) struct Coordination {
    pub(crate) job: JobFile,
    pub(crate) planned: Planned,
    tables: Tables,
    outputs: String,
    run: RunId,
    pub(crate) store: Arc<dyn ObjectStore>,
    /// For files that are not finished yet.
    scratch: PathBuf,
    started: Instant,
    /// Nothing is sent again for being overdue before this.
    overdue_after: Duration,
}

impl Coordination {
    /// Checks that everything is right before anything is run. `store` is at `uri`.
    pub(crate) fn prepare(
        job: JobFile,
        planned: Planned,
        files: &Files,
        (uri, store): (String, Arc<dyn ObjectStore>),
        scratch: PathBuf,
        started: Instant,
        overdue_after: Duration,
    ) -> Result<Self, Fatal> {
        if job.spec.failures.policy == Policy::Fail && !planned.rejected.is_empty() {
            return Err(Fatal::new(
                Exit::BadJob,
                "failures.policy is `fail` and some images cannot be used; nothing was run",
            ));
        }
        for kind in &planned.findings.images {
            say::note(&format!("image {}: {}", kind.who(), kind.what()));
        }
        for kind in &planned.findings.members {
            say::note(&format!("member {}: {}", kind.who(), kind.what()));
        }
        let tables = tables(&job, files, &planned)?;
        let outputs = outputs_hash(&job.spec, &planned.plan.merge);
        let run = new_run(&planned.plan.job, &uri);
        Ok(Self { job, planned, tables, outputs, run, store, scratch, started, overdue_after })
    }

    /// Stores the plan, publishes its tasks and follows them to the end.
    pub(crate) async fn follow(
        &self,
        queue: Arc<dyn TaskQueue>,
        metrics: &Metrics,
        each: impl FnMut(&Tally),
    ) -> Result<EndedRun, Fatal> {
        let (plan, spec) = (&self.planned.plan, &self.job.spec);
        let stored = Bytes::from(plan.to_bytes());
        self.store.put(&key::plan(&plan.job, &plan.hash()), stored).await.map_err(unavailable)?;
        let yaml = Bytes::from(spec.to_yaml());
        self.store.put(&key::spec(&plan.job, &self.outputs), yaml).await.map_err(unavailable)?;
        let runner = JobRunner {
            store: Arc::clone(&self.store),
            queue,
            run: &self.run,
            plan,
            images: &self.planned.images,
            spec,
            outputs: &self.outputs,
            attempts_max: spec.failures.attempts,
            stop_at_loss: spec.failures.policy == Policy::Fail,
            keep_tiles: spec.tiles.keep,
            overdue_after: self.overdue_after,
            metrics,
        };
        runner.run(each).await.map_err(ended_early)
    }

    /// Writes what is made of all images together, clears away what is not needed any more, gives the job back, and
    /// prints what it came to. `machine` describes where it ran.
    pub(crate) async fn finish(
        self,
        ended: EndedRun,
        machine: Vec<(String, String)>,
        format: Format,
    ) -> Result<Exit, Fatal> {
        let (mut files, tally) = (self.files(), ended.tally.clone());
        let folder = self.folder();
        let Self { job: JobFile { spec, .. }, planned, tables, outputs, store, scratch, started, .. } = self;
        let Planned { plan, images, rejected, findings } = &planned;
        let finished =
            Finished { plan, images, spec: &spec, outputs: &outputs, tally: &tally, rejected, findings };
        if spec.failures.policy == Policy::Fail && !finished.is_whole() {
            let reason = tally.losses.sample().first().map_or("an image failed", |l| l.reason.as_str());
            let reason = format!("failures.policy is `fail`: {reason}");
            ended.release(JobState::Failed, Some(reason.clone())).await.map_err(ended_early)?;
            return Err(Fatal::new(Exit::Failed, format!("{reason}; fix it and run the same command again")));
        }
        let finishing = ended.finishing();
        let lists = match OutputLists::write(&*finishing, &finished).await {
            Ok(lists) => lists,
            Err(error) => {
                ended.check().await.map_err(ended_early)?;
                return Err(unavailable(error));
            }
        };
        files.extend(lists.files().into_iter().map(|name| (name.to_owned(), format!("{folder}{name}"))));
        let facts = || RunFacts {
            wall_seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: summary::peak_memory_bytes(),
            machine: machine.clone(),
            files: files.clone(),
        };
        if let Err(error) = write_outputs(tables, &finished, finishing, &scratch, facts()).await {
            // The store refuses outputs of a run that does not count any more: that is the reason to tell.
            ended.check().await.map_err(ended_early)?;
            return Err(error);
        }
        ended.clean_up(&*store, plan, images).await.map_err(ended_early)?;
        let state = if finished.is_whole() { JobState::Done } else { JobState::Partial };
        ended.release(state, None).await.map_err(ended_early)?;
        if let Some(words) = summary::stale(&lists) {
            say::note(&format!("warning: {words}"));
        }
        let exit = if finished.is_whole() { Exit::Done } else { Exit::Partial };
        summary::print(&finished, &facts(), (&folder, exit), format);
        Ok(exit)
    }

    /// Where the outputs lie.
    pub(crate) fn folder(&self) -> String {
        format!("{}/{}", self.run.store.trim_end_matches('/'), key::out(&self.planned.plan.job, ""))
    }

    /// The files of the job, by name and place.
    fn files(&self) -> Vec<(String, String)> {
        let root = self.run.store.trim_end_matches('/');
        let place = |output: &Output| {
            let name = output.path_pattern();
            let folder = name.split("/*").next().unwrap_or(&name).to_owned();
            let place = format!("{root}/{}", key::out(&self.planned.plan.job, &folder));
            (folder, place)
        };
        self.job.spec.outputs.iter().map(place).collect()
    }
}

/// Ends when the user or the system asks the process to stop.
pub(crate) async fn stop() {
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

/// Why a coordinator ends that was asked to.
pub(crate) fn stopped() -> Fatal {
    Fatal::new(Exit::TryAgain, "stopped; what is finished is kept, and the same command goes on")
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn unavailable(error: StoreError) -> Fatal {
    Fatal::of_store(&error)
}

/// Writes tables and the report.
async fn write_outputs(
    tables: Tables,
    finished: &Finished<'_>,
    store: Arc<dyn ObjectStore>,
    scratch: &Path,
    facts: RunFacts,
) -> Result<(), Fatal> {
    let job = &finished.plan.job;
    let has_report = finished.spec.outputs.contains(&Output::Report);
    if tables.is_empty() && !has_report {
        return Ok(());
    }
    let results = CollectedResults::read(Arc::clone(&store), finished, &tables.outputs(), scratch).await;
    let CollectedResults { images, table_rows } = results.map_err(failed_table)?;
    tables
        .write(table_rows, finished.images, Arc::clone(&store), job, scratch)
        .await
        .map_err(failed_table)?;
    if has_report {
        let page = report::render(&finished.report(images, facts));
        store.put(&key::out(job, "report.html"), Bytes::from(page)).await.map_err(unavailable)?;
    }
    Ok(())
}

/// Why a coordinator ends before its job.
fn ended_early(error: RunError) -> Fatal {
    match error {
        RunError::Store(error) => unavailable(error),
        RunError::Queue(error) => lost_queue(error),
        RunError::Stopped(stopped) => Fatal::new(Exit::TryAgain, stopped),
        RunError::AllFail(ref all) => Fatal::new(Exit::from(all.class), &error),
        RunError::NothingDone { .. } => Fatal::new(Exit::Failed, error),
    }
}

fn failed_table(error: TableError) -> Fatal {
    match error {
        TableError::Store(error) => unavailable(error),
        error => Fatal::new(Exit::Unavailable, error),
    }
}
