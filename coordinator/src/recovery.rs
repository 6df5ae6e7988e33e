//! What earlier runs of a job left in the store: all that a coordinator must know when it starts.

use crate::ended_run::delete_tiles;
use crate::job_runner::{JobRunner, RunError, Tally};
use crate::run_lease::RunLease;
use futures_util::future::try_join_all;
use marquetry_aggregator::expected;
use marquetry_job::{Ledger, Plan, TaskId, key};
use marquetry_transport::{ObjectMeta, ObjectStore, StoreError};
use std::collections::{HashMap, HashSet};

/// So many tiles are listed folder by folder.
const MANY: u64 = 10_000;

impl JobRunner<'_> {
    /// Notes in the ledger which images are finished and which tiles are stored, and clears away what nobody needs any
    /// more. Outputs, parts and tiles are listed, and no object is read.
    pub(crate) async fn recover_from_store(
        &self,
        lease: &RunLease,
        ledger: &mut Ledger,
        tally: &mut Tally,
    ) -> Result<(), RunError> {
        let job = &self.plan.job;
        let images: HashMap<&str, u32> =
            self.plan.images.iter().enumerate().map(|(i, image)| (image.key.as_str(), i as u32)).collect();
        let written = self.store.list(&key::out(job, "")).await?;
        let written: HashSet<&str> = written.iter().map(|m| m.key.as_str()).collect();
        let parts = self.store.list(&key::all_parts(job)).await?;
        let finished = self.finished(&parts, &images, &written).await?;
        for &image in &finished {
            ledger.found_image(image);
            let tasks = self.plan.tasks_of(image);
            tally.forwards_found += tasks.map(|t| self.plan.forwards_of(t)).sum::<u64>();
        }
        tally.images_found = ledger.progress().images_done;
        let mut left_behind = Vec::new();
        for tile in stored_tiles(&*self.store, self.plan).await? {
            let Some((image, group, block)) = key::of_tile(&tile.key) else { continue };
            let Some(&image) = images.get(image) else { continue };
            if finished.contains(&image) {
                left_behind.push(tile.key);
                continue;
            }
            let before = ledger.progress().tasks_done;
            let task = TaskId { image, group, block };
            ledger.found_tile(task);
            if ledger.progress().tasks_done > before {
                tally.tasks_found += 1;
                tally.forwards_found += self.plan.forwards_of(task);
            }
        }
        if !self.keep_tiles {
            delete_tiles(&*self.store, lease, left_behind).await?;
        }
        Ok(())
    }

    /// The images that are finished: their part is stored, nothing is missing in it, and all of their files are there.
    /// Other parts are deleted: the files they speak of are about to be written anew.
    async fn finished(
        &self,
        parts: &[ObjectMeta],
        images: &HashMap<&str, u32>,
        written: &HashSet<&str>,
    ) -> Result<HashSet<u32>, StoreError> {
        let job = &self.plan.job;
        let own = key::parts(job, self.outputs);
        let with_gaps: HashSet<&str> = parts
            .iter()
            .filter(|part| part.key.starts_with(&own))
            .filter_map(|part| key::image_of_gaps(&part.key))
            .collect();
        let is_whole = |image: u32| {
            let files = expected(self.spec, &self.plan.images[image as usize].id);
            files.iter().all(|file| written.contains(key::out(job, file).as_str()))
        };
        let mut finished = HashSet::new();
        for part in parts {
            let name = key::image_of_part(&part.key).filter(|name| !with_gaps.contains(name));
            let image = name.and_then(|name| images.get(name)).copied();
            match image.filter(|image| part.key.starts_with(&own) && is_whole(*image)) {
                Some(image) => drop(finished.insert(image)),
                None => self.store.delete(&part.key).await?,
            }
        }
        Ok(finished)
    }
}

/// What is stored of tiles. A list of many takes one request for each thousand, one after the other; so each of the
/// folders they are spread over is listed for itself, side by side.
pub(crate) async fn stored_tiles(
    store: &dyn ObjectStore,
    plan: &Plan,
) -> Result<Vec<ObjectMeta>, StoreError> {
    if plan.cost().tasks < MANY {
        return store.list(&key::tiles(&plan.job)).await;
    }
    let folders: Vec<String> = key::tile_folders(&plan.job).collect();
    let lists = folders.iter().map(|folder| store.list(folder));
    Ok(try_join_all(lists).await?.into_iter().flatten().collect())
}
