//! Small objects that are looked at often and change seldom.

use crate::{ObjectStore, StoreError, StoreErrorKind};
use bytes::Bytes;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Objects that are remembered, those that were looked at last.
const ENTRIES_MAX: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// What small objects held when they were last read, believed for a while. For questions that are asked with every
/// message and whose answer changes a few times a day.
#[derive(Debug)]
pub struct CachedObject {
    believed_for: Duration,
    /// By the names of the store and the key.
    seen: Mutex<LruCache<(String, String), (Instant, Bytes)>>,
}

impl CachedObject {
    /// Nothing read yet; what is read will be believed for so long.
    pub fn new(believed_for: Duration) -> Self {
        Self { believed_for, seen: Mutex::new(LruCache::new(ENTRIES_MAX)) }
    }

    /// Whether the object under `key` holds another value than `value`.
    ///
    /// That it holds this one is believed for a while; that it does not is read anew each time. An object that is not there says
    /// nothing.
    ///
    /// # Errors
    /// When the object can neither be read nor be said not to be there.
    pub async fn differs(
        &self,
        store: &dyn ObjectStore,
        key: &str,
        value: &[u8],
    ) -> Result<bool, StoreError> {
        let name = (store.name(), key.to_owned());
        let is_recent = |(at, seen): &(Instant, Bytes)| at.elapsed() < self.believed_for && seen == value;
        if self.seen().get(&name).is_some_and(is_recent) {
            return Ok(false);
        }
        let found = match store.get(key).await {
            Ok(found) => found,
            Err(error) if error.kind == StoreErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let differs = found != value;
        self.seen().put(name, (Instant::now(), found));
        Ok(differs)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, LruCache<(String, String), (Instant, Bytes)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[tokio::test(start_paused = true)]
    async fn a_match_is_believed_and_a_mismatch_is_read_anew() {
        let store = MemoryStore::new();
        let cached = CachedObject::new(Duration::from_mins(1));
        assert!(!cached.differs(&store, "run", b"1").await.unwrap(), "nothing says so");
        store.put("run", Bytes::from_static(b"1")).await.unwrap();
        assert!(!cached.differs(&store, "run", b"1").await.unwrap());
        store.put("run", Bytes::from_static(b"2")).await.unwrap();
        assert!(!cached.differs(&store, "run", b"1").await.unwrap(), "believed for a minute");
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(cached.differs(&store, "run", b"1").await.unwrap());
        assert!(!cached.differs(&store, "run", b"2").await.unwrap());
    }
}
