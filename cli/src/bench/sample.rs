//! The job itself, on some of its images: where nothing of it is stored, with the outputs that each image has by itself.

use crate::coordination::{Coordination, unavailable};
use crate::exit::{Exit, Fatal};
use crate::job::{JobFile, StoredMemory};
use crate::run::{InProcessCluster, OVERDUE_AFTER};
use crate::run_folder::{RunFolder, folder_apart};
use crate::say;
use crate::spread::spread;
use crate::summary::LastSeen;
use crate::threads::Threads;
use marquetry_coordinator::Planned;
use marquetry_failure::counted;
use marquetry_job::StageSeconds;
use marquetry_spec::{JobSpec, MaskForm, MaskFormat, MaskLook, Nights, Output};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// One image may take so many times as long as the whole sample is to take; then it is broken off.
const PATIENCE: u32 = 4;

/// Images that are tried until one can be computed.
const IMAGES_TRIED: usize = 5;

/// How the job is run.
pub(super) struct Sampling<'a> {
    pub(super) local: InProcessCluster,
    pub(super) tokio: &'a Runtime,
    pub(super) memory: &'a StoredMemory,
    /// About how long.
    pub(super) seconds: f64,
}

/// What a run over some images came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Run {
    /// Images that were finished.
    pub(super) images: usize,
    /// Images that could not be computed.
    pub(super) failed: u64,
    pub(super) forwards: u64,
    /// From the start to the last output, s.
    pub(super) wall: f64,
    /// Of all threads; nothing of a run that was broken off.
    pub(super) stages: StageSeconds,
    /// Of putting images together, all threads.
    pub(super) together: f64,
}

/// What the sample came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// The longest run.
    pub(super) run: Run,
    /// What a run takes beside its model runs, s: opening models above all.
    pub(super) fixed: f64,
    /// Model runs a second beyond that.
    pub(super) per_second: f64,
    /// The run was broken off, since one image takes far longer than a sample is to take.
    pub(super) is_broken_off: bool,
}

impl Sample {
    /// From a run of one image, and of several where there was time for them.
    fn of(first: Run, more: Option<Run>, is_broken_off: bool) -> Self {
        let whole = |run: Run| run.forwards as f64 / run.wall.max(1e-9);
        let Some(more) = more.filter(|more| more.forwards > first.forwards && more.wall > first.wall) else {
            let run = more.unwrap_or(first);
            return Self { run, fixed: 0.0, per_second: whole(run), is_broken_off };
        };
        let per_second = (more.forwards - first.forwards) as f64 / (more.wall - first.wall);
        let fixed = (first.wall - first.forwards as f64 / per_second).max(0.0);
        Self { run: more, fixed, per_second, is_broken_off }
    }

    /// About how long so many model runs will take, s.
    pub(super) fn forecast(&self, forwards: u64) -> f64 {
        self.fixed + forwards as f64 / self.per_second.max(1e-9)
    }
}

