//! A store of tests that is away now and then.

use crate::store::failed_pages;
use crate::{
    Condition, Content, MemoryStore, ObjectMeta, ObjectStore, Pages, Seen, StoreError, StoreErrorKind,
    Version,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A memory that is away for some requests, and breaks lists off.
pub(crate) struct FlakyStore {
    inner: MemoryStore,
    requests: AtomicUsize,
    /// One request of so many works.
    works_each: usize,
    /// Pages of the next list before it breaks off, and by how many they grow with each list; without it none does.
    pages: Option<(AtomicUsize, usize)>,
}

impl FlakyStore {
    /// Fails every request but each third.
    pub(crate) const fn two_in_three(inner: MemoryStore) -> Self {
        Self { inner, requests: AtomicUsize::new(0), works_each: 3, pages: None }
    }

    /// Breaks off the first list after its first page, and each further one after so many pages more.
    pub(crate) const fn that_breaks_off(inner: MemoryStore, grows: usize) -> Self {
        let pages = Some((AtomicUsize::new(1), grows));
        Self { inner, requests: AtomicUsize::new(0), works_each: 1, pages }
    }

    fn away(&self) -> StoreError {
        StoreError::new(StoreErrorKind::Unavailable, "reach", "k", self.name(), "503")
    }

    fn ask(&self) -> Result<(), StoreError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if number.is_multiple_of(self.works_each) { Ok(()) } else { Err(self.away()) }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for FlakyStore {
    fn name(&self) -> String {
        "flaky".into()
    }
    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.ask()?;
        self.inner.put(key, value).await
    }
    async fn put_if(&self, key: &str, value: Bytes, condition: &Condition) -> Result<Version, StoreError> {
        self.ask()?;
        self.inner.put_if(key, value, condition).await
    }
    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        self.ask()?;
        self.inner.put_file(key, path).await
    }
    async fn look(&self, key: &str) -> Result<Seen, StoreError> {
        self.ask()?;
        self.inner.look(key).await
    }
    async fn put_over(&self, key: &str, content: &Content, seen: &Seen) -> Result<(), StoreError> {
        self.ask()?;
        self.inner.put_over(key, content, seen).await
    }
    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.ask()?;
        self.inner.get(key).await
    }
    async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError> {
        self.ask()?;
        self.inner.get_versioned(key).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.ask()?;
        self.inner.get_range(key, range).await
    }
    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        self.ask()?;
        self.inner.head(key).await
    }
    fn pages<'a>(&'a self, prefix: &'a str) -> Pages<'a> {
        if let Err(error) = self.ask() {
            return failed_pages(error);
        }
        let pages = self.inner.pages(prefix);
        let Some((before, grows)) = &self.pages else { return pages };
        let before = before.fetch_add(*grows, Ordering::Relaxed);
        pages.enumerate().map(move |(at, page)| if at < before { page } else { Err(self.away()) }).boxed()
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.ask()?;
        self.inner.list(prefix).await
    }
    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.ask()?;
        self.inner.delete(key).await
    }
    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        self.ask()?;
        self.inner.delete_many(keys).await
    }
}
