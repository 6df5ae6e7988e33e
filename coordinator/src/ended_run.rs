//! The end of a run: its tasks are over, its outputs are not written yet.

use crate::job_runner::RunError;
use crate::job_tasks::JobTasks;
use crate::recovery::StoredByTasks;
use crate::run_lease::{RunLease, Stopped};
use crate::status::{JobFailure, JobState};
use crate::tally::Tally;
use crate::tile_deletion::TileDeletion;
use futures_util::StreamExt;
use marquetry_job::{Plan, PlannedImage, TaskPlace};
use marquetry_transport::ObjectStore;
use std::sync::Arc;

/// A run whose tasks are all done or given up. It holds the job until it is released, so that nobody else begins while
/// outputs are written; when it is dropped, the job is there for the next one.
pub struct EndedRun {
    /// What the tasks came to.
    pub tally: Tally,
    pub(crate) lease: RunLease,
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
    pub async fn clean_up(
        &self,
        store: &dyn ObjectStore,
        plan: &Plan,
        images: &[PlannedImage],
    ) -> Result<(), RunError> {
        if !self.deletes_tiles {
            return Ok(());
        }
        self.lease.enter(JobState::Cleaning);
        let tasks = JobTasks::new(plan, images);
        let is_done = |place: &TaskPlace| !self.tally.unfinished.contains(&tasks.image(place.image).key);
        let mut deletion = TileDeletion::new(store, &self.lease);
        let stored = StoredByTasks::of(plan, &tasks);
        let mut pages = stored.pages(store);
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => {
                    let done = page.into_iter().filter(|(_, places)| places.iter().all(is_done));
                    deletion.add(done.map(|(key, _)| key)).await?;
                }
                Err(error) => {
                    tracing::warn!(%error, "tiles are left behind");
                    break;
                }
            }
        }
        drop(pages);
        deletion.finish().await
    }

    /// Gives the job back, in its last state and with why if it failed.
    ///
    /// # Errors
    /// When another coordinator has the job by now, or the store is lost.
    pub async fn release(self, state: JobState, failure: Option<JobFailure>) -> Result<(), RunError> {
        self.lease.release(state, failure).await
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
