//! Objects in memory.

use async_trait::async_trait;
use bytes::Bytes;
use marquetry_transport::{ObjectMeta, ObjectStore, StoreError, StoreErrorKind};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What this store calls itself.
pub(crate) const NAME: &str = "memory";

/// A store that forgets everything with its process.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    objects: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryStore {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &str) -> Result<Bytes, StoreError> {
        self.objects().get(key).cloned().ok_or_else(|| error(StoreErrorKind::NotFound, "read", key))
    }
}

/// A store's error, of which only the kind matters.
pub(crate) fn error(kind: StoreErrorKind, doing: &'static str, key: &str) -> StoreError {
    StoreError { kind, doing, key: key.to_owned(), store: NAME.to_owned(), reason: format!("{kind:?}") }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.objects().insert(key.to_owned(), value);
        Ok(())
    }

    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        let bytes = std::fs::read(path).map_err(|_| error(StoreErrorKind::Unavailable, "write", key))?;
        self.put(key, bytes.into()).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.find(key)
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let whole = self.find(key)?;
        if range.end > whole.len() as u64 {
            return Err(error(StoreErrorKind::TooShort, "read", key));
        }
        Ok(whole.slice(range.start as usize..range.end as usize))
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        let size_bytes = self.find(key)?.len() as u64;
        Ok(ObjectMeta { key: key.to_owned(), size_bytes })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let objects = self.objects();
        let found = objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(found
            .map(|(key, value)| ObjectMeta { key: key.clone(), size_bytes: value.len() as u64 })
            .collect())
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.objects().remove(key);
        Ok(())
    }
}