impl Sampling<'_> {
    /// Runs the job on one image in each of these ways of using the cores, and in the quickest of them, where that is short, on as many
    /// images as fit.
    pub(super) fn run(
        &mut self,
        job: &JobFile,
        planned: &Planned,
        ways: &[Threads],
    ) -> Result<(Threads, Sample), Fatal> {
        let images: Vec<&str> = planned.images.iter().map(|image| image.id.as_str()).collect();
        let spec = sampled(&job.spec);
        let mut tried: Vec<(Threads, Run, bool)> = Vec::new();
        let ways = if ways.is_empty() { std::slice::from_ref(&self.local.threads) } else { ways }.to_vec();
        for way in ways {
            self.local.threads = way;
            let (run, is_broken_off) = self.try_first(job, &spec, &images)?;
            tried.push((way, run, is_broken_off));
            // The others would hardly end either.
            if is_broken_off {
                break;
            }
        }
        let rate = |run: &Run| run.forwards as f64 / run.wall.max(1e-9);
        tried.sort_by(|a, b| rate(&b.1).total_cmp(&rate(&a.1)));
        let (threads, first, is_broken_off) = tried[0];
        self.local.threads = threads;
        let fit = ((self.seconds - first.wall) / first.wall.max(1e-3)).floor();
        let number = if fit < images.len() as f64 { fit.max(0.0) as usize } else { images.len() };
        if is_broken_off || number < 2 {
            return Ok((threads, Sample::of(first, None, is_broken_off)));
        }
        let (more, is_broken_off) = self.try_images(job, &spec, &spread(&images, number))?;
        Ok((threads, Sample::of(first, Some(more), is_broken_off)))
    }

    /// One image; where that cannot be computed another one.
    fn try_first(&self, job: &JobFile, spec: &JobSpec, images: &[&str]) -> Result<(Run, bool), Fatal> {
        let mut tries = (0..IMAGES_TRIED.min(images.len())).map(|n| {
            let image = images[(images.len() / 2 + n) % images.len()];
            self.try_images(job, spec, &BTreeSet::from([image]))
        });
        let mut failed = 0;
        loop {
            match tries.next() {
                Some(Ok((mut run, is_broken_off))) if run.images > 0 || is_broken_off => {
                    run.failed += failed;
                    return Ok((run, is_broken_off));
                }
                Some(Err(fatal)) if fatal.exit != Exit::BadJob => return Err(fatal),
                Some(_) => failed += 1,
                None => {
                    let reason = format!(
                        "of {} that were tried none could be computed, and so nothing is known of the job; the reasons stand above",
                        counted(failed as usize, "image")
                    );
                    return Err(Fatal::new(Exit::BadJob, reason));
                }
            }
        }
    }

    fn try_images(
        &self,
        job: &JobFile,
        spec: &JobSpec,
        images: &BTreeSet<&str>,
    ) -> Result<(Run, bool), Fatal> {
        let Threads { lanes, each } = self.local.threads;
        let number = say::count(images.len() as u64);
        say::note(&format!("the job on {number} of its images, {lanes} lanes × {each} threads"));
        let (spec, base, hardware) = (spec.clone(), job.base.clone(), job.hardware.clone());
        let mut job = JobFile { spec, base, hardware };
        let (files, scratch) = (&self.local.storage.files, self.local.scratch.clone());
        let mut planned = job.plan_part(self.memory, files, &self.local.runtime, scratch)?;
        planned.images.retain(|image| images.contains(image.id.as_str()));
        let folder = folder_apart("bench-", &self.local.scratch)?;
        let place = RunFolder::open(&folder.path().display().to_string(), &self.local.storage, self.tokio)?;
        let (store, began) = ((place.uri.clone(), place.store.clone()), Instant::now());
        let coordination = Coordination::prepare_quietly(
            job,
            planned,
            files,
            store,
            place.scratch.clone(),
            began,
            OVERDUE_AFTER,
        )?;
        let patience = Duration::from_secs_f64(self.seconds) * PATIENCE;
        let mut seen = LastSeen::default();
        let ended = self.tokio.block_on(async {
            let over = async {
                tokio::time::sleep(patience).await;
                Fatal::new(Exit::TryAgain, OVER)
            };
            let ended = match self.local.compute(&coordination, &mut seen, over).await {
                Ok(followed) => coordination.close(followed).await,
                Err(fatal) => Err(fatal),
            };
            // What waits to be written wants the folder that goes when this ends.
            self.local.storage.stores.settle().await.map_err(unavailable).and(ended)
        });
        let wall = began.elapsed().as_secs_f64();
        match ended {
            Ok(tally) => {
                let run = Run {
                    images: tally.progress.images_done as usize,
                    failed: images.len() as u64 - tally.progress.images_done.min(images.len() as u64),
                    forwards: tally.forwards,
                    wall,
                    stages: tally.seconds,
                    together: tally.aggregate_seconds,
                };
                Ok((run, false))
            }
            Err(fatal) if fatal.message == OVER => {
                let forwards = seen.forwards.load(std::sync::atomic::Ordering::Relaxed);
                Ok((Run { images: images.len(), forwards, wall, ..Run::default() }, true))
            }
            Err(fatal) if fatal.exit == Exit::TryAgain => {
                Err(Fatal::new(Exit::TryAgain, "stopped; of a sample nothing is kept"))
            }
            Err(fatal) => {
                say::note(&format!("note: {}", fatal.message));
                Err(fatal)
            }
        }
    }
}

/// Why a run was broken off.
const OVER: &str = "the time of the sample is over";

/// The job with the outputs that each image has by itself: tables want all images, and reports hang on them.
fn sampled(spec: &JobSpec) -> JobSpec {
    let mut spec = JobSpec { truth: None, nights: Nights { keep: 0 }, ..spec.clone() };
    spec.outputs.retain(|output| {
        matches!(
            output,
            Output::Masks(_) | Output::Probabilities(_) | Output::SoftLabels(_) | Output::Uncertainty(_)
        )
    });
    if spec.outputs.is_empty() {
        spec.outputs = vec![Output::Masks(MaskForm { format: MaskFormat::Png, look: MaskLook::Grey })];
    }
    spec.tiles.keep = false;
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_takes_beside_its_models_is_told_from_them() {
        let run = |images, forwards, wall| Run { images, forwards, wall, ..Run::default() };
        let both = Sample::of(run(1, 100, 3.0), Some(run(9, 900, 11.0)), false);
        assert_eq!((both.fixed, both.per_second, both.run.images), (2.0, 100.0, 9));
        assert_eq!(both.forecast(10_000), 102.0);
        let one = Sample::of(run(1, 100, 4.0), None, true);
        assert_eq!((one.fixed, one.per_second, one.forecast(200)), (0.0, 25.0, 8.0));
        let odd = Sample::of(run(1, 100, 4.0), Some(run(2, 100, 3.0)), false);
        assert_eq!(odd.run.images, 2, "without a difference there is nothing to tell");
    }
}
