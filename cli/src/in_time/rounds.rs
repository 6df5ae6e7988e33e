//! Rounds as plain jobs of the first members, on this machine or on a cluster.

use crate::args::Format;
use crate::coordinate;
use crate::coordination::{Coordination, Followed, stop, stopped, unavailable};
use crate::exit::{Exit, Fatal};
use crate::in_time::drive::{Rounds, drive};
use crate::in_time::time::Time;
use crate::in_time::told;
use crate::job::{JobFile, StoredMemory};
use crate::run::InProcessCluster;
use crate::run_folder::remove_empty;
use crate::say;
use crate::summary::{LastSeen, Outcome};
use marquetry_coordinator::{
    Budget, Hardware, MadeRounds, Planned, Round, Spent, Tally, cancel, clear_tiles, costs, discard,
    has_results, in_rounds, job_of_rounds, new_run, rounds, stored_forwards,
};
use marquetry_job::{Plan, PlannedImage};
use marquetry_model::Runtime;
use marquetry_spec::JobSpec;
use marquetry_telemetry::Metrics;
use marquetry_transport::uri::is_uri;
use marquetry_transport::{Files, ObjectStore, TaskQueue};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Where a job in rounds happens.
pub(crate) struct Workplace {
    pub(crate) files: Files,
    pub(crate) runtime: Runtime,
    pub(crate) memory: StoredMemory,
    pub(crate) uri: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) scratch: PathBuf,
    pub(crate) started: Instant,
    pub(crate) overdue_after: Duration,
}

/// Who runs members and puts images together.
pub(crate) enum Roles {
    /// This process.
    Here(Box<InProcessCluster>),
    /// Workers and aggregators of a cluster.
    Cluster(Arc<dyn TaskQueue>, Metrics),
}

impl Roles {
    /// The job to its end, unless `broken_off` ends before.
    async fn follow(
        &self,
        coordination: &Coordination,
        seen: &mut LastSeen,
        broken_off: impl Future<Output = Fatal>,
    ) -> Result<Followed, Fatal> {
        match self {
            Self::Here(local) => local.compute(coordination, seen, broken_off).await,
            Self::Cluster(queue, metrics) => {
                coordinate::follow(coordination, Arc::clone(queue), metrics, seen, broken_off).await
            }
        }
    }

    /// What threads say a job took. Those of a cluster are not known: what there is to do is done side by side.
    fn spent(&self, tally: &Tally) -> Spent {
        let seconds = tally.seconds;
        let computing = seconds.read + seconds.prepare + seconds.infer + seconds.stitch + seconds.store;
        match self {
            Self::Here(local) => {
                let lanes = local.threads.lanes as f64;
                Spent { computing: computing / lanes, together: tally.aggregate_seconds / lanes }
            }
            Self::Cluster(..) => Spent { computing, together: 0.0 },
        }
    }

    /// Whether messages may still be on their way when a job has ended.
    const fn outlive_jobs(&self) -> bool {
        matches!(self, Self::Cluster(..))
    }
}

/// A job in rounds, planned.
pub(crate) struct InRounds {
    place: Workplace,
    time: Time,
    /// Whether tiles stay when all is done.
    keeps_tiles: bool,
    /// The job with all members, each with tiles of its own.
    spec: JobSpec,
    base: String,
    /// The machine, if it computes.
    hardware: Option<Hardware>,
    planned: Planned,
    rounds: Vec<Round>,
}

