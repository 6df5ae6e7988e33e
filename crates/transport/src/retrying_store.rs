//! A store that waits for the one behind it.

use crate::retry::{Tries, growing_pauses};
use crate::retrying_pages::RetryingPages;
use crate::{Condition, Content, ObjectMeta, ObjectStore, Pages, Seen, StoreError, Version};
use async_trait::async_trait;
use backon::Retryable;
use bytes::Bytes;
use std::future::Future;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A store whose requests are made again while it is away ([`StoreErrorKind::Unavailable`](crate::StoreErrorKind)), with
/// growing pauses that differ from caller to caller, until they work or the time is over. It is said once when the
/// store goes and once when it is back; an error at the end says how often and how long it was tried.
pub struct RetryingStore {
    inner: Arc<dyn ObjectStore>,
    retry_timeout: Duration,
    is_away: AtomicBool,
}

impl RetryingStore {
    /// `inner`, whose requests may be made again for as long as `retry_timeout`.
    pub fn new(inner: Arc<dyn ObjectStore>, retry_timeout: Duration) -> Self {
        Self { inner, retry_timeout, is_away: AtomicBool::new(false) }
    }

    pub(crate) fn note_failure(&self, error: &StoreError) {
        if !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::warn!("{error}; trying again until the store is back");
        }
    }

    pub(crate) fn note_answer(&self) {
        if self.is_away.swap(false, Ordering::Relaxed) {
            tracing::warn!("{} is back", self.inner.name());
        }
    }

    async fn retry<T, F>(&self, request: impl FnMut() -> F + Send) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let mut tries = Tries::new(self.retry_timeout);
        let result = request
            .retry(growing_pauses())
            .when(|error: &StoreError| tries.go_on_after(error.kind))
            .notify(|error, _| self.note_failure(error))
            .await;
        match result {
            Ok(answer) => {
                self.note_answer();
                Ok(answer)
            }
            Err(mut error) => {
                error.reason = tries.tell(&error.reason);
                Err(error)
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for RetryingStore {
    fn name(&self) -> String {
        self.inner.name()
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.retry(|| self.inner.put(key, value.clone())).await
    }

    async fn put_if(&self, key: &str, value: Bytes, condition: &Condition) -> Result<Version, StoreError> {
        self.retry(|| self.inner.put_if(key, value.clone(), condition)).await
    }

    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        self.retry(|| self.inner.put_file(key, path)).await
    }

    async fn look(&self, key: &str) -> Result<Seen, StoreError> {
        self.retry(|| self.inner.look(key)).await
    }

    async fn put_over(&self, key: &str, content: &Content, seen: &Seen) -> Result<(), StoreError> {
        self.retry(|| self.inner.put_over(key, content, seen)).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.retry(|| self.inner.get(key)).await
    }

    async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError> {
        self.retry(|| self.inner.get_versioned(key)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.retry(|| self.inner.get_range(key, range.clone())).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        self.retry(|| self.inner.head(key)).await
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> Pages<'a> {
        RetryingPages::new(&*self.inner, prefix, self.retry_timeout).stream(self)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.retry(|| self.inner.list(prefix)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.retry(|| self.inner.delete(key)).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        self.retry(|| self.inner.delete_many(keys)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flaky_store::FlakyStore;
    use crate::{MemoryStore, StoreErrorKind};
    use std::sync::atomic::AtomicU32;

    fn flaky() -> Arc<FlakyStore> {
        Arc::new(FlakyStore::two_in_three(MemoryStore::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn two_failures_in_three_are_waited_out() {
        let store = RetryingStore::new(flaky(), Duration::from_hours(1));
        crate::contract::store(&store).await;
    }

    #[tokio::test]
    async fn without_time_nothing_is_tried_again() {
        let store = RetryingStore::new(flaky(), Duration::ZERO);
        let error = store.get("k").await.unwrap_err();
        assert_eq!((error.kind, error.reason.as_str()), (StoreErrorKind::Unavailable, "503"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_says_how_often_and_how_long_it_was_tried() {
        let store = RetryingStore::new(flaky(), Duration::from_mins(1));
        let tried = AtomicU32::new(0);
        let never = || {
            tried.fetch_add(1, Ordering::Relaxed);
            let error = StoreError::new(StoreErrorKind::Unavailable, "read", "k", "away", "503");
            std::future::ready(Err::<Bytes, _>(error))
        };
        let error = store.retry(never).await.unwrap_err();
        let (tried, reason) = (tried.into_inner(), error.reason);
        assert!(tried > 5, "{tried} tries in a minute");
        let seconds = reason.strip_prefix(&format!("503; tried {tried} times within ")).expect(&reason);
        let seconds: u64 = seconds.strip_suffix(" s").and_then(|s| s.parse().ok()).expect(&reason);
        assert!((60..=80).contains(&seconds), "{reason}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_fail_again_is_not_tried_again() {
        let store = RetryingStore::new(Arc::new(MemoryStore::new()), Duration::from_mins(1));
        let started = tokio::time::Instant::now();
        assert_eq!(store.get("none").await.unwrap_err().kind, StoreErrorKind::NotFound);
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
