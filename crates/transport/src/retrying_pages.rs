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
    use crate::flaky_store::FlakyStore;
    use crate::{MemoryStore, StoreErrorKind};
    use bytes::Bytes;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    async fn store(grows: usize, timeout: Duration) -> RetryingStore {
        let inner = MemoryStore::new();
        for i in 0..2500 {
            inner.put(&format!("tiles/{i:04}"), Bytes::new()).await.unwrap();
        }
        RetryingStore::new(Arc::new(FlakyStore::that_breaks_off(inner, grows)), timeout)
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
        // Pauses grow and are shaken: the last one may end well beyond the minute.
        let tried =
            error.reason.strip_prefix("503; tried ").and_then(|said| said.split_once(" times within "));
        let seconds = tried.and_then(|(_, said)| said.strip_suffix(" s")?.parse::<f64>().ok());
        assert!(seconds.is_some_and(|seconds| seconds >= 59.0), "{error}");
        assert!(pages.iter().all(Result::is_ok), "nothing comes after an error");
    }
}
