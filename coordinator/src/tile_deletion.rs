//! Deleting tiles and statistics that nobody needs any more.

use crate::job_runner::RunError;
use crate::run_lease::RunLease;
use marquetry_transport::{ObjectStore, StoreError};

/// Objects that are deleted between two looks at whether the run still has the job.
const BATCH: usize = 4000;

/// Deletes objects as long as the lease is held, many with one request. A store that refuses or is away is warned about, and
/// left in peace from then on: what is left behind costs room alone.
pub(crate) struct TileDeletion<'a> {
    store: &'a dyn ObjectStore,
    lease: &'a RunLease,
    waiting: Vec<String>,
    /// Why nothing is deleted any more.
    refused: Option<StoreError>,
}

impl<'a> TileDeletion<'a> {
    pub(crate) const fn new(store: &'a dyn ObjectStore, lease: &'a RunLease) -> Self {
        Self { store, lease, waiting: Vec::new(), refused: None }
    }

    /// Deletes these, sooner or later.
    ///
    /// # Errors
    /// When another coordinator has the job by now.
    pub(crate) async fn add(
        &mut self,
        keys: impl IntoIterator<Item = String> + Send,
    ) -> Result<(), RunError> {
        self.waiting.extend(keys);
        if self.waiting.len() >= BATCH { self.delete().await } else { Ok(()) }
    }

    /// Deletes what is still waiting.
    ///
    /// # Errors
    /// When another coordinator has the job by now.
    pub(crate) async fn finish(mut self) -> Result<(), RunError> {
        self.delete().await?;
        if let Some(error) = &self.refused {
            tracing::warn!(%error, "tiles are left behind: the store does not delete them");
        }
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), RunError> {
        let keys = std::mem::take(&mut self.waiting);
        for batch in keys.chunks(BATCH) {
            if self.refused.is_some() {
                break;
            }
            match self.lease.check().await {
                Err(RunError::Store(error)) => self.refused = Some(error),
                checked => {
                    checked?;
                    self.refused = self.store.delete_many(batch).await.err();
                }
            }
        }
        Ok(())
    }
}
