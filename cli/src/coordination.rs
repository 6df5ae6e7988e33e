//! What the coordinator does, alone or in one process with the other roles.

use crate::broker::lost_queue;
use crate::exit::{Exit, Fatal};
use crate::job::{JobFile, tables};
use crate::summary::Outcome;
use crate::{say, summary};
use bytes::Bytes;
use marquetry_aggregator::ImageResult;
use marquetry_coordinator::{
    CascadeSummary, CollectedResults, EndedRun, Finished, GateSummary, JobFailure, JobRunner, JobState,
    KeptLabels, OtherResults, OutputLists, Planned, RegionSummary, RunError, RunFacts, StoredInputs,
    Surveyed, TableError, Tables, Tally, WrittenNight, WrittenTogether, already_written, begin_writing,
    image_counts, new_run, note_written, outputs_hash, repeat_night, report, unix_now, write_night,
    written_of,
};
use marquetry_job::key;
use marquetry_nights::date;
use marquetry_spec::{JobSpec, Output, Policy};
use marquetry_telemetry::Metrics;
use marquetry_transport::{Files, ObjectStore, StoreError, TaskQueue};
use marquetry_tuning::WeightedCounts;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A job that is planned, and where it happens.
pub(crate) struct Coordination {
    pub(crate) job: JobFile,
    pub(crate) planned: Planned,
    tables: Tables,
    /// Where the job's store is.
    uri: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    /// For files that are not finished yet.
    scratch: PathBuf,
    started: Instant,
    /// Nothing is sent again for being overdue before this.
    overdue_after: Duration,
    /// Whether what the job has of other outputs stays.
    pub(crate) keeps_others: bool,
    /// Of a round: which members are not in it.
    pub(crate) left_out: Option<String>,
}

impl Coordination {
    /// Checks that everything is right before anything is run, and says what images and members are. `store` is at `uri`.
    pub(crate) fn prepare(
        job: JobFile,
        planned: Planned,
        files: &Files,
        store: (String, Arc<dyn ObjectStore>),
        scratch: PathBuf,
        started: Instant,
        overdue_after: Duration,
    ) -> Result<Self, Fatal> {
        for kind in &planned.findings.images {
            say::note(&format!("image {}: {}", kind.who(), kind.what()));
        }
        for kind in &planned.findings.members {
            say::note(&format!("member {}: {}", kind.who(), kind.what()));
        }
        for kind in &planned.findings.gate {
            say::note(&format!("gate {}: {}", kind.who(), kind.what()));
        }
        Self::prepare_quietly(job, planned, files, store, scratch, started, overdue_after)
    }

    /// The same, and says nothing.
    pub(crate) fn prepare_quietly(
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
        let tables = tables(&job, files, &planned)?;
        Ok(Self {
            job,
            planned,
            tables,
            uri,
            store,
            scratch,
            started,
            overdue_after,
            keeps_others: false,
            left_out: None,
        })
    }

    /// Stores the plan, publishes its tasks and follows them to the end. Where an output hangs on all images, these are
    /// counted by a first pass, which leaves its tiles for the second.
    pub(crate) async fn follow(
        &self,
        queue: Arc<dyn TaskQueue>,
        metrics: &Metrics,
        mut each: impl FnMut(&Tally),
    ) -> Result<Followed, Fatal> {
        let spec = &self.job.spec;
        let Some(survey) = spec.survey() else {
            let others = if self.keeps_others { OtherResults::KeepAll } else { OtherResults::Delete };
            return self.pass(spec.clone(), others, &queue, metrics, &mut each).await;
        };
        let first = self.pass(survey, OtherResults::KeepAll, &queue, metrics, &mut each).await?;
        if spec.failures.policy == Policy::Fail && !first.ended.tally.losses.is_empty() {
            return Ok(first);
        }
        let Followed { ended, spec: survey, outputs: counted } = first;
        let finished = Finished {
            plan: &self.planned.plan,
            images: &self.planned.images,
            spec: &survey,
            asked: &survey,
            outputs: &counted,
            tally: &ended.tally,
            rejected: &self.planned.rejected,
            findings: &self.planned.findings,
            truth: None,
        };
        let counts = Surveyed::of(Arc::clone(&self.store), &finished).await.map_err(failed_table)?;
        ended.check().await.map_err(ended_early)?;
        let (tally, settled) = (ended.tally.clone(), counts.settle(spec).map_err(failed_table)?);
        drop(ended);
        let kept = OtherResults::KeepOf(&counted);
        let mut second = self.pass(settled, kept, &queue, metrics, &mut each).await?;
        second.ended.tally.add_first_pass(&tally);
        Ok(second)
    }

