//! The end of a run: its tasks are over, its outputs are not written yet.

use crate::job_runner::{RunError, Tally};
use crate::recovery::stored_tiles;
use crate::run_lease::{RunLease, Stopped};
use crate::status::JobState;
use futures_util::{StreamExt, stream};
use marquetry_job::{Plan, key};
use marquetry_transport::ObjectStore;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Objects that are deleted between two looks at whether the run still has the job.
const BATCH: usize = 512;
/// Deletions that are on their way at once.
const AT_ONCE: usize = 32;

/// A run whose tasks are all done or given up. It holds the job until it is released, so that nobody else begins while
/// outputs are written; when it is dropped, the job is there for the next one.
pub struct EndedRun {
    /// What the tasks came to.
    pub tally: Tally,
    pub(crate) lease: RunLease,
    /// Images whose tiles stay, since something of them is missing.
    pub(crate) unfinished: HashSet<u32>,
    /// Whether tiles are to be deleted.
    pub(crate) deletes_tiles: bool,
}

impl EndedRun {
    /// The store to write outputs to: it refuses when another coordinator has the job by then. The status says
    /// `finishing` from now on.
    pub fn finishing(&self) -> Arc<dyn ObjectStore> {
        self.lease.enter(JobState::Finishing);
        self.lease.guard()
    }

    /// Deletes the plan's tiles that nobody needs any more: those of finished images that came after these were finished,
    /// of tasks that were out twice. What is missing of an image needs its tiles.
    ///
    /// # Errors
    /// When another coordinator has the job by now. A store that refuses to delete is warned about.
    pub async fn clean_up(&self, store: &dyn ObjectStore, plan: &Plan) -> Result<(), RunError> {
        if !self.deletes_tiles {
            return Ok(());
        }
        self.lease.enter(JobState::Cleaning);
        let images: HashMap<&str, u32> =
            plan.images.iter().enumerate().map(|(i, image)| (image.key.as_str(), i as u32)).collect();
        let tiles = match stored_tiles(store, plan).await {
            Ok(tiles) => tiles,
            Err(error) => {
                tracing::warn!(%error, "tiles are left behind");
                return Ok(());
            }
        };
        let is_done = |key: &str| {
            let image = key::of_tile(key).and_then(|(image, ..)| images.get(image));
            image.is_some_and(|image| !self.unfinished.contains(image))
        };
        let keys = tiles.into_iter().map(|tile| tile.key).filter(|key| is_done(key)).collect();
        delete_tiles(store, &self.lease, keys).await
    }

    /// Gives the job back, in its last state and with the reason if it failed.
    ///
    /// # Errors
    /// When another coordinator has the job by now, or the store is lost.
    pub async fn release(self, state: JobState, reason: Option<String>) -> Result<(), RunError> {
        self.lease.release(state, reason).await
    }

    /// Whether this run still has the job.
    ///
    /// # Errors
    /// When it has not, or the store is lost.
    pub async fn check(&self) -> Result<(), RunError> {
        let checked = self.lease.check().await;
        if matches!(checked, Err(RunError::Stopped(Stopped::Cancelled))) {
            // The last heartbeat may have written another state over it.
            self.lease.note_cancelled().await?;
        }
        checked
    }
}

/// Deletes tiles, some at a time, as long as the lease is held.
pub(crate) async fn delete_tiles(
    store: &dyn ObjectStore,
    lease: &RunLease,
    keys: Vec<String>,
) -> Result<(), RunError> {
    let mut refused = (0_u64, None);
    for batch in keys.chunks(BATCH) {
        lease.check().await?;
        let mut deleted = stream::iter(batch).map(|key| store.delete(key)).buffer_unordered(AT_ONCE);
        while let Some(deleted) = deleted.next().await {
            if let Err(error) = deleted {
                refused.0 += 1;
                refused.1.get_or_insert(error);
            }
        }
    }
    if let (tiles, Some(error)) = refused {
        tracing::warn!(tiles, %error, "tiles are left behind: the store does not delete them");
    }
    Ok(())
}