impl InRounds {
    /// Looks at all images and members, says what there is to say, and refuses what cannot be run in rounds.
    pub(crate) fn plan(mut job: JobFile, place: Workplace, time: Time) -> Result<Self, Fatal> {
        let refused = |words: String| Fatal::new(Exit::BadJob, format!("--finish-in: {words}"));
        let keeps_tiles = job.spec.tiles.keep;
        let (spec, told) = in_rounds(&job.spec).map_err(refused)?;
        job.spec = spec;
        let planned = job.plan_for(&place.memory, &place.files, &place.runtime, place.scratch.clone())?;
        let store = (place.uri.clone(), Arc::clone(&place.store));
        let (scratch, started) = (place.scratch.clone(), place.started);
        let Coordination { job, planned, .. } =
            Coordination::prepare(job, planned, &place.files, store, scratch, started, place.overdue_after)?;
        let (base, root, hardware) = (job.base.clone(), job.root(), job.hardware.clone());
        let rounds = rounds(&job.spec, &planned);
        let spec = job.spec;
        // What cannot be said in a job file is refused now, and not after hours.
        job_of_rounds(&spec, &planned, &rounds, rounds.len(), &root).map_err(refused)?;
        if let Some(words) = told {
            say::note(&format!("note: --finish-in: {words}"));
        }
        say::note(&format!("--finish-in {time}: {}: {}", told::counted(rounds.len()), told::names(&rounds)));
        Ok(Self { place, time, keeps_tiles, spec, base, hardware, planned, rounds })
    }

    /// Makes as many rounds as fit, prints what they came to, and then clears away what is not needed any more. `machine`
    /// describes where it ran.
    pub(crate) async fn run(
        self,
        roles: Roles,
        machine: Vec<(String, String)>,
        (seen, format): (&mut LastSeen, Format),
    ) -> Result<Exit, Fatal> {
        let made = MadeRounds::read(&*self.place.store, self.job()).await.map_err(unavailable)?;
        let mut budget = Budget::new(self.time.seconds(), costs(&self.planned, &self.rounds));
        if let Some(found) = self.found(&made).await? {
            budget.found(found);
        }
        let (count, began) = (self.rounds.len(), tokio::time::Instant::from_std(self.place.started));
        let mut making = Making { all: &self, roles, machine, made, seen, last: None, broken: None };
        // Listening all the while, also between two submissions.
        let ended = tokio::select! {
            ended = Box::pin(drive((&mut budget, self.time), &mut making, count, began)) => ended,
            () = stop() => Err(stopped()),
        };
        let took = (self.time, self.place.started.elapsed().as_secs_f64());
        making.seen.finish_in = Some(told::json(&budget, took, &self.rounds, ended.as_ref().ok().copied()));
        let Making { roles, made, last, broken, .. } = making;
        let Some(mut last) = last else {
            return Err(ended.err().unwrap_or_else(|| self.too_short(&budget)));
        };
        let cut = ended.map_err(|fatal| self.beside(&fatal, &last))?;
        last.outcome.notes.push(told::ended(&budget, took, &self.rounds, cut));
        last.outcome.text += &format!("{}\n", told::ended(&budget, took, &self.rounds, cut));
        last.outcome.json["finish_in"] = told::json(&budget, took, &self.rounds, Some(cut));
        self.hand_over(made, &last, &roles).await?;
        // The time may be over, and whoever set it is waiting.
        let exit = last.outcome.print(format);
        if !self.keeps_tiles {
            self.clear(&last, broken).await;
        }
        Ok(exit)
    }

    /// The job with all members.
    fn job(&self) -> &str {
        &self.planned.plan.job
    }

    /// So many rounds an earlier command has handed over, if its submission still is what it would be now.
    async fn found(&self, made: &MadeRounds) -> Result<Option<usize>, Fatal> {
        let Some((count, job)) = made.result.as_ref().filter(|(count, _)| *count <= self.rounds.len()) else {
            return Ok(None);
        };
        let (file, planned) = tokio::task::block_in_place(|| self.plan_rounds(*count))?;
        let is_there = planned.plan.job == *job
            && has_results(&*self.place.store, &planned, &file.spec).await.map_err(unavailable)?;
        Ok(is_there.then_some(*count))
    }

