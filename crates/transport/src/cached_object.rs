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

/// The part of the time that something has been so for which it is believed to be so still.
const PART: u32 = 10;

/// What small objects held when they were last read, believed for a while. For questions that are asked with every
/// message and whose answer changes a few times a day.
///
/// What has long been so is believed for longer, so that a thousand who ask do not read one key a thousand times a second.
#[derive(Debug)]
pub struct CachedObject {
    /// At least and at most.
    believed_for: (Duration, Duration),
    /// By the names of the store and the key.
    seen: Mutex<LruCache<(String, String), Seen>>,
}

/// What an object held.
#[derive(Debug, Clone)]
struct Seen {
    value: Bytes,
    /// When it was first seen to.
    since: Instant,
    /// When it was last seen to.
    at: Instant,
}

impl CachedObject {
    /// Nothing read yet; what is read will be believed for a tenth of the time that it has been so, and no shorter than `least`
    /// nor longer than `most`.
    pub fn new(least: Duration, most: Duration) -> Self {
        Self { believed_for: (least, most), seen: Mutex::new(LruCache::new(ENTRIES_MAX)) }
    }

    fn is_believed(&self, seen: &Seen) -> bool {
        let (least, most) = self.believed_for;
        seen.at.elapsed() < ((seen.at - seen.since) / PART).clamp(least, most)
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
        let before = self.seen().get(&name).filter(|seen| seen.value == value).cloned();
        if before.as_ref().is_some_and(|seen| self.is_believed(seen)) {
            return Ok(false);
        }
        let found = match store.get(key).await {
            Ok(found) => found,
            Err(error) if error.kind == StoreErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let (differs, at) = (found != value, Instant::now());
        let since = before.filter(|_| !differs).map_or(at, |seen| seen.since);
        self.seen().put(name, Seen { value: found, since, at });
        Ok(differs)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, LruCache<(String, String), Seen>> {
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
        let cached = CachedObject::new(Duration::from_mins(1), Duration::from_mins(1));
        assert!(!cached.differs(&store, "run", b"1").await.unwrap(), "nothing says so");
        store.put("run", Bytes::from_static(b"1")).await.unwrap();
        assert!(!cached.differs(&store, "run", b"1").await.unwrap());
        store.put("run", Bytes::from_static(b"2")).await.unwrap();
        assert!(!cached.differs(&store, "run", b"1").await.unwrap(), "believed for a minute");
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(cached.differs(&store, "run", b"1").await.unwrap());
        assert!(!cached.differs(&store, "run", b"2").await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_long_been_so_is_read_seldom_and_another_value_at_once() {
        let store = MemoryStore::new();
        let cached = CachedObject::new(Duration::from_secs(1), Duration::from_secs(15));
        // Asked ten times a second for ten minutes.
        let (mut reads, mut last) = (0, None);
        for _ in 0..6000 {
            store.put("run", Bytes::from_static(b"1")).await.unwrap();
            assert!(!cached.differs(&store, "run", b"1").await.unwrap());
            let at = cached.seen().iter().next().map(|(_, seen)| seen.at);
            reads += u32::from(at != last);
            last = at;
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!((30..80).contains(&reads), "{reads}");
        store.put("run", Bytes::from_static(b"2")).await.unwrap();
        assert!(!cached.differs(&store, "run", b"2").await.unwrap(), "who asks for another looks");
        assert!(cached.differs(&store, "run", b"1").await.unwrap());
        store.put("run", Bytes::from_static(b"3")).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(cached.differs(&store, "run", b"2").await.unwrap(), "it has been so for no time");
    }
}