    /// What was counted of each image beside its truth, by the image's id.
    pub(crate) async fn counted(
        &self,
        followed: &Followed,
    ) -> Result<BTreeMap<String, WeightedCounts>, Fatal> {
        let Planned { plan, images, rejected, findings, truth, .. } = &self.planned;
        let finished = Finished {
            plan,
            images,
            spec: &followed.spec,
            asked: &self.job.spec,
            outputs: &followed.outputs,
            tally: &followed.ended.tally,
            rejected,
            findings,
            truth: truth.as_deref(),
        };
        image_counts(Arc::clone(&self.store), &finished).await.map_err(failed_table)
    }

    /// One pass over all images, with the decisions and outputs of `spec`.
    async fn pass(
        &self,
        spec: JobSpec,
        other_results: OtherResults<'_>,
        queue: &Arc<dyn TaskQueue>,
        metrics: &Metrics,
        each: &mut impl FnMut(&Tally),
    ) -> Result<Followed, Fatal> {
        let plan = &self.planned.plan;
        let outputs = outputs_hash(&spec, &plan.merge);
        let inputs = StoredInputs::new(plan, &spec, &outputs)
            .with_truth(self.planned.truth.clone())
            .with_regions(self.planned.regions.clone());
        let runner = JobRunner {
            store: Arc::clone(&self.store),
            queue: Arc::clone(queue),
            // Each pass has a name of its own, so that nothing that is late of the first is taken for the second's.
            run: &new_run(&plan.job, &self.uri),
            plan,
            inputs: Arc::new(inputs),
            images: &self.planned.images,
            spec: &spec,
            outputs: &outputs,
            other_results,
            attempts_max: spec.failures.attempts,
            stop_at_loss: spec.failures.policy == Policy::Fail,
            keep_tiles: spec.tiles.keep,
            overdue_after: self.overdue_after,
            metrics,
        };
        let ended = runner.run(each).await.map_err(ended_early)?;
        Ok(Followed { ended, spec, outputs })
    }

    /// Writes what is made of all images together, clears away what is not needed any more, gives the job back, and
    /// tells what it came to. `machine` describes where it ran.
    pub(crate) async fn finish(
        self,
        followed: Followed,
        machine: Vec<(String, String)>,
    ) -> Result<Outcome, Fatal> {
        let Followed { ended, spec, outputs } = followed;
        let (mut files, tally) = (self.files(), ended.tally.clone());
        let folder = self.folder();
        let Self { job, planned, tables, store, scratch, started, left_out, .. } = self;
        let Planned { plan, images, rejected, findings, truth, .. } = &planned;
        let truth = truth.as_deref();
        let finished = Finished {
            plan,
            images,
            spec: &spec,
            asked: &job.spec,
            outputs: &outputs,
            tally: &tally,
            rejected,
            findings,
            truth,
        };
        if spec.failures.policy == Policy::Fail && !finished.is_whole() {
            let reason = tally.losses.sample().first().map_or("an image failed", |l| l.reason.as_str());
            let reason = format!("failures.policy is `fail`: {reason}");
            let failure = JobFailure { reason: Some(reason.clone()), class: None };
            ended.release(JobState::Failed, Some(failure)).await.map_err(ended_early)?;
            return Err(Fatal::new(Exit::Failed, format!("{reason}; fix it and run the same command again")));
        }
        let finishing = ended.finishing();
        let lists = match OutputLists::write(&*finishing, &finished).await {
            Ok(lists) => lists,
            Err(error) => {
                ended.check().await.map_err(ended_early)?;
                return Err(failed_table(error));
            }
        };
        files.extend(lists.files().into_iter().map(|name| (name.to_owned(), format!("{folder}{name}"))));
        let facts = || RunFacts {
            wall_seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: summary::peak_memory_bytes(),
            machine: machine.clone(),
            files: files.clone(),
            left_out: left_out.clone(),
        };
        let written = match write_outputs(tables, &finished, Arc::clone(&finishing), &scratch, facts()).await
        {
            // Tables may have taken long.
            Ok(told) => {
                OutputLists::look_again(&*finishing, &finished).await.map(|()| told).map_err(failed_table)
            }
            Err(error) => Err(error),
        };
        let told = match written {
            Ok(told) => told,
            Err(error) => {
                // The store refuses outputs of a run that does not count any more: that is the reason to tell.
                ended.check().await.map_err(ended_early)?;
                return Err(error);
            }
        };
        ended.clean_up(&*store, plan, images).await.map_err(ended_early)?;
        let state = if finished.is_whole() { JobState::Done } else { JobState::Partial };
        ended.release(state, None).await.map_err(ended_early)?;
        let exit = if finished.is_whole() { Exit::Done } else { Exit::Partial };
        let mut outcome = Outcome::of(&finished, &facts(), &told, (&folder, exit));
        if let Some(words) = summary::stale(&lists) {
            outcome.notes.push(format!("warning: {words}"));
        }
        Ok(outcome)
    }

