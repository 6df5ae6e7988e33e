//! Stores by their URI.

use crate::s3::S3;
#[cfg(feature = "s3")]
use crate::s3::S3Store;
use crate::uri::Location;
use crate::{FolderStore, MeteredStore, ObjectStore, StoreError, StoreErrorKind};
use marquetry_telemetry::Metrics;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// For how long requests to a store that is away are made again: an outage of that length costs time and nothing else.
#[cfg(feature = "s3")]
const RETRY_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(30);

/// Opens stores, each once. Their requests are counted, and those of buckets wait while the service is away.
#[derive(Clone)]
pub struct Stores {
    s3: S3,
    metrics: Metrics,
    open: Arc<Mutex<HashMap<String, Arc<dyn ObjectStore>>>>,
}

impl Stores {
    /// No store opened yet; those in buckets will be reached through `s3`.
    pub fn new(s3: S3, metrics: Metrics) -> Self {
        Self { s3, metrics, open: Arc::default() }
    }

    /// The store that `uri` names: `s3://bucket/prefix`, or a folder, which is made when it is not there. Nothing is
    /// asked of a bucket yet.
    ///
    /// # Errors
    /// When the URI is of another kind, or of one that this build has no client for, or the folder cannot be made.
    pub fn open(&self, uri: &str) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(uri) {
            return Ok(Arc::clone(store));
        }
        let store: Arc<dyn ObjectStore> = match location(uri)? {
            Location::Local(folder) => self.metered(FolderStore::open(&folder)?),
            #[cfg(feature = "s3")]
            Location::S3(place) => {
                let store = S3Store::new(self.s3.clone(), &place);
                Arc::new(crate::RetryingStore::new(self.metered(store), RETRY_TIMEOUT))
            }
            #[cfg(not(feature = "s3"))]
            Location::S3(_) => return Err(self.s3.refuse(uri)),
        };
        open.insert(uri.to_owned(), Arc::clone(&store));
        Ok(store)
    }

    /// As [`open`](Self::open), for someone who would rather hear at once that a bucket cannot be reached.
    ///
    /// # Errors
    /// As there, and when the bucket is away, is not there or may not be looked into.
    #[cfg_attr(
        not(feature = "s3"),
        expect(clippy::unused_async, reason = "a client would wait for an answer")
    )]
    pub async fn open_now(&self, uri: &str) -> Result<Arc<dyn ObjectStore>, StoreError> {
        #[cfg(feature = "s3")]
        if let Location::S3(place) = location(uri)? {
            S3Store::new(self.s3.clone(), &place).check().await?;
        }
        self.open(uri)
    }

    fn metered(&self, store: impl ObjectStore + 'static) -> Arc<dyn ObjectStore> {
        Arc::new(MeteredStore::new(Arc::new(store), self.metrics.clone()))
    }
}

fn location(uri: &str) -> Result<Location, StoreError> {
    Location::parse(uri).map_err(|reason| StoreError::new(StoreErrorKind::BadKey, "open", "", uri, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::S3Options;

    #[test]
    fn folders_are_opened_once_and_other_schemes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::new(S3::new(S3Options::default()), Metrics::new());
        let uri = folder.path().join("a").display().to_string();
        let (one, two) = (stores.open(&uri).unwrap(), stores.open(&uri).unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        let error = stores.open("gs://bucket/x").err().unwrap();
        assert!(error.to_string().contains("`gs://`"), "{error}");
    }
}
