//! A store that waits for the one behind it.

use crate::{Condition, ObjectMeta, ObjectStore, StoreError, StoreErrorKind, Version};
use async_trait::async_trait;
use bytes::Bytes;
use std::future::Future;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A store whose passing troubles are waited out: what was asked is asked again, with growing pauses that differ from
/// caller to caller, until it works or `patience` is over. It is said once when the store goes, and once when it is back.
pub struct PatientStore {
    inner: Arc<dyn ObjectStore>,
    patience: Duration,
    away: AtomicBool,
}

impl PatientStore {
    /// `inner`, waited for as long as `patience`.
    pub fn new(inner: Arc<dyn ObjectStore>, patience: Duration) -> Self {
        Self { inner, patience, away: AtomicBool::new(false) }
    }

    async fn wait<T, F>(&self, ask: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match ask().await {
                Err(error)
                    if error.kind == StoreErrorKind::Unavailable && started.elapsed() < self.patience =>
                {
                    if !self.away.swap(true, Ordering::Relaxed) {
                        tracing::warn!("{error}; trying again until the store is back");
                    }
                    // Everyone who waits would come back at the same moment otherwise.
                    tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                result => {
                    if result.is_ok() && self.away.swap(false, Ordering::Relaxed) {
                        tracing::warn!("{} is back", self.inner.name());
                    }
                    return result;
                }
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for PatientStore {
    fn name(&self) -> String {
        self.inner.name()
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.wait(|| self.inner.put(key, value.clone())).await
    }

    async fn put_if(&self, key: &str, value: Bytes, condition: &Condition) -> Result<Version, StoreError> {
        self.wait(|| self.inner.put_if(key, value.clone(), condition)).await
    }

    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        self.wait(|| self.inner.put_file(key, path)).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.wait(|| self.inner.get(key)).await
    }

    async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError> {
        self.wait(|| self.inner.get_versioned(key)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.wait(|| self.inner.get_range(key, range.clone())).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        self.wait(|| self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.wait(|| self.inner.list(prefix)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.wait(|| self.inner.delete(key)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderStore;
    use std::sync::atomic::AtomicU32;

    /// Fails every request but each third.
    struct Flaky(FolderStore, AtomicU32);

    impl Flaky {
        fn fails(&self) -> Result<(), StoreError> {
            if self.1.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
                return Ok(());
            }
            let (key, store, reason) = ("k".into(), self.name(), "503".into());
            Err(StoreError { kind: StoreErrorKind::Unavailable, doing: "reach", key, store, reason })
        }
    }

    #[async_trait]
    impl ObjectStore for Flaky {
        fn name(&self) -> String {
            "flaky".into()
        }
        async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
            self.fails()?;
            self.0.put(key, value).await
        }
        async fn put_if(
            &self,
            key: &str,
            value: Bytes,
            condition: &Condition,
        ) -> Result<Version, StoreError> {
            self.fails()?;
            self.0.put_if(key, value, condition).await
        }
        async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
            self.fails()?;
            self.0.put_file(key, path).await
        }
        async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
            self.fails()?;
            self.0.get(key).await
        }
        async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError> {
            self.fails()?;
            self.0.get_versioned(key).await
        }
        async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
            self.fails()?;
            self.0.get_range(key, range).await
        }
        async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
            self.fails()?;
            self.0.head(key).await
        }
        async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
            self.fails()?;
            self.0.list(prefix).await
        }
        async fn delete(&self, key: &str) -> Result<(), StoreError> {
            self.fails()?;
            self.0.delete(key).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_failures_in_three_are_waited_out() {
        let folder = tempfile::tempdir().unwrap();
        let flaky = Flaky(FolderStore::open(folder.path()).unwrap(), AtomicU32::new(0));
        let store = PatientStore::new(Arc::new(flaky), Duration::from_hours(1));
        crate::contract::store(&store).await;
    }

    #[tokio::test]
    async fn patience_ends() {
        let folder = tempfile::tempdir().unwrap();
        let flaky = Flaky(FolderStore::open(folder.path()).unwrap(), AtomicU32::new(0));
        let store = PatientStore::new(Arc::new(flaky), Duration::ZERO);
        assert_eq!(store.get("k").await.unwrap_err().kind, StoreErrorKind::Unavailable);
    }
}