    /// Ends a job of which nothing is made of all images together: clears away what is not needed any more, and gives the
    /// job back.
    pub(crate) async fn close(&self, followed: Followed) -> Result<Tally, Fatal> {
        let Followed { ended, .. } = followed;
        let (tally, Planned { plan, images, rejected, .. }) = (ended.tally.clone(), &self.planned);
        ended.clean_up(&*self.store, plan, images).await.map_err(ended_early)?;
        let is_whole = tally.losses.is_empty() && rejected.is_empty();
        let state = if is_whole { JobState::Done } else { JobState::Partial };
        ended.release(state, None).await.map_err(ended_early)?;
        Ok(tally)
    }

    /// Where the outputs lie.
    pub(crate) fn folder(&self) -> String {
        format!("{}/{}", self.uri.trim_end_matches('/'), key::out(&self.planned.plan.job, ""))
    }

    /// The files of the job, by name and place.
    fn files(&self) -> Vec<(String, String)> {
        let root = self.uri.trim_end_matches('/');
        let place = |name: String| {
            let folder = name.split("/*").next().unwrap_or(&name).to_owned();
            let place = format!("{root}/{}", key::out(&self.planned.plan.job, &folder));
            (folder, place)
        };
        self.job.spec.outputs.iter().flat_map(Output::places).map(place).collect()
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

/// A job whose images are done or given up.
pub(crate) struct Followed {
    pub(crate) ended: EndedRun,
    /// The job, in which all decisions are made.
    spec: JobSpec,
    /// Names its decisions and outputs.
    outputs: String,
}

/// What there is to tell of what was made of all images together.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) together: WrittenTogether,
    /// What the run had, where the job keeps that.
    pub(crate) night: Option<WrittenNight>,
}

/// Writes tables, the evaluation and the report, unless they are there and nothing is new.
async fn write_outputs(
    tables: Tables,
    finished: &Finished<'_>,
    store: Arc<dyn ObjectStore>,
    scratch: &Path,
    facts: RunFacts,
) -> Result<Told, Fatal> {
    let has_report = finished.spec.outputs.contains(&Output::Report);
    let keeps_night = finished.spec.nights.keep > 0;
    let has_parts = finished.spec.region.is_some()
        || finished.spec.gate.is_some()
        || finished.plan.inference.cascade.is_some();
    let needs_results =
        has_report || keeps_night || has_parts || finished.spec.outputs.iter().any(Output::takes_truth);
    if tables.is_empty() && !needs_results {
        return Ok(Told::default());
    }
    let at = date(unix_now());
    let of = written_of(finished, tables.samples());
    if let Some(of) = &of
        && let Some(together) = already_written(&*store, finished, of).await.map_err(unavailable)?
    {
        let night =
            if keeps_night { repeat_night(&*store, finished, &at).await.map_err(unavailable)? } else { None };
        if night.is_some() || !keeps_night {
            return Ok(Told { together, night });
        }
    }
    begin_writing(&*store, finished).await.map_err(unavailable)?;
    let results = CollectedResults::read(Arc::clone(&store), finished, &tables.outputs(), scratch).await;
    let results = results.map_err(failed_table)?;
    let (together, images) = write_together(tables, results, finished, &store, scratch).await?;
    let mut told = Told { together, night: None };
    if keeps_night {
        let written = write_night(&*store, finished, (&images, told.together.mean_iou), &at).await;
        told.night = Some(written.map_err(unavailable)?);
    }
    if has_report {
        let page = report::render(&finished.report(images, facts));
        let place = key::out(&finished.plan.job, "report.html");
        store.put(&place, Bytes::from(page)).await.map_err(unavailable)?;
    }
    if let Some(of) = of {
        note_written(&*store, finished, &of, &told.together).await.map_err(unavailable)?;
    }
    Ok(told)
}

/// Writes tables and the evaluation; what there is to tell of them, and the images' results.
async fn write_together(
    tables: Tables,
    results: CollectedResults,
    finished: &Finished<'_>,
    store: &Arc<dyn ObjectStore>,
    scratch: &Path,
) -> Result<(WrittenTogether, Vec<Option<ImageResult>>), Fatal> {
    let job = &finished.plan.job;
    let CollectedResults { images, table_rows, evaluated } = results;
    let written = tables.write(table_rows, finished.images, Arc::clone(store), job, scratch).await;
    let mut told =
        WrittenTogether { notes: written.map_err(failed_table)?.told, ..WrittenTogether::default() };
    let kept = KeptLabels::of(finished, &images);
    if let Some(evaluated) = evaluated {
        let evaluation = evaluated.into_files(finished).map_err(|error| failed_table(error.into()))?;
        told.mean_iou = evaluation.mean_iou;
        told.notes.extend(evaluation.warnings.iter().map(|words| format!("warning: {words}")));
        for (name, bytes) in evaluation.files {
            store.put(&key::out(job, &name), bytes).await.map_err(unavailable)?;
        }
    }
    told.region = RegionSummary::of(finished, &images);
    told.notes.extend(told.region.iter().flat_map(RegionSummary::notes));
    told.gate = GateSummary::of(finished, &images);
    told.notes.extend(told.gate.iter().flat_map(GateSummary::notes));
    told.cascade = CascadeSummary::of(finished, &images);
    told.notes.extend(told.cascade.iter().flat_map(CascadeSummary::notes));
    for kept in &kept {
        told.notes.push(kept.line());
        told.notes.extend(kept.warnings().iter().map(|words| format!("warning: {words}")));
    }
    if !kept.is_empty() {
        told.pseudo_labels = serde_json::to_value(&kept).unwrap_or_default();
    }
    Ok((told, images))
}

/// Why a coordinator ends before its job.
fn ended_early(error: RunError) -> Fatal {
    match error {
        RunError::Store(error) => unavailable(error),
        RunError::Queue(error) => lost_queue(error),
        RunError::Stopped(stopped) => Fatal::new(Exit::TryAgain, stopped),
        RunError::AllFail(ref all) => Fatal::new(Exit::from(all.class), &error),
        RunError::NothingDone { .. } => Fatal::new(Exit::Failed, error),
        RunError::Inputs(error) => Fatal::new(Exit::TryAgain, error),
    }
}

fn failed_table(error: TableError) -> Fatal {
    match error {
        TableError::Store(error) => unavailable(error),
        // Another try would find the same.
        TableError::ImageResult { .. } => Fatal::new(Exit::BadConfig, error),
        // The next run finds these images unfinished.
        TableError::Gone { .. } | TableError::Damaged { .. } => Fatal::new(Exit::TryAgain, error),
        error => Fatal::new(Exit::Unavailable, error),
    }
}
