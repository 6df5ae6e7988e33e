//! One setting after the other, each a plain job in a store of its own.

use crate::coordination::Coordination;
use crate::exit::{Exit, Fatal};
use crate::job::{JobFile, StoredMemory};
use crate::run::{InProcessCluster, OVERDUE_AFTER};
use crate::run_folder::RunFolder;
use crate::say;
use crate::summary::LastSeen;
use marquetry_coordinator::{Change, ForwardCost, Hardware, Planned, Shown, job_cost, what_is_seen};
use marquetry_spec::JobSpec;
use marquetry_tuning::{Metric, WeightedCounts};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use tokio::runtime::Runtime;

/// What will be done sooner is not told, s.
const LEFT_TOLD: f64 = 10.0;

/// Where settings are tried.
pub(super) struct Trials<'a> {
    pub(super) tokio: &'a Runtime,
    pub(super) local: InProcessCluster,
    pub(super) place: &'a RunFolder,
    pub(super) memory: StoredMemory,
    /// The job file's folder.
    pub(super) base: String,
    pub(super) metric: Metric,
    /// This machine, which computes.
    pub(super) hardware: Option<Hardware>,
    pub(super) started: Instant,
    /// What was said of models and images: once is enough.
    pub(super) said: RefCell<BTreeSet<String>>,
}

/// A setting that can be run.
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) change: Change,
    pub(super) cost: ForwardCost,
    pub(super) spec: JobSpec,
    /// What its tiles and outputs hang on.
    pub(super) job: String,
}

/// The settings that can be run, the job as it is first, and those that cannot, each with the reason.
type Found = (Vec<Setting>, Vec<(String, String)>);

/// What came of it.
pub(super) struct Outcome {
    /// Counts of each image with labels.
    pub(super) counts: BTreeMap<String, WeightedCounts>,
    /// Where its evaluation lies.
    pub(super) folder: String,
}

