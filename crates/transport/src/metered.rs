//! A store that counts what is asked of the one behind it.

use crate::{Condition, Content, ObjectMeta, ObjectStore, Pages, Seen, StoreError, StoreErrorKind, Version};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use marquetry_telemetry::{Direction, Metrics, Operation, RequestOutcome};
use std::future::Future;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A store whose requests, their times and their bytes are counted.
pub struct MeteredStore {
    inner: Arc<dyn ObjectStore>,
    metrics: Metrics,
}

impl MeteredStore {
    /// `inner`, counted in `metrics`.
    pub fn new(inner: Arc<dyn ObjectStore>, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }

    async fn count<T>(
        &self,
        operation: Operation,
        request: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let result = request.await;
        self.metrics.store_request_duration.of(operation).observe_duration(started.elapsed());
        let outcome = match &result {
            Ok(_) => RequestOutcome::Ok,
            Err(error) => match error.kind {
                StoreErrorKind::NotFound => RequestOutcome::NotFound,
                StoreErrorKind::Full => RequestOutcome::Full,
                StoreErrorKind::Unavailable => RequestOutcome::Unavailable,
                StoreErrorKind::BadKey
                | StoreErrorKind::Changed
                | StoreErrorKind::Conflict
                | StoreErrorKind::Denied
                | StoreErrorKind::NoStore
                | StoreErrorKind::Refused
                | StoreErrorKind::TooShort => RequestOutcome::Refused,
            },
        };
        self.metrics.store_requests.of((operation, outcome)).increment();
        result
    }

    fn moved(&self, direction: Direction, bytes: u64) {
        self.metrics.store_bytes.of(direction).add(bytes);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for MeteredStore {
    fn name(&self) -> String {
        self.inner.name()
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        let bytes = value.len() as u64;
        self.count(Operation::Put, self.inner.put(key, value)).await?;
        self.moved(Direction::Written, bytes);
        Ok(())
    }

    async fn put_if(&self, key: &str, value: Bytes, condition: &Condition) -> Result<Version, StoreError> {
        let bytes = value.len() as u64;
        let version = self.count(Operation::Put, self.inner.put_if(key, value, condition)).await?;
        self.moved(Direction::Written, bytes);
        Ok(version)
    }

    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        // A file that goes while it is sent is the request's to report.
        let bytes = std::fs::metadata(path).map_or(0, |meta| meta.len());
        self.count(Operation::Put, self.inner.put_file(key, path)).await?;
        self.moved(Direction::Written, bytes);
        Ok(())
    }

    async fn look(&self, key: &str) -> Result<Seen, StoreError> {
        self.count(Operation::Head, self.inner.look(key)).await
    }

    async fn put_over(&self, key: &str, content: &Content, seen: &Seen) -> Result<(), StoreError> {
        // A file that goes while it is sent is the request's to report.
        let bytes = content.size_bytes().unwrap_or(0);
        self.count(Operation::Put, self.inner.put_over(key, content, seen)).await?;
        self.moved(Direction::Written, bytes);
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        let value = self.count(Operation::Get, self.inner.get(key)).await?;
        self.moved(Direction::Read, value.len() as u64);
        Ok(value)
    }

    async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError> {
        let (value, version) = self.count(Operation::Get, self.inner.get_versioned(key)).await?;
        self.moved(Direction::Read, value.len() as u64);
        Ok((value, version))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let value = self.count(Operation::GetRange, self.inner.get_range(key, range)).await?;
        self.moved(Direction::Read, value.len() as u64);
        Ok(value)
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        self.count(Operation::Head, self.inner.head(key)).await
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> Pages<'a> {
        let pages = stream::unfold(self.inner.pages(prefix), move |mut pages| async move {
            let page = self.count(Operation::List, async { pages.next().await.transpose() }).await;
            Some((page.transpose()?, pages))
        });
        pages.boxed()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.count(Operation::List, self.inner.list(prefix)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.count(Operation::Delete, self.inner.delete(key)).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        self.count(Operation::Delete, self.inner.delete_many(keys)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderStore;

    #[tokio::test]
    async fn counts_requests_and_bytes_and_keeps_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let inner: Arc<dyn ObjectStore> = Arc::new(FolderStore::open(folder.path()).unwrap());
        crate::contract::store(&MeteredStore::new(Arc::clone(&inner), metrics.clone())).await;
        let before = metrics.exposition();
        let store = MeteredStore::new(inner, metrics.clone());
        store.put("counted", Bytes::from_static(b"1234567")).await.unwrap();
        store.get("not/there").await.unwrap_err();
        let after = metrics.exposition();
        let value = |text: &str, series: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(series)).expect(series);
            line.trim().parse().expect("a number")
        };
        let grown = |series: &str| value(&after, series) - value(&before, series);
        assert_eq!(grown(r#"marquetry_store_bytes_total{direction="written"}"#), 7.0);
        assert_eq!(grown(r#"marquetry_store_requests_total{operation="put",outcome="ok"}"#), 1.0);
        assert_eq!(grown(r#"marquetry_store_requests_total{operation="get",outcome="not_found"}"#), 1.0);
    }
}
