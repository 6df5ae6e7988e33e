//! The store of a single process.

use crate::error::RequestError;
use crate::store::{failed_pages, is_safe_key};
use crate::{Condition, Content, ObjectMeta, ObjectStore, Pages, Seen, StoreError, StoreErrorKind, Version};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Objects on a page of a list.
const PAGE: usize = 1000;

/// A store in memory; lost with its last clone. Clones are the same store.
///
/// It answers at once, on the thread that asks, and knows neither clocks nor files, so that a test can run a whole
/// cluster in one process under paused time. It is as strict as a folder: no key may be a prefix, at a `/`, of another.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    objects: Arc<Mutex<BTreeMap<String, Bytes>>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        // No code that can panic runs under this lock, so a poisoned one still holds a sound state.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, kind: StoreErrorKind, doing: &'static str, key: &str, reason: &str) -> StoreError {
        RequestError::new(kind, reason).in_store(doing, key, self.name())
    }

    fn check(&self, doing: &'static str, key: &str) -> Result<(), StoreError> {
        if is_safe_key(key) {
            return Ok(());
        }
        Err(self.error(StoreErrorKind::BadKey, doing, key, "the key has parts that not every store can hold"))
    }

    fn read_file(&self, key: &str, path: &Path) -> Result<Bytes, StoreError> {
        let read = std::fs::read(path).map(Bytes::from);
        read.map_err(|error| RequestError::disk(error).in_store("write", key, self.name()))
    }

    fn found(&self, key: &str) -> Result<Bytes, StoreError> {
        self.check("read", key)?;
        let found = self.objects().get(key).cloned();
        found.ok_or_else(|| self.error(StoreErrorKind::NotFound, "read", key, "there is no such object"))
    }

    /// Writes an object, unless `violation` finds fault with what is there.
    fn write(
        &self,
        key: &str,
        value: Bytes,
        violation: impl FnOnce(Option<&Bytes>) -> Option<&'static str>,
    ) -> Result<Version, StoreError> {
        self.check("write", key)?;
        let mut objects = self.objects();
        if let Some(other) = in_the_way(&objects, key) {
            let reason = format!("one of it and `{other}` would have to be both an object and a folder");
            return Err(self.error(StoreErrorKind::BadKey, "write", key, &reason));
        }
        if let Some(violation) = violation(objects.get(key)) {
            return Err(self.error(StoreErrorKind::Conflict, "write", key, violation));
        }
        let version = Version::of_content(&value);
        objects.insert(key.to_owned(), value);
        Ok(version)
    }
}

/// A key that cannot be there together with `key`: one above it, or one below it.
fn in_the_way(objects: &BTreeMap<String, Bytes>, key: &str) -> Option<String> {
    let above = key.match_indices('/').map(|(at, _)| &key[..at]).find(|above| objects.contains_key(*above));
    above.map(str::to_owned).or_else(|| below(objects, &format!("{key}/")).next().map(|(key, _)| key.clone()))
}

/// The objects whose keys start with `prefix`, ascending.
fn below<'a>(
    objects: &'a BTreeMap<String, Bytes>,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a String, &'a Bytes)> {
    objects
        .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(move |(key, _)| key.starts_with(prefix))
}

#[async_trait]
impl ObjectStore for MemoryStore {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.write(key, value, |_| None).map(|_| ())
    }

    async fn put_if(&self, key: &str, value: Bytes, condition: &Condition) -> Result<Version, StoreError> {
        self.write(key, value, |found| {
            let found = found.map(|found| Version::of_content(found));
            (!condition.holds(found.as_ref())).then_some(condition.violation())
        })
    }

    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        let value = self.read_file(key, path)?;
        self.write(key, value, |_| None).map(|_| ())
    }

    async fn put_over(&self, key: &str, content: &Content, seen: &Seen) -> Result<(), StoreError> {
        let value = match content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::File(path) => self.read_file(key, path)?,
        };
        let written = self.write(key, value, |found| {
            let found = found.map(|found| meta(key, found));
            (!seen.still(found.as_ref())).then_some(Seen::VIOLATION)
        });
        written.map(|_| ())
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.found(key)
    }

    async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError> {
        let value = self.found(key)?;
        let version = Version::of_content(&value);
        Ok((value, version))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let value = self.found(key)?;
        if range.start <= range.end && range.end <= value.len() as u64 {
            return Ok(value.slice(range.start as usize..range.end as usize));
        }
        let reason = format!("bytes {}..{} of an object of {} bytes", range.start, range.end, value.len());
        Err(self.error(StoreErrorKind::TooShort, "read", key, &reason))
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        Ok(meta(key, &self.found(key)?))
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> Pages<'a> {
        if !prefix.is_empty()
            && let Err(error) = self.check("list", prefix.trim_end_matches('/'))
        {
            return failed_pages(error);
        }
        let found: Vec<ObjectMeta> =
            below(&self.objects(), prefix).map(|(key, value)| meta(key, value)).collect();
        let pages: Vec<_> = found.chunks(PAGE).map(|page| Ok(page.to_vec())).collect();
        stream::iter(pages).boxed()
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.check("delete", key)?;
        self.objects().remove(key);
        Ok(())
    }
}

fn meta(key: &str, value: &Bytes) -> ObjectMeta {
    let stamp = Some(Version::of_content(value).as_str().to_owned());
    ObjectMeta { key: key.to_owned(), size_bytes: value.len() as u64, stamp }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keeps_the_contract() {
        crate::contract::store(&MemoryStore::new()).await;
        crate::contract::store_of_many_objects(&MemoryStore::new()).await;
    }

    #[tokio::test]
    async fn clones_are_the_same_store_and_others_are_not() {
        let store = MemoryStore::new();
        store.clone().put("a/b", Bytes::from_static(b"1")).await.unwrap();
        assert_eq!(store.get("a/b").await.unwrap(), "1");
        assert!(MemoryStore::new().list("").await.unwrap().is_empty());
        let error = store.put("a", Bytes::new()).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::BadKey, "{error}");
    }
}