    /// The plain job of the first `count` rounds.
    fn plan_rounds(&self, count: usize) -> Result<(JobFile, Planned), Fatal> {
        let Workplace { files, runtime, memory, scratch, .. } = &self.place;
        let (spec, base, hardware) = (self.spec.clone(), self.base.clone(), self.hardware.clone());
        let mut job = JobFile { spec, base, hardware };
        let spec = job_of_rounds(&self.spec, &self.planned, &self.rounds, count, &job.root());
        job.spec = spec.map_err(|words| Fatal::new(Exit::Bug, words))?;
        let planned = job.plan_part(memory, files, runtime, scratch.clone())?;
        Ok((job, planned))
    }

    /// The time is over, and there is no submission.
    fn too_short(&self, budget: &Budget) -> Fatal {
        let rate = budget.forwards_per_second().map_or_else(String::new, |rate| {
            let first = costs(&self.planned, &self.rounds[..1])[0].forwards as f64;
            format!(": it takes about {} in all at {rate:.1} forwards/s", say::seconds(first / rate))
        });
        let words = format!(
            "--finish-in {}: the time is over, and the first round is not whole{rate}; what is stored of it is kept, and the same \
             command goes on with it",
            self.time
        );
        Fatal::new(Exit::TryAgain, words)
    }

    /// An error after a submission was whole.
    fn beside(&self, fatal: &Fatal, last: &Whole) -> Fatal {
        let (whole, all, folder) = (last.rounds, told::counted(self.rounds.len()), &last.folder);
        let words = format!("{}; the submission of {whole} of {all} stands in {folder}", fatal.message);
        Fatal::new(fatal.exit, words)
    }

    /// Deletes the rounds that `round` takes the place of. What a store does not delete costs room alone.
    async fn supersede(&self, made: &mut MadeRounds, round: &str, roles: &Roles) {
        let old: Vec<String> = made.begun.iter().filter(|begun| *begun != round).cloned().collect();
        match made.supersede(&*self.place.store, (self.job(), round), roles.outlive_jobs()).await {
            Ok(()) => old.iter().for_each(|job| self.remove_folder(job)),
            Err(error) => tracing::warn!(%error, "an earlier round is left behind"),
        }
    }

    /// Removes the folder of a job of which nothing is left, where the store is one.
    fn remove_folder(&self, job: &str) {
        if !is_uri(&self.place.uri) {
            remove_empty(&Path::new(&self.place.uri).join("jobs").join(job));
        }
    }

    /// Notes what was handed over, and deletes what came before it.
    async fn hand_over(&self, mut made: MadeRounds, last: &Whole, roles: &Roles) -> Result<(), Fatal> {
        made.result = Some((last.rounds, last.job.clone()));
        self.supersede(&mut made, &last.job, roles).await;
        made.begun.retain(|begun| *begun != last.job);
        made.keep(&*self.place.store, self.job()).await.map_err(unavailable)
    }

    /// Deletes the tiles of all rounds. What stays costs room alone.
    async fn clear(&self, last: &Whole, broken: Option<Tiles>) {
        let broken = broken.iter().map(Tiles::parts);
        let all = (&self.planned.plan, self.planned.images.as_slice());
        let jobs: Vec<_> = [all, last.tiles.parts()].into_iter().chain(broken).collect();
        let run = new_run(&last.job, &self.place.uri);
        if let Err(error) = clear_tiles(&self.place.store, run, &jobs).await {
            tracing::warn!(%error, "tiles are left behind");
        }
    }
}

/// What names the tiles of a job.
struct Tiles {
    plan: Plan,
    images: Vec<PlannedImage>,
}

impl Tiles {
    fn of(planned: &Planned) -> Self {
        Self { plan: planned.plan.clone(), images: planned.images.clone() }
    }

    fn parts(&self) -> (&Plan, &[PlannedImage]) {
        (&self.plan, &self.images)
    }
}

/// The submission that stands.
struct Whole {
    rounds: usize,
    job: String,
    folder: String,
    outcome: Outcome,
    tiles: Tiles,
}