impl Trials<'_> {
    /// The job as it is and those of `changes` that are another job, and those that no model takes, with the reason.
    pub(super) fn settings(
        &self,
        (job, planned): (&JobFile, &Planned),
        shown: &Shown,
        changes: Vec<Change>,
    ) -> Result<Found, Fatal> {
        let setting = |change: Change, spec: JobSpec, planned: &Planned| Setting {
            name: change.name(&job.spec, shown),
            change,
            cost: job_cost(planned),
            spec,
            job: planned.plan.job.clone(),
        };
        let mut seen = BTreeSet::from([what_is_seen(planned)]);
        let mut settings = vec![setting(Change::None, job.spec.clone(), planned)];
        let (mut left_out, mut alike) = (Vec::new(), Vec::new());
        for change in changes {
            let name = change.name(&job.spec, shown);
            let spec = match change.apply(&job.spec, shown) {
                Ok(spec) => spec,
                Err(reason) => {
                    left_out.push((name, reason));
                    continue;
                }
            };
            match self.plan(spec.clone()) {
                Ok((_, planned)) if seen.insert(what_is_seen(&planned)) => {
                    settings.push(setting(change, spec, &planned));
                }
                Ok(_) => alike.push(name),
                // The job as it is was planned, so it is the setting that cannot be.
                Err(fatal) if fatal.exit == Exit::BadJob => left_out.push((name, fatal.message)),
                Err(fatal) => return Err(fatal),
            }
        }
        for (name, reason) in &left_out {
            say::note(&format!("note: {name} is not tried: {reason}"));
        }
        if !alike.is_empty() {
            let words = "what models see is that of the job as it is, or of another setting";
            say::note(&format!("note: not tried, since {words}: {}", alike.join("; ")));
        }
        if settings.len() == 1 {
            let reason = "there is nothing to try: no setting is another one than the job as it is; the reasons stand above";
            return Err(Fatal::new(Exit::BadJob, reason));
        }
        Ok((settings, left_out))
    }

    /// Plans a setting over all images.
    pub(super) fn plan_all(&self, spec: JobSpec) -> Result<(JobFile, Planned), Fatal> {
        let mut job = JobFile { spec, base: self.base.clone(), hardware: self.hardware.clone() };
        let (files, scratch) = (&self.local.storage.files, self.place.scratch.clone());
        let planned = job.plan_part(&self.memory, files, &self.local.runtime, scratch)?;
        Ok((job, planned))
    }

    /// Plans a setting over the images that have a truth.
    fn plan(&self, spec: JobSpec) -> Result<(JobFile, Planned), Fatal> {
        let (job, mut planned) = self.plan_all(spec)?;
        planned.images.retain(|image| image.truth.is_some());
        Ok((job, planned))
    }

    /// Runs all settings, and says after each how long the others will take, by the work that is done.
    pub(super) fn run_all(&self, settings: &[Setting]) -> Result<Vec<Outcome>, Fatal> {
        // What is found done tells nothing of how long the others take.
        let (mut outcomes, mut seconds, mut work) = (Vec::new(), 0.0, 0.0);
        let mut left: f64 = settings.iter().map(|setting| setting.cost.work).sum();
        for setting in settings {
            let began = Instant::now();
            let (outcome, forwards) = self.run(setting)?;
            outcomes.push(outcome);
            left -= setting.cost.work;
            if forwards > 0 {
                seconds += began.elapsed().as_secs_f64();
                work += setting.cost.work * forwards as f64 / setting.cost.forwards.max(1) as f64;
                let more = seconds / work * left;
                if more > LEFT_TOLD {
                    say::note(&format!("about {} more for the other settings", say::seconds(more)));
                }
            }
        }
        Ok(outcomes)
    }

    /// Runs a setting as a plain job; what is stored of it is found. With what came of it, the model runs that there were.
    fn run(&self, setting: &Setting) -> Result<(Outcome, u64), Fatal> {
        let (job, planned) = self.plan(setting.spec.clone())?;
        for warning in &planned.findings.warnings {
            self.say_once(setting, "warning: ", &warning.text);
        }
        let store = (self.place.uri.clone(), self.place.store.clone());
        let (files, scratch) = (&self.local.storage.files, self.place.scratch.clone());
        let mut coordination =
            Coordination::prepare_quietly(job, planned, files, store, scratch, self.started, OVERDUE_AFTER)?;
        // With another part of the images, what there is of the others stays.
        coordination.keeps_others = true;
        let folder = coordination.folder();
        self.tokio.block_on(async {
            let mut seen = LastSeen::default();
            let followed = self.local.compute(&coordination, &mut seen, std::future::pending()).await?;
            let counts = coordination.counted(&followed).await?;
            let forwards = followed.ended.tally.forwards;
            let outcome = coordination.finish(followed, Vec::new()).await?;
            // Other notes hang on the setting, and are told of the job as it is alone.
            let is_told = |note: &&String| setting.change == Change::None || note.starts_with("warning: ");
            for note in outcome.notes.iter().filter(is_told) {
                self.say_once(setting, "", note);
            }
            self.say_result(setting, &counts);
            Ok((Outcome { counts, folder }, forwards))
        })
    }

    fn say_once(&self, setting: &Setting, before: &str, words: &str) {
        if self.said.borrow_mut().insert(words.to_owned()) {
            say::note(&format!("{}: {before}{words}", setting.name));
        }
    }

    /// What a setting comes to, as soon as it is known.
    fn say_result(&self, setting: &Setting, counts: &BTreeMap<String, WeightedCounts>) {
        let mut sum = WeightedCounts::new(counts.values().next().map_or(0, |counts| counts.hits.len()));
        counts.values().for_each(|own| sum.merge(own));
        let metric = match self.metric {
            Metric::MeanIou => "mean IoU",
            Metric::MeanDice => "mean Dice",
        };
        say::note(&format!("{metric} {:.4}  {}", sum.mean(self.metric), setting.name));
    }

    /// The whole job with `change`. Where a part of its members was tried, all of them are looked at, so that `run` takes it.
    pub(super) fn whole(
        &self,
        job: &JobFile,
        (asked, shown): (&JobSpec, &Shown),
        change: &Change,
    ) -> Result<JobSpec, Fatal> {
        let refused = |words: String| {
            let reason = format!("the whole job cannot have {}: {words}", change.name(asked, shown));
            Fatal::new(Exit::BadJob, reason)
        };
        let tuned = change.apply(asked, shown).map_err(refused)?;
        if job.spec.subset.members != asked.subset.members && *change != Change::None {
            let mut all = judged(&tuned, job);
            all.subset.members.clone_from(&asked.subset.members);
            match self.plan(all) {
                Err(fatal) if fatal.exit == Exit::BadJob => return Err(refused(fatal.message)),
                planned => planned.map(drop)?,
            }
        }
        Ok(tuned)
    }
}

/// `tuned` with the outputs and the images of the job that was tried.
fn judged(tuned: &JobSpec, tried: &JobFile) -> JobSpec {
    let tried = &tried.spec;
    JobSpec {
        outputs: tried.outputs.clone(),
        subset: tried.subset.clone(),
        nights: tried.nights,
        ..tuned.clone()
    }
}
