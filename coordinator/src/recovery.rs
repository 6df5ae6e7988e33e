//! What earlier runs of a job left in the store: all that a coordinator must know when it starts.

use crate::job_runner::{JobRunner, OtherResults, RunError};
use crate::job_tasks::JobTasks;
use crate::made_files::{Files, Listed, MadeFiles, whole};
use crate::run_lease::RunLease;
use crate::tally::Tally;
use crate::tile_deletion::TileDeletion;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use marquetry_failure::{Classify, FailureClass};
use marquetry_job::{Ledger, Plan, PlannedImage, TaskPlace, key};
use marquetry_transport::{ObjectMeta, ObjectStore, StoreError, StoreErrorKind};
use std::collections::{HashMap, HashSet};

/// So many tiles are listed folder by folder.
const MANY: u64 = 10_000;
/// Folders that are listed side by side.
const AT_ONCE: usize = 64;

impl JobRunner<'_> {
    /// Notes in the ledger which images are finished and what tasks have stored, and clears away what nobody needs any
    /// more. Outputs, parts and tiles are listed, and no object is read. Many tiles take long: `show` sees how far it is.
    pub(crate) async fn recover_from_store(
        &self,
        lease: &RunLease,
        tasks: &JobTasks<'_>,
        ledger: &mut Ledger,
        tally: &mut Tally,
        show: &mut impl FnMut(&Tally),
    ) -> Result<(), RunError> {
        let job = &self.plan.job;
        let written = self.store.list(&key::out(job, "")).await?;
        let parts = self.store.list(&key::all_parts(job)).await?;
        let finished = self.finished(&parts, tasks, &whole(&written)).await?;
        if self.makes_all_files() {
            let contents = |image: u32| finished.get(&image).cloned().unwrap_or_default();
            let images = self.images.iter().zip(0..).map(|(image, place)| (image, contents(place)));
            let noted = MadeFiles::of(self.outputs, images).write(&*lease.guard(), job).await;
            if noted.as_ref().is_err_and(|error| error.kind == StoreErrorKind::Conflict) {
                lease.check().await?;
            }
            noted?;
        }
        for &image in finished.keys() {
            ledger.found_image(image);
            let places = (0..tasks.of(image).len()).map(|place| TaskPlace { image, place });
            tally.forwards_found += places.map(|place| tasks.forwards(place)).sum::<u64>();
        }
        tally.images_found = ledger.progress().images_done;
        let mut deletion = TileDeletion::new(&*self.store, lease);
        let stored = StoredByTasks::of(self.plan, tasks);
        let mut pages = stored.pages(&*self.store);
        while let Some(page) = pages.try_next().await? {
            let mut left_behind = Vec::new();
            for (key, places) in page {
                if places.iter().any(|place| finished.contains_key(&place.image)) {
                    left_behind.push(key);
                    continue;
                }
                for place in places {
                    let before = ledger.progress().tasks_done;
                    ledger.found_task(place);
                    if ledger.progress().tasks_done > before {
                        tally.tasks_found += 1;
                        tally.forwards_found += tasks.forwards(place);
                    }
                }
            }
            if !self.keep_tiles {
                deletion.add(left_behind).await?;
            }
            tally.progress = ledger.progress();
            show(tally);
        }
        drop(pages);
        deletion.finish().await
    }

    /// Whether this is neither a first pass, which writes no file, nor of a sample of the images.
    fn makes_all_files(&self) -> bool {
        self.other_results != OtherResults::KeepAll && self.spec.subset.sample >= 1.0
    }

    /// The images that are finished, and what names the contents of their files: their part is stored, nothing is missing in it, and all
    /// of their files are there and belong to it.
    /// Other parts are deleted: the files they speak of are about to be written anew.
    async fn finished(
        &self,
        parts: &[ObjectMeta],
        tasks: &JobTasks<'_>,
        written: &Listed<'_>,
    ) -> Result<HashMap<u32, String>, StoreError> {
        let job = &self.plan.job;
        let made = if self.makes_all_files() {
            MadeFiles::read(&*self.store, job).await?
        } else {
            MadeFiles::default()
        };
        let files = Files { job, spec: self.spec, outputs: self.outputs };
        let own = key::parts(job, self.outputs);
        let with_gaps: HashSet<&str> = parts
            .iter()
            .filter(|part| part.key.starts_with(&own))
            .filter_map(|part| key::image_of_gaps(&part.key))
            .collect();
        let is_finished = |place: u32| {
            let image = tasks.image(place);
            let contents = files.contents(image, written)?;
            made.belong(self.outputs, image, &contents).then_some((place, contents))
        };
        let is_kept = |key: &str| match self.other_results {
            OtherResults::Delete => false,
            OtherResults::KeepOf(other) => key.starts_with(&key::parts(job, other)),
            OtherResults::KeepAll => !key.starts_with(&own),
        };
        // Of a sample of the images, the results of the others are not this run's to delete.
        let is_of_the_rest = |key: &str| {
            let image = key::image_of_part(key).or_else(|| key::image_of_gaps(key)).map(PlannedImage::key_in);
            self.spec.subset.sample < 1.0 && image.is_some_and(|image| tasks.image_place(image).is_none())
        };
        let (mut finished, mut stays) = (HashMap::new(), None);
        for part in parts.iter().filter(|part| !is_kept(&part.key) && !is_of_the_rest(&part.key)) {
            let name = key::image_of_part(&part.key).filter(|name| !with_gaps.contains(name));
            let image = name.and_then(|name| {
                let image = tasks.image_place(PlannedImage::key_in(name))?;
                // Of an older truth of the same image it says nothing any more.
                (tasks.image(image).result_name() == name).then_some(image)
            });
            match image.filter(|_| part.key.starts_with(&own)).and_then(is_finished) {
                Some((image, contents)) => drop(finished.insert(image, contents)),
                None => match self.store.delete(&part.key).await {
                    // Those of other outputs are read by nobody; one of these outputs would be believed.
                    Err(error) if error.class() == FailureClass::Config && !part.key.starts_with(&own) => {
                        stays.get_or_insert(error);
                    }
                    deleted => deleted?,
                },
            }
        }
        if let Some(error) = stays {
            tracing::warn!(%error, "results of earlier runs are left behind: the store does not delete them");
        }
        Ok(finished)
    }
}

