//! What earlier runs have left of the rounds.

use crate::job_tasks::JobTasks;
use crate::planning::{Planned, outputs_hash};
use crate::recovery::StoredByTasks;
use futures_util::TryStreamExt;
use marquetry_aggregator::expected_of;
use marquetry_job::{TaskKind, TaskPlace, key};
use marquetry_spec::JobSpec;
use marquetry_transport::{ObjectStore, StoreError};
use std::collections::HashSet;

/// For each member of a job with tiles of single members the model runs whose tiles are stored. Tiles are listed, and none is
/// read.
///
/// # Errors
/// When the store is away.
pub async fn stored_forwards(store: &dyn ObjectStore, planned: &Planned) -> Result<Vec<u64>, StoreError> {
    let tasks = JobTasks::new(&planned.plan, &planned.images);
    let mut forwards = vec![0; planned.plan.inference.groups.len()];
    // A page may come twice.
    let mut seen: HashSet<TaskPlace> = HashSet::new();
    let stored = StoredByTasks::of(&planned.plan, &tasks);
    let mut pages = stored.pages(store);
    while let Some(page) = pages.try_next().await? {
        for place in page.into_iter().flat_map(|(_, places)| places) {
            if let TaskKind::Block { group, .. } = tasks.of(place.image).at(place.place)
                && seen.insert(place)
            {
                forwards[group as usize] += tasks.forwards(place);
            }
        }
    }
    Ok(forwards)
}

/// Whether all images of the job have their results and files from an earlier run, with nothing missing in them.
///
/// # Errors
/// When the store is away.
pub async fn has_results(
    store: &dyn ObjectStore,
    planned: &Planned,
    spec: &JobSpec,
) -> Result<bool, StoreError> {
    let (job, outputs) = (&planned.plan.job, outputs_hash(spec, &planned.plan.merge));
    let mut there = HashSet::new();
    for folder in [key::out(job, ""), key::parts(job, &outputs)] {
        there.extend(store.list(&folder).await?.into_iter().map(|object| object.key));
    }
    Ok(planned.images.iter().all(|image| {
        let name = image.result_name();
        let files = expected_of(spec, &outputs, image);
        there.contains(&key::part(job, &outputs, &name))
            && !there.contains(&key::gaps(job, &outputs, &name))
            && files.iter().all(|file| there.contains(&key::out(job, file)))
    }))
}
