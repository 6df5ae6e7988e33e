//! What running the members of a setting took, kept so that a command that goes on knows it too.

use bytes::Bytes;
use marquetry_job::{StageSeconds, key};
use marquetry_transport::{ObjectStore, StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};

/// What running members took on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TakenSeconds {
    /// Model runs of one window each.
    pub forwards: u64,
    /// Seconds of threads: preparing windows, model runs, merging, storing. Reading images is left out: it is the same for
    /// all, and the first to read them waits for the disk.
    pub seconds: f64,
    /// Threads that compute side by side.
    pub lanes: usize,
    /// Threads inside each session.
    pub threads: usize,
}

impl TakenSeconds {
    /// Of a run with these lanes, and threads in each.
    pub fn of(forwards: u64, seconds: StageSeconds, (lanes, threads): (usize, usize)) -> Self {
        let seconds = seconds.prepare + seconds.infer + seconds.stitch + seconds.store;
        Self { forwards, seconds, lanes, threads }
    }

    /// Seconds that pass for `forwards` of such model runs; none where nothing was run.
    pub fn for_all(self, forwards: u64) -> Option<f64> {
        let each = self.seconds / self.lanes.max(1) as f64 / self.forwards as f64;
        (self.forwards > 0).then_some(each * forwards as f64)
    }

    /// Keeps it for `job`.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn keep(self, store: &dyn ObjectStore, job: &str) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(&self).unwrap_or_default();
        store.put(&key::seconds(job), Bytes::from(bytes)).await
    }

    /// Both of one setting together, if they are of the same threads; else this one.
    #[must_use]
    pub fn and(self, other: Option<Self>) -> Self {
        match other.filter(|other| (other.lanes, other.threads) == (self.lanes, self.threads)) {
            Some(other) => Self {
                forwards: self.forwards + other.forwards,
                seconds: self.seconds + other.seconds,
                ..self
            },
            None => self,
        }
    }
}

/// What earlier runs of `job` took. One that cannot be read is none: then it is measured anew, or estimated.
///
/// # Errors
/// When the store is away.
pub async fn kept_seconds(store: &dyn ObjectStore, job: &str) -> Result<Option<TakenSeconds>, StoreError> {
    match store.get(&key::seconds(job)).await {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_tells_of_the_whole_and_other_threads_tell_nothing() {
        let stages = StageSeconds { read: 100.0, prepare: 1.0, infer: 6.0, stitch: 0.5, store: 0.5 };
        let half = TakenSeconds::of(40, stages, (2, 1));
        assert_eq!((half.for_all(80), TakenSeconds::default().for_all(80)), (Some(8.0), None));
        assert_eq!(half.and(Some(half)).for_all(80), Some(8.0));
        let other = TakenSeconds { threads: 4, seconds: 99.0, ..half };
        assert_eq!(half.and(Some(other)), half);
    }
}