/// What a job's tasks have stored.
///
/// A list of many tiles takes one request for each thousand, one after the other; so each of the folders they are spread
/// over is listed for itself, some side by side.
pub(crate) struct StoredByTasks<'a> {
    tasks: &'a JobTasks<'a>,
    folders: Vec<String>,
}

impl<'a> StoredByTasks<'a> {
    pub(crate) fn of(plan: &Plan, tasks: &'a JobTasks<'a>) -> Self {
        let scores = tasks.scores();
        let mut folders = vec![key::all_statistics(&plan.job)];
        folders.extend(plan.wants_region().then(|| key::all_regions(&plan.job)));
        folders.extend(plan.wants_gate().then(|| key::all_gates(&plan.job)));
        folders.extend(plan.inference.cascade.is_some().then(|| key::all_unsure(&plan.job)));
        let is_many = tasks.len() >= MANY * scores.len() as u64;
        for scores in scores {
            if is_many {
                folders.extend(key::tile_folders(&plan.job, scores));
            } else {
                folders.push(key::tiles_of(&plan.job, scores));
            }
        }
        Self { tasks, folders }
    }

    /// A page at a time: the keys of objects, and the tasks of this job that they are of, at least one. A page may come again
    /// when the store was away in between.
    pub(crate) fn pages(
        &'a self,
        store: &'a dyn ObjectStore,
    ) -> impl Stream<Item = Result<Vec<(String, Vec<TaskPlace>)>, StoreError>> + Send + Unpin + 'a {
        let of_tasks = |object: ObjectMeta| {
            let places = self.tasks.stored_under(&object.key);
            (!places.is_empty()).then_some((object.key, places))
        };
        let pages = stream::iter(&self.folders).map(|folder| store.pages(folder)).flatten_unordered(AT_ONCE);
        pages.map_ok(move |page| page.into_iter().filter_map(of_tasks).collect())
    }
}
