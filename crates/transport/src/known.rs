//! Small objects that are looked at often and change seldom.

use crate::{ObjectStore, StoreError, StoreErrorKind};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Objects that are remembered.
const ENTRIES_MAX: usize = 1024;

/// What small objects were seen to hold.
#[derive(Debug)]
pub struct Known {
    believed: Duration,
    seen: Mutex<HashMap<(String, String), (Instant, Bytes)>>,
}

impl Known {
    /// What was seen is believed for so long.
    pub fn new(believed: Duration) -> Self {
        Self { believed, seen: Mutex::default() }
    }

    /// Whether the object under `key` holds `value`.
    ///
    /// That it does is believed for a while; that it does not is seen anew each time. No object holds nothing.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn holds(&self, store: &dyn ObjectStore, key: &str, value: &[u8]) -> Result<bool, StoreError> {
        let place = (store.name(), key.to_owned());
        let recent = |(at, seen): &(Instant, Bytes)| at.elapsed() < self.believed && seen == value;
        if self.seen().get(&place).is_some_and(recent) {
            return Ok(true);
        }
        let found = match store.get(key).await {
            Ok(found) => found,
            Err(error) if error.kind == StoreErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let holds = found == value;
        let mut seen = self.seen();
        if seen.len() >= ENTRIES_MAX {
            seen.clear();
        }
        seen.insert(place, (Instant::now(), found));
        Ok(holds)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), (Instant, Bytes)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderStore;

    #[tokio::test]
    async fn what_holds_is_believed_and_what_does_not_is_seen_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::open(folder.path()).unwrap();
        let known = Known::new(Duration::from_mins(1));
        assert!(!known.holds(&store, "run", b"1").await.unwrap());
        store.put("run", Bytes::from_static(b"1")).await.unwrap();
        assert!(known.holds(&store, "run", b"1").await.unwrap());
        store.put("run", Bytes::from_static(b"2")).await.unwrap();
        assert!(known.holds(&store, "run", b"1").await.unwrap(), "believed for a minute");
        assert!(known.holds(&store, "run", b"2").await.unwrap());
        assert!(!known.holds(&store, "run", b"1").await.unwrap());
        assert!(!Known::new(Duration::ZERO).holds(&store, "run", b"1").await.unwrap());
    }
}
