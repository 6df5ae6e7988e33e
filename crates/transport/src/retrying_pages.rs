//! A list that goes on when its store was away.

use crate::retry::{Tries, growing_pauses};
use crate::{ObjectMeta, ObjectStore, Pages, RetryingStore, StoreError};
use backon::{BackoffBuilder, ExponentialBackoff};
use futures_util::{StreamExt, stream};
use std::time::Duration;

/// The pages of a list, which begins again from the first one when the store goes in between. The time for which it is
/// tried again counts from the last page that had not come before.
pub(crate) struct RetryingPages<'a> {
    begin: Box<dyn Fn() -> Pages<'a> + Send + 'a>,
    pages: Pages<'a>,
    /// Pages since it began for the last time.
    came: usize,
    /// The most of them ever.
    most: usize,
    timeout: Duration,
    tries: Tries,
    pauses: ExponentialBackoff,
}

impl<'a> RetryingPages<'a> {
    pub(crate) fn new(inner: &'a dyn ObjectStore, prefix: &'a str, timeout: Duration) -> Self {
        let begin = Box::new(move || inner.pages(prefix));
        let (tries, pauses) = (Tries::new(timeout), growing_pauses().build());
        Self { pages: begin(), begin, came: 0, most: 0, timeout, tries, pauses }
    }

    /// As a stream; `store` says when the one behind it goes and is back.
    pub(crate) fn stream(self, store: &'a RetryingStore) -> Pages<'a> {
        let next = |mut list: Self| async { Some((list.next(store).await?, list)) };
        stream::unfold(self, next).boxed()
    }

    async fn next(&mut self, store: &RetryingStore) -> Option<Result<Vec<ObjectMeta>, StoreError>> {
        loop {
            let mut error = match self.pages.next().await? {
                Ok(page) => {
                    store.note_answer();
                    self.came += 1;
                    if self.came > self.most {
                        self.most = self.came;
                        (self.tries, self.pauses) = (Tries::new(self.timeout), growing_pauses().build());
                    }
                    return Some(Ok(page));
                }
                Err(error) => error,
            };
            if !self.tries.go_on_after(error.kind) {
                error.reason = self.tries.tell(&error.reason);
                self.pages = stream::empty().boxed();
                return Some(Err(error));
            }
            store.note_failure(&error);
            tokio::time::sleep(self.pauses.next().unwrap_or_default()).await;
            (self.pages, self.came) = ((self.begin)(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, MemoryStore, StoreErrorKind, Version};
    use async_trait::async_trait;
    use bytes::Bytes;
    use std::collections::BTreeSet;
    use std::ops::Range;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Breaks off each list after so many pages, one more each time; nothing else is asked of it.
    struct BreaksOff {
        inner: MemoryStore,
        after: AtomicUsize,
        grows: usize,
    }

    #[async_trait]
    impl ObjectStore for BreaksOff {
        fn name(&self) -> String {
            "breaks off".into()
        }
        async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
            self.inner.put(key, value).await
        }
        async fn put_if(&self, key: &str, value: Bytes, when: &Condition) -> Result<Version, StoreError> {
            self.inner.put_if(key, value, when).await
        }
        async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
            self.inner.put_file(key, path).await
        }
        async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
            self.inner.get(key).await
        }
        async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError> {
            self.inner.get_versioned(key).await
        }
        async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
            self.inner.get_range(key, range).await
        }
        async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
            self.inner.head(key).await
        }
        fn pages<'a>(&'a self, prefix: &'a str) -> Pages<'a> {
            let after = self.after.fetch_add(self.grows, Ordering::Relaxed);
            let pages = self.inner.pages(prefix).enumerate().map(move |(place, page)| {
                let away = || StoreError::new(StoreErrorKind::Unavailable, "list", prefix, "it", "503");
                if place < after { page } else { Err(away()) }
            });
            pages.boxed()
        }
        async fn delete(&self, key: &str) -> Result<(), StoreError> {
            self.inner.delete(key).await
        }
    }

    async fn store(grows: usize, timeout: Duration) -> RetryingStore {
        let inner = MemoryStore::new();
        for i in 0..2500 {
            inner.put(&format!("tiles/{i:04}"), Bytes::new()).await.unwrap();
        }
        RetryingStore::new(Arc::new(BreaksOff { inner, after: AtomicUsize::new(1), grows }), timeout)
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_breaks_off_begins_again_and_misses_nothing() {
        let store = store(1, Duration::from_mins(1)).await;
        let pages: Vec<_> = store.pages("tiles/").collect().await;
        let sizes: Vec<usize> = pages.iter().map(|page| page.as_ref().unwrap().len()).collect();
        assert_eq!(sizes, [1000, 1000, 1000, 1000, 1000, 500], "pages come again");
        let keys: BTreeSet<String> =
            pages.into_iter().flat_map(Result::unwrap).map(|meta| meta.key).collect();
        assert_eq!(keys.len(), 2500);
        assert_eq!(store.list("tiles/").await.unwrap().len(), 2500);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_gets_no_further_ends_with_its_error() {
        let store = store(0, Duration::from_mins(1)).await;
        let mut pages: Vec<_> = store.pages("tiles/").collect().await;
        let error = pages.pop().unwrap().unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unavailable);
        assert!(
            error.reason.starts_with("503; tried ") && error.reason.contains("times within 6"),
            "{error}"
        );
        assert!(pages.iter().all(Result::is_ok), "nothing comes after an error");
    }
}
