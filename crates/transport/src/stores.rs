//! Stores by their URI.

use crate::s3::S3;
#[cfg(feature = "s3")]
use crate::s3::S3Store;
use crate::uri::Location;
use crate::{FolderStore, MeteredStore, ObjectStore, StoreError, StoreErrorKind, WriteBehindStore};
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
    trusted: Trusted,
    /// The folders that are written behind, where they are.
    behind: Option<Arc<Mutex<Vec<WriteBehindStore>>>>,
    open: Arc<Mutex<HashMap<String, Arc<dyn ObjectStore>>>>,
}

/// Which stores are opened.
#[derive(Debug, Clone)]
enum Trusted {
    /// Any; folders are made.
    Any,
    /// Any that is there: others name them, and no folder is made for a name.
    Existing,
    /// Those at these places and below.
    Below(Arc<[Location]>),
}

impl Stores {
    /// No store opened yet; those in buckets will be reached through `s3`.
    pub fn new(s3: S3, metrics: Metrics) -> Self {
        Self { s3, metrics, trusted: Trusted::Any, behind: None, open: Arc::default() }
    }

    /// The same, for whoever is told by others which stores to open: those at one of these `places` and below. Without
    /// places, all that are there.
    ///
    /// # Errors
    /// When a place is none.
    pub fn trusting(self, places: &[String]) -> Result<Self, StoreError> {
        let places: Vec<Location> = places.iter().map(|place| location(place)).collect::<Result<_, _>>()?;
        let trusted = if places.is_empty() { Trusted::Existing } else { Trusted::Below(places.into()) };
        Ok(Self { trusted, open: Arc::default(), ..self })
    }

    /// The same, for a process that has its folders for itself: small objects wait in memory for a moment, and reach the disk
    /// together ([`WriteBehindStore`]). Whoever ends must [`settle`](Self::settle).
    #[must_use]
    pub fn writing_behind(self) -> Self {
        Self { behind: Some(Arc::default()), open: Arc::default(), ..self }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// When a folder does not take it.
    pub async fn settle(&self) -> Result<(), StoreError> {
        let Some(behind) = &self.behind else { return Ok(()) };
        let folders = behind.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for folder in folders {
            folder.settle().await?;
        }
        Ok(())
    }

    /// Why `uri` is not opened, if it is not one of those that are trusted.
    ///
    /// # Errors
    /// The reason.
    pub fn trusts(&self, uri: &str) -> Result<(), String> {
        let Trusted::Below(places) = &self.trusted else { return Ok(()) };
        let found = Location::parse(uri)?;
        if places.iter().any(|place| place.holds(&found)) {
            return Ok(());
        }
        Err(format!("{uri} lies below no store that this process was started for (--store)"))
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
        let refused = |kind, reason: String| StoreError::new(kind, "open", "", uri, reason);
        self.trusts(uri).map_err(|reason| refused(StoreErrorKind::Refused, reason))?;
        let store: Arc<dyn ObjectStore> = match location(uri)? {
            Location::Local(folder) if matches!(self.trusted, Trusted::Existing) && !folder.is_dir() => {
                let reason = "there is no such folder on this machine; mount it, or name it with --store, and it is made";
                return Err(refused(StoreErrorKind::NoStore, reason.to_owned()));
            }
            Location::Local(folder) => self.folder(FolderStore::open(&folder)?),
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

    fn folder(&self, folder: FolderStore) -> Arc<dyn ObjectStore> {
        let Some(behind) = &self.behind else { return self.metered(folder) };
        let folder = WriteBehindStore::new(folder);
        behind.lock().unwrap_or_else(PoisonError::into_inner).push(folder.clone());
        self.metered(folder)
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

    #[test]
    fn what_others_name_is_opened_only_where_it_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let stores = || Stores::new(S3::new(S3Options::default()), Metrics::new());
        let existing = stores().trusting(&[]).unwrap();
        assert!(existing.open(&path("")).is_ok());
        let error = existing.open(&path("evil/deep")).err().unwrap();
        assert!(error.kind == StoreErrorKind::NoStore && !folder.path().join("evil").exists(), "{error}");

        let some = stores().trusting(&[path("jobs"), "s3://data/jobs/".to_owned()]).unwrap();
        assert!(some.open(&path("jobs")).is_ok() && some.open(&path("jobs/a/b")).is_ok());
        for foreign in [path("jobs2"), path(""), path("jobs/../evil"), "jobs".to_owned()] {
            let error = some.open(&foreign).err().unwrap();
            assert!(error.to_string().contains("--store"), "{error}");
        }
        assert!(!folder.path().join("evil").exists());
        for (uri, trusted) in [
            ("s3://data/jobs", true),
            ("s3://data/jobs/a", true),
            ("s3://data/jobs2", false),
            ("s3://data", false),
            ("s3://data/jobs/../x", false),
            ("s3://other/jobs", false),
        ] {
            assert_eq!(some.trusts(uri).is_ok(), trusted, "{uri}");
        }
    }
}