/// Rounds on their way.
struct Making<'a> {
    all: &'a InRounds,
    roles: Roles,
    machine: Vec<(String, String)>,
    made: MadeRounds,
    seen: &'a mut LastSeen,
    last: Option<Whole>,
    /// What was broken off last.
    broken: Option<Tiles>,
}

impl Making<'_> {
    /// The job of the first `count` rounds, ready to be run.
    fn prepare(&self, count: usize) -> Result<Coordination, Fatal> {
        let (job, planned) = self.all.plan_rounds(count)?;
        let Workplace { files, uri, store, scratch, started, overdue_after, .. } = &self.all.place;
        let store = (uri.clone(), Arc::clone(store));
        let mut coordination = Coordination::prepare_quietly(
            job,
            planned,
            files,
            store,
            scratch.clone(),
            *started,
            *overdue_after,
        )?;
        coordination.left_out = told::not_in_it(self.all.time, &self.all.rounds, count);
        Ok(coordination)
    }

    /// Leaves nothing of a submission that is not whole, but the tiles that are stored.
    async fn leave(&mut self, job: &str, tiles: Tiles) -> Result<(), Fatal> {
        let store = &*self.all.place.store;
        // What is queued of it is dropped by whoever receives it.
        cancel(store, job).await.map_err(unavailable)?;
        if self.made.begun.iter().any(|begun| begun == job) {
            match discard(store, job, self.roles.outlive_jobs()).await {
                Ok(()) => self.all.remove_folder(job),
                Err(error) => tracing::warn!(%error, "a round that was broken off is left behind"),
            }
        }
        if self.last.is_none() {
            self.seen.job = None;
        }
        self.broken = Some(tiles);
        Ok(())
    }
}

impl Rounds for Making<'_> {
    async fn stored(&mut self) -> Result<Vec<u64>, Fatal> {
        let InRounds { place, planned, rounds, .. } = self.all;
        let stored = stored_forwards(&*place.store, planned).await.map_err(unavailable)?;
        Ok(rounds.iter().map(|round| round.members.iter().map(|place| stored[*place]).sum()).collect())
    }

    async fn make(&mut self, count: usize, stopping: &CancellationToken) -> Result<Option<Spent>, Fatal> {
        let coordination = tokio::task::block_in_place(|| self.prepare(count))?;
        let job = coordination.planned.plan.job.clone();
        let (tiles, folder) = (Tiles::of(&coordination.planned), coordination.folder());
        let store = Arc::clone(&self.all.place.store);
        self.made.begin(&*store, self.all.job(), &job).await.map_err(unavailable)?;
        if self.last.is_none() {
            self.seen.job = Some((job.clone(), folder.clone()));
        }
        let broken_off = async {
            stopping.cancelled().await;
            // Who has an image in hand sees that it does not count any more; it is looked at again below.
            let _ = cancel(&*store, &job).await;
            Fatal::new(Exit::TryAgain, "the time is over")
        };
        let followed = match Box::pin(self.roles.follow(&coordination, self.seen, broken_off)).await {
            Err(_) if stopping.is_cancelled() => {
                self.leave(&job, tiles).await?;
                return Ok(None);
            }
            followed => followed?,
        };
        let spent = self.roles.spent(&followed.ended.tally);
        let finishing = Box::pin(coordination.finish(followed, self.machine.clone()));
        let outcome = tokio::select! {
            outcome = finishing => outcome?,
            () = stopping.cancelled() => {
                self.leave(&job, tiles).await?;
                return Ok(None);
            }
        };
        self.seen.job = Some((job.clone(), folder.clone()));
        self.all.supersede(&mut self.made, &job, &self.roles).await;
        self.last = Some(Whole { rounds: count, job, folder, outcome, tiles });
        Ok(Some(spent))
    }

    fn forwards(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.seen.forwards)
    }
}
