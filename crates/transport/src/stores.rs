//! Stores by their URI.

use crate::s3::{S3, S3Store};
use crate::uri::Location;
use crate::{FolderStore, MeteredStore, ObjectStore, PatientStore, StoreError, StoreErrorKind};
use marquetry_telemetry::Metrics;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a store that is away is waited for: an outage of that length costs time and nothing else.
const PATIENCE: Duration = Duration::from_mins(30);

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

    /// The store that `uri` names: `s3://bucket/prefix`, or a folder, which is made when it is not there.
    ///
    /// # Errors
    /// When the URI is of another kind, the folder cannot be made, or the bucket is not there or may not be looked into.
    pub async fn open(&self, uri: &str) -> Result<Arc<dyn ObjectStore>, StoreError> {
        // Others wait, so that nobody opens a store twice; they would need it opened anyway.
        let mut open = self.open.lock().await;
        if let Some(store) = open.get(uri) {
            return Ok(Arc::clone(store));
        }
        let place = Location::parse(uri).map_err(|reason| StoreError {
            kind: StoreErrorKind::BadKey,
            doing: "open",
            key: "anything".to_owned(),
            store: uri.to_owned(),
            reason,
        })?;
        let store: Arc<dyn ObjectStore> = match place {
            Location::Local(folder) => self.metered(FolderStore::open(&folder)?),
            Location::S3(place) => {
                let store = S3Store::new(self.s3.clone(), &place);
                store.check().await?;
                Arc::new(PatientStore::new(self.metered(store), PATIENCE))
            }
        };
        open.insert(uri.to_owned(), Arc::clone(&store));
        Ok(store)
    }

    fn metered(&self, store: impl ObjectStore + 'static) -> Arc<dyn ObjectStore> {
        Arc::new(MeteredStore::new(Arc::new(store), self.metrics.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::S3Options;

    #[tokio::test]
    async fn folders_are_opened_once_and_other_schemes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::new(S3::new(S3Options::default()), Metrics::new());
        let uri = folder.path().join("a").display().to_string();
        let (one, two) = (stores.open(&uri).await.unwrap(), stores.open(&uri).await.unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        let error = stores.open("gs://bucket/x").await.err().unwrap();
        assert!(error.to_string().contains("`gs://`"), "{error}");
    }
}
