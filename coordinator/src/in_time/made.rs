//! What a job in rounds has made in its store, so that what is superseded can go, and nothing else.

use crate::job_runner::RunError;
use crate::job_tasks::JobTasks;
use crate::recovery::StoredByTasks;
use crate::run_lease::RunLease;
use crate::status::JobState;
use crate::tile_deletion::TileDeletion;
use bytes::Bytes;
use futures_util::StreamExt;
use marquetry_job::{Plan, PlannedImage, RunId, key};
use marquetry_transport::{ObjectStore, StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The rounds of one job that are in its store, and are not there for another reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeRounds {
    /// Jobs of rounds that were begun, and are no result: they go when a later round is whole.
    pub begun: Vec<String>,
    /// What was handed over last: of how many rounds, and its job.
    pub result: Option<(usize, String)>,
}

impl MadeRounds {
    /// What was made of the rounds of `job`, which has all members.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn read(store: &dyn ObjectStore, job: &str) -> Result<Self, StoreError> {
        match store.get(&key::rounds(job)).await {
            Ok(stored) => Ok(Self::from_bytes(&stored)),
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn keep(&self, store: &dyn ObjectStore, job: &str) -> Result<(), StoreError> {
        store.put(&key::rounds(job), Bytes::from(self.to_bytes())).await
    }

    /// What is stored. One that cannot be read is nothing: then too much stays.
    pub fn from_bytes(stored: &[u8]) -> Self {
        serde_json::from_slice(stored).unwrap_or_default()
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Notes that the job `round` is about to begin, unless somebody has run it before: then it stays.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn begin(&mut self, store: &dyn ObjectStore, job: &str, round: &str) -> Result<(), StoreError> {
        let is_new = !self.begun.iter().any(|begun| begun == round);
        if is_new && store.list(&format!("jobs/{round}/")).await?.is_empty() {
            self.begun.push(round.to_owned());
            self.keep(store, job).await?;
        }
        Ok(())
    }

    /// Deletes all rounds that were begun but `round`, which is whole.
    ///
    /// # Errors
    /// When the store is away or refuses.
    pub async fn supersede(
        &mut self,
        store: &dyn ObjectStore,
        (job, round): (&str, &str),
        keeps_lease: bool,
    ) -> Result<(), StoreError> {
        for begun in self.begun.iter().filter(|begun| *begun != round) {
            discard(store, begun, keeps_lease).await?;
        }
        self.begun.retain(|begun| begun == round);
        self.keep(store, job).await
    }
}

/// Deletes all that the job `round` has but tiles. Where messages of it may still be on their way, the name of the run that
/// counts stays (`keeps_lease`), so that they are dropped.
///
/// # Errors
/// When the store is away or refuses.
pub async fn discard(store: &dyn ObjectStore, round: &str, keeps_lease: bool) -> Result<(), StoreError> {
    let all = store.list(&format!("jobs/{round}/")).await?;
    let lease = key::run(round);
    let keys = all.into_iter().map(|object| object.key).filter(|key| !keeps_lease || *key != lease);
    let keys: Vec<String> = keys.chain([key::status(round)]).collect();
    store.delete_many(&keys).await
}

/// Deletes the tiles of these jobs, as `run`, which is of the one whose submission stands.
///
/// # Errors
/// When another coordinator has that job by now. A store that refuses to delete is warned about.
pub async fn clear_tiles(
    store: &Arc<dyn ObjectStore>,
    run: RunId,
    jobs: &[(&Plan, &[PlannedImage])],
) -> Result<(), RunError> {
    let lease = RunLease::acquire(Arc::clone(store), run).await?;
    let mut deletion = TileDeletion::new(&**store, &lease);
    for (plan, images) in jobs {
        let tasks = JobTasks::new(plan, images);
        let stored = StoredByTasks::of(plan, &tasks);
        let mut pages = stored.pages(&**store);
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => deletion.add(page.into_iter().map(|(key, _)| key)).await?,
                Err(error) => {
                    tracing::warn!(%error, "tiles are left behind");
                    break;
                }
            }
        }
    }
    deletion.finish().await?;
    lease.release(JobState::Done, None).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_transport::FolderStore;

    async fn keys(store: &dyn ObjectStore) -> Vec<String> {
        let all = ["jobs/", "rounds/", "status/"];
        let mut keys = Vec::new();
        for folder in all {
            keys.extend(store.list(folder).await.unwrap().into_iter().map(|object| object.key));
        }
        keys.sort();
        keys
    }

    #[tokio::test]
    async fn what_others_have_made_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::open(folder.path()).unwrap();
        let put = async |key: &str| store.put(key, Bytes::from_static(b"x")).await.unwrap();
        put("jobs/j-theirs/out/a.png").await;
        let mut made = MadeRounds::read(&store, "j-all").await.unwrap();
        assert_eq!(made, MadeRounds::default());
        for round in ["j-theirs", "j-1", "j-12"] {
            made.begin(&store, "j-all", round).await.unwrap();
            put(&format!("jobs/{round}/out/b.png")).await;
            put(&key::run(round)).await;
            put(&key::status(round)).await;
        }
        // After a kill the next one knows.
        let mut made = MadeRounds::read(&store, "j-all").await.unwrap();
        assert_eq!(made.begun, ["j-1", "j-12"]);
        made.begin(&store, "j-all", "j-12").await.unwrap();
        made.supersede(&store, ("j-all", "j-12"), false).await.unwrap();
        let left = keys(&store).await;
        assert!(!left.iter().any(|key| key.contains("j-1/") || key.contains("j-1.")), "{left:?}");
        assert!(left.contains(&"jobs/j-theirs/out/a.png".to_owned()), "{left:?}");
        assert!(left.contains(&"jobs/j-12/out/b.png".to_owned()), "{left:?}");
        discard(&store, "j-12", true).await.unwrap();
        let left = keys(&store).await;
        assert!(
            left.contains(&"jobs/j-12/run".to_owned()) && !left.contains(&"jobs/j-12/out/b.png".to_owned())
        );
    }
}
