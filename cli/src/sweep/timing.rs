//! What the members of each setting take: all settings in turn, on a few images, several times. A machine does other things
//! too, for minutes on end, so settings that run one after the other for as long would not be seen alike; in turn they are, and the
//! quickest of several tries is the one that least came between.

use super::trial::{Setting, Trials};
use crate::coordination::{Coordination, unavailable};
use crate::exit::{Exit, Fatal};
use crate::run::OVERDUE_AFTER;
use crate::run_folder::{RunFolder, folder_apart};
use crate::say;
use crate::spread::spread;
use crate::summary::LastSeen;
use marquetry_coordinator::{TakenSeconds, job_cost, kept_seconds};
use marquetry_spec::{JobSpec, MaskForm, MaskFormat, MaskLook, Output};
use std::collections::BTreeSet;
use std::time::Instant;

/// Tries of each setting.
const TRIES: usize = 3;
/// A try of the job as it is that takes so long says enough, s.
const ENOUGH: f64 = 2.0;
/// At most one image in so many is timed; one at least.
const IMAGES_SHARE: usize = 10;

impl Trials<'_> {
    /// Seconds that all model runs of each setting take, in their order: as they were measured before with as many threads, if that
    /// is known of all, or on some of `images`, which all settings have labels of.
    pub(super) fn seconds(&self, settings: &[Setting], images: &[&str]) -> Result<Vec<f64>, Fatal> {
        let threads = (self.local.threads.lanes, self.local.threads.each);
        let store = &*self.place.store;
        let kept = settings
            .iter()
            .map(|setting| self.tokio.block_on(kept_seconds(store, &setting.job, threads)))
            .collect::<Result<Option<Vec<_>>, _>>()
            .map_err(unavailable)?;
        let taken = match kept {
            Some(kept) => kept,
            None => self.measure(settings, images)?,
        };
        let seconds = settings.iter().zip(taken).map(|(setting, taken)| taken.for_work(setting.cost.work));
        Ok(seconds.collect())
    }

    /// Measures all settings, and keeps what was found.
    fn measure(&self, settings: &[Setting], images: &[&str]) -> Result<Vec<TakenSeconds>, Fatal> {
        // The first one warms the machine up, and tells how many images are enough.
        let first = self.time(&settings[0], &spread(images, 1))?;
        let most = images.len().div_ceil(IMAGES_SHARE);
        let wanted = (ENOUGH / first.seconds.max(1e-6)).ceil();
        let few = spread(images, if wanted < most as f64 { wanted as usize } else { most });
        say::note(&format!(
            "seconds: {} settings in turn on {} of {} images, {TRIES} times",
            settings.len(),
            say::count(few.len() as u64),
            say::count(images.len() as u64)
        ));
        let mut quickest: Vec<TakenSeconds> = Vec::new();
        for _ in 0..TRIES {
            let taken =
                settings.iter().map(|setting| self.time(setting, &few)).collect::<Result<Vec<_>, _>>()?;
            quickest = if quickest.is_empty() {
                taken
            } else {
                quickest.into_iter().zip(taken).map(|(best, next)| best.or_quicker(next)).collect()
            };
        }
        for (setting, taken) in settings.iter().zip(&quickest) {
            let kept = taken.keep(&*self.place.store, &setting.job);
            self.tokio.block_on(kept).map_err(unavailable)?;
        }
        Ok(quickest)
    }

    /// One try: the plain job over these images, where nothing of it is stored, with an output that is made quickly.
    fn time(&self, setting: &Setting, images: &BTreeSet<&str>) -> Result<TakenSeconds, Fatal> {
        let masks = MaskForm { format: MaskFormat::Png, look: MaskLook::Grey };
        let spec = JobSpec { outputs: vec![Output::Masks(masks)], ..setting.spec.clone() };
        let (job, mut planned) = self.plan_all(spec)?;
        planned.images.retain(|image| images.contains(image.id.as_str()));
        if planned.images.len() != images.len() {
            let reason = "images have gone while settings were tried; run the same command again";
            return Err(Fatal::new(Exit::TryAgain, reason));
        }
        let work = job_cost(&planned).work;
        let folder = folder_apart("timing-", &self.place.scratch)?;
        let place = RunFolder::open(&folder.path().display().to_string(), &self.local.storage, self.tokio)?;
        let store = (place.uri.clone(), place.store.clone());
        let (files, scratch) = (&self.local.storage.files, place.scratch.clone());
        let began = Instant::now();
        let coordination =
            Coordination::prepare_quietly(job, planned, files, store, scratch, began, OVERDUE_AFTER)?;
        let tally = self.tokio.block_on(async {
            let mut seen = LastSeen::default();
            let followed = self.local.compute(&coordination, &mut seen, std::future::pending()).await?;
            let tally = coordination.close(followed).await?;
            self.local.storage.stores.settle().await.map_err(unavailable)?;
            Ok::<_, Fatal>(tally)
        })?;
        let threads = (self.local.threads.lanes, self.local.threads.each);
        Ok(TakenSeconds::of(work, tally.seconds, threads))
    }
}
