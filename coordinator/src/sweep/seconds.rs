//! What running the members of a setting takes, kept so that the same command tells the same again.

use bytes::Bytes;
use marquetry_job::{StageSeconds, key};
use marquetry_transport::{ObjectStore, StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};

/// What running members took on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TakenSeconds {
    /// What was run, as [`ForwardCost::work`](crate::ForwardCost) estimates it: of one setting its seconds are proportional
    /// to that, over images of any size.
    pub work: f64,
    /// Seconds that passed with all lanes at work: preparing windows, model runs, merging. Reading images and opening models are left out,
    /// which are the same for all settings and wait for a disk now and then, and so is storing tiles.
    pub seconds: f64,
    /// Threads that compute side by side.
    pub lanes: usize,
    /// Threads inside each session.
    pub threads: usize,
}

impl TakenSeconds {
    /// Of a run of so much work with these lanes, and threads in each.
    pub fn of(work: f64, stages: StageSeconds, (lanes, threads): (usize, usize)) -> Self {
        let seconds = (stages.prepare + stages.infer + stages.stitch) / lanes.max(1) as f64;
        Self { work, seconds, lanes, threads }
    }

    /// Seconds of so much work; never 0, so that they can be compared by how many times one is the other.
    pub fn for_work(self, work: f64) -> f64 {
        (self.seconds / self.work.max(f64::MIN_POSITIVE) * work).max(f64::MIN_POSITIVE)
    }

    /// The quicker one: what else a machine does adds to seconds and never takes any off.
    #[must_use]
    pub fn or_quicker(self, other: Self) -> Self {
        if other.for_work(1.0) < self.for_work(1.0) { other } else { self }
    }

    /// Keeps it for `job`.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn keep(self, store: &dyn ObjectStore, job: &str) -> Result<(), StoreError> {
        store.put(&key::seconds(job), Bytes::from(self.to_bytes())).await
    }

    /// What is stored; none where it cannot be read.
    pub fn from_bytes(stored: &[u8]) -> Option<Self> {
        serde_json::from_slice(stored).ok()
    }

    /// As it is stored.
    pub fn to_bytes(self) -> Vec<u8> {
        serde_json::to_vec(&self).unwrap_or_default()
    }
}

/// What `job` was seen to take with these lanes, and threads in each. What cannot be read is not known: then it is measured anew.
///
/// # Errors
/// When the store is away.
pub async fn kept_seconds(
    store: &dyn ObjectStore,
    job: &str,
    threads: (usize, usize),
) -> Result<Option<TakenSeconds>, StoreError> {
    match store.get(&key::seconds(job)).await {
        Ok(bytes) => {
            let kept = TakenSeconds::from_bytes(&bytes);
            Ok(kept.filter(|kept| (kept.lanes, kept.threads) == threads))
        }
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_transport::MemoryStore;

    const STAGES: StageSeconds =
        StageSeconds { read: 100.0, prepare: 1.0, infer: 6.0, stitch: 1.0, store: 50.0 };

    #[test]
    fn a_part_tells_of_the_whole_and_the_quickest_run_counts() {
        let part = TakenSeconds::of(40.0, STAGES, (2, 1));
        assert_eq!(part.for_work(80.0), 8.0);
        let slower = TakenSeconds { seconds: 5.0, ..part };
        assert_eq!([part.or_quicker(slower), slower.or_quicker(part)], [part; 2]);
        let nothing = TakenSeconds { work: 0.0, seconds: 0.0, ..part };
        assert!(nothing.for_work(0.0) > 0.0 && nothing.for_work(9.0).is_finite());
    }

    #[tokio::test]
    async fn what_is_kept_is_of_these_threads() {
        let (store, taken) = (MemoryStore::new(), TakenSeconds::of(40.0, STAGES, (2, 1)));
        taken.keep(&store, "j-1").await.unwrap();
        let kept = async |job, threads| kept_seconds(&store, job, threads).await.unwrap();
        assert_eq!(kept("j-1", (2, 1)).await, Some(taken));
        assert_eq!((kept("j-1", (1, 2)).await, kept("j-2", (2, 1)).await), (None, None));
        store.put(&key::seconds("j-1"), Bytes::from_static(b"nonsense")).await.unwrap();
        assert_eq!(kept("j-1", (2, 1)).await, None);
    }
}
