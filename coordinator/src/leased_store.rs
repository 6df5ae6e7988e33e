//! A store that takes writes only from the run that counts.

use crate::run_lease::stopped;
use async_trait::async_trait;
use bytes::Bytes;
use marquetry_job::{RunId, key};
use marquetry_transport::{
    Condition, Content, ObjectMeta, ObjectStore, Pages, Seen, StoreError, StoreErrorKind, Version,
};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often a write is begun that finds something newer each time, or is said to.
pub(crate) const CONFLICTS_MAX: u32 = 9;

/// Writes an object over what is there, and over nothing newer. `check` is asked after each look at what is there: whoever has the job
/// after that writes after the look.
pub(crate) async fn write_over<F>(
    store: &dyn ObjectStore,
    key: &str,
    content: &Content,
    check: impl Fn() -> F + Send + Sync,
) -> Result<(), StoreError>
where
    F: Future<Output = Result<(), StoreError>> + Send,
{
    let mut conflicts = 0;
    loop {
        let seen = store.look(key).await?;
        check().await?;
        match store.put_over(key, content, &seen).await {
            // An earlier try of ours, or somebody else: the check tells.
            Err(error) if error.kind == StoreErrorKind::Conflict && conflicts < CONFLICTS_MAX => {
                conflicts += 1;
                after_conflict(conflicts).await;
            }
            written => return written,
        }
    }
}

/// Waits before what met its so manieth conflict is tried again: the first time there is mostly something to be seen, and later ones may be what
/// stores say of what others are writing at the moment.
pub(crate) async fn after_conflict(number: u32) {
    if number > 1 {
        tokio::time::sleep(Duration::from_millis(10 << number.min(CONFLICTS_MAX))).await;
    }
}

/// A store wrapper that looks, before each write and deletion, whether its run still has the job, and refuses
/// ([`StoreErrorKind::Conflict`]) when it has not. What was written since that look is not written over, however long the write is
/// on its way. For few and large objects: each look is a request of its own.
pub(crate) struct LeasedStore {
    inner: Arc<dyn ObjectStore>,
    name: watch::Receiver<RunId>,
}

impl LeasedStore {
    /// `inner` for the run that is called `name` at the moment.
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, name: watch::Receiver<RunId>) -> Self {
        Self { inner, name }
    }

    async fn check(&self, doing: &'static str, key: &str) -> Result<(), StoreError> {
        let run = self.name.borrow().clone();
        let Some(stopped) = stopped(&*self.inner, &run).await? else { return Ok(()) };
        let reason = format!("{stopped} ({})", key::run(&run.job));
        Err(StoreError::new(StoreErrorKind::Conflict, doing, key, self.inner.name(), reason))
    }

    async fn write(&self, key: &str, content: Content) -> Result<(), StoreError> {
        write_over(&*self.inner, key, &content, || self.check("write", key)).await?;
        self.tell_if_lost_meanwhile(key).await
    }

    /// Where another run wrote the very bytes that were seen here, in between, what came after it stands there: that is not to be silent.
    async fn tell_if_lost_meanwhile(&self, key: &str) -> Result<(), StoreError> {
        let run = self.name.borrow().clone();
        if let Some(stopped) = stopped(&*self.inner, &run).await? {
            tracing::warn!(
                "{stopped}, while `{key}` was being written: if this is not what that one has written, its command writes it again"
            );
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for LeasedStore {
    fn name(&self) -> String {
        self.inner.name()
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.write(key, Content::Bytes(value)).await
    }

    async fn put_if(&self, key: &str, value: Bytes, condition: &Condition) -> Result<Version, StoreError> {
        self.check("write", key).await?;
        self.inner.put_if(key, value, condition).await
    }

    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        self.write(key, Content::File(path.to_path_buf())).await
    }

    async fn look(&self, key: &str) -> Result<Seen, StoreError> {
        self.inner.look(key).await
    }

    async fn put_over(&self, key: &str, content: &Content, seen: &Seen) -> Result<(), StoreError> {
        self.check("write", key).await?;
        self.inner.put_over(key, content, seen).await
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
        self.inner.pages(prefix)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.check("delete", key).await?;
        self.inner.delete(key).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        let Some(first) = keys.first() else { return Ok(()) };
        self.check("delete", first).await?;
        self.inner.delete_many(keys).await
    }
}
