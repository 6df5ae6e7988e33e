//! Everything that is read by its URI: images, models, lists, job files.

mod blocking;
mod disk_cache;
mod fetch;
mod identity;
mod remote_file;
mod stat;
mod walk;

#[cfg(test)]
mod tests;

pub use disk_cache::{CacheOptions, LocalFile};
pub use identity::FileStamp;
pub use remote_file::RemoteFile;
pub use stat::{FileStat, Listed};

use crate::error::RequestError;
use crate::s3::S3;
use crate::uri::{Location, S3Uri};
use crate::{FileError, StoreErrorKind};
use blocking::Blocking;
use bytes::Bytes;
use disk_cache::DiskCache;
use fetch::Fetcher;
use marquetry_telemetry::Metrics;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// Reads local paths and `s3://bucket/key` alike. Cheap to clone. Every method blocks: call it where waiting is allowed.
///
/// What is fetched whole is kept on disk by the hash of its content.
#[derive(Debug, Clone)]
pub struct Files {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Nothing where only files of this machine are read.
    fetcher: Option<Fetcher>,
    fetched: Arc<AtomicU64>,
}

impl Files {
    /// Reads objects through `s3`, whose requests run on `runtime`, which needs threads of its own. While a service is
    /// away, requests are made again for as long as `retry_timeout`. `metrics` counts what the cache is good for.
    pub fn new(
        s3: S3,
        cache: CacheOptions,
        runtime: Handle,
        retry_timeout: Duration,
        metrics: Metrics,
    ) -> Self {
        let blocking = Blocking::new(runtime, retry_timeout);
        let fetcher = Fetcher::new(s3, blocking, DiskCache::new(cache), metrics);
        Self { shared: Arc::new(Shared { fetcher: Some(fetcher), fetched: Arc::default() }) }
    }

    /// Reads paths of this machine and nothing else.
    pub fn local_only() -> Self {
        Self { shared: Arc::new(Shared { fetcher: None, fetched: Arc::default() }) }
    }

    /// Bytes of objects that were asked for so far. For tests of other crates, which show by it how little is fetched.
    #[doc(hidden)]
    pub fn fetched_bytes(&self) -> u64 {
        self.shared.fetched.load(Ordering::Relaxed)
    }

    /// Whether copies can be kept: writes to the cache folder, reads it back and removes it.
    ///
    /// # Errors
    /// When the folder cannot be made, has no room, or does not give back what was written.
    pub fn test_cache(&self) -> Result<(), FileError> {
        self.shared.fetcher.as_ref().map_or(Ok(()), Fetcher::test)
    }

    /// Length and version of a file.
    ///
    /// # Errors
    /// When there is none, or it cannot be looked at.
    pub fn stat(&self, uri: &str) -> Result<FileStat, FileError> {
        let (fetcher, place) = match self.source("read", uri)? {
            Source::Local(path) => {
                let meta = std::fs::metadata(path).map_err(|e| FileError::of_disk("read", uri, e))?;
                if meta.is_dir() {
                    return Err(FileError::of_disk("read", uri, io::ErrorKind::IsADirectory.into()));
                }
                return Ok(FileStat::of_file(&meta));
            }
            Source::S3(fetcher, place) => (fetcher, place),
        };
        let request = || {
            let (s3, place) = (fetcher.s3.clone(), place.clone());
            fetcher.blocking.wait(async move {
                match s3.head(&place).await {
                    // Only a request for bytes is told why.
                    Err(error) if error.kind == StoreErrorKind::NotFound => {
                        let why = s3.fetch(&place, 0..1, None).await.err();
                        Err(why.filter(|why| why.kind != StoreErrorKind::Unavailable).unwrap_or(error))
                    }
                    other => other,
                }
            })
        };
        let facts = fetcher.blocking.retry(request).map_err(|error| error.of_file("read", uri))?;
        Ok(FileStat::of_object(facts))
    }

    /// Whether there is a folder of this machine at `uri`, or objects lie below it.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn is_folder(&self, uri: &str) -> Result<bool, FileError> {
        match self.source("list", uri)? {
            Source::Local(path) => Ok(path.is_dir()),
            Source::S3(..) => Ok(!self.list(uri)?.is_empty()),
        }
    }

    /// All files below a folder, in ascending order. Those whose name, or folder's name, begins with a dot are left out.
    ///
    /// # Errors
    /// When the folder cannot be listed. A prefix below which no object lies is an empty folder.
    pub fn list(&self, folder: &str) -> Result<Vec<Listed>, FileError> {
        let (fetcher, mut place) = match self.source("list", folder)? {
            Source::Local(path) => return walk::list_folder(&path),
            Source::S3(fetcher, place) => (fetcher, place),
        };
        if !place.key.is_empty() && !place.key.ends_with('/') {
            place.key.push('/');
        }
        let (s3, below) = (fetcher.s3.clone(), place.key.clone());
        let work = async move { s3.list(&place).await };
        let found = fetcher.blocking.wait(work).map_err(|error| error.of_file("list", folder))?;
        let listed = found.into_iter().filter_map(|(key, facts)| {
            let relative = key.strip_prefix(&below)?;
            // Some programs mark folders by an object whose key ends in a slash.
            let shown = !relative.split('/').any(|part| part.starts_with('.') || part.is_empty());
            shown.then(|| Listed { relative: relative.to_owned(), stat: Some(FileStat::of_object(facts)) })
        });
        Ok(listed.collect())
    }

    /// The names of the files whose URI begins with `prefix`, in the folder that this leads to and in none below it.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>, FileError> {
        let (folder, start) = prefix.rsplit_once('/').map_or(("", prefix), |(folder, start)| (folder, start));
        match self.source("list", prefix)? {
            Source::Local(_) => {
                let folder = match (folder, prefix.starts_with('/')) {
                    ("", true) => "/",
                    ("", false) => ".",
                    (folder, _) => folder,
                };
                let failed = |error| FileError::of_disk("list", folder, error);
                let mut names = Vec::new();
                for entry in std::fs::read_dir(folder).map_err(failed)? {
                    let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
                    names.extend(Some(name).filter(|name| name.starts_with(start)));
                }
                names.sort_unstable();
                Ok(names)
            }
            Source::S3(fetcher, place) => {
                let below = place.key.rfind('/').map_or(0, |slash| slash + 1);
                let (s3, wanted) = (fetcher.s3.clone(), place.clone());
                let request = || {
                    let (s3, wanted) = (s3.clone(), wanted.clone());
                    fetcher.blocking.wait(async move { s3.list(&wanted).await })
                };
                let found = fetcher.blocking.retry(request).map_err(|error| error.of_file("list", prefix))?;
                let names = found.into_iter().filter_map(|(key, _)| key.get(below..).map(str::to_owned));
                Ok(names.filter(|name| !name.contains('/')).collect())
            }
        }
    }

    /// The whole content of a file that is small, or needed once.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(&self, uri: &str) -> Result<Bytes, FileError> {
        match self.source("read", uri)? {
            Source::Local(path) => {
                std::fs::read(path).map(Bytes::from).map_err(|e| FileError::of_disk("read", uri, e))
            }
            Source::S3(fetcher, place) => {
                let request = || {
                    let (s3, place) = (fetcher.s3.clone(), place.clone());
                    fetcher.blocking.wait(async move { s3.get(&place).await })
                };
                let bytes = fetcher.blocking.retry(request).map_err(|error| error.of_file("read", uri))?;
                self.shared.fetched.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Ok(bytes)
            }
        }
    }

    /// A file of this machine with the content of `uri`: itself, or a copy that is kept in the cache.
    ///
    /// A copy is of the version `stat`, or of the one that is there now, and has the hash `sha256` if that is given. With
    /// a hash nothing is asked of the store if the cache has it. Files of this machine are the caller's to check.
    ///
    /// # Errors
    /// When it cannot be fetched or kept, or is not what was asked for (kind `Changed`).
    pub fn local(
        &self,
        uri: &str,
        stat: Option<&FileStat>,
        sha256: Option<&str>,
    ) -> Result<LocalFile, FileError> {
        let (fetcher, place) = match self.source("read", uri)? {
            Source::Local(path) => return Ok(LocalFile::own(path)),
            Source::S3(fetcher, place) => (fetcher, place),
        };
        if let Some(hash) = sha256
            && let Some(file) = fetcher.verified_copy(uri, hash)?
        {
            return Ok(file);
        }
        match stat {
            Some(stat) => fetcher.copy(&place, stat, sha256, &self.shared.fetched),
            None => fetcher.copy(&place, &self.stat(uri)?, sha256, &self.shared.fetched),
        }
    }

    /// The object at `uri`, in the version `stat`, to be read by ranges; `None` for a file of this machine.
    /// `block_bytes` is what is fetched at least.
    ///
    /// # Errors
    /// When the URI is of a kind that cannot be read. Nothing is asked of the store yet.
    pub fn remote(
        &self,
        uri: &str,
        stat: &FileStat,
        block_bytes: u64,
    ) -> Result<Option<RemoteFile>, FileError> {
        let Source::S3(fetcher, place) = self.source("read", uri)? else { return Ok(None) };
        let reached = (fetcher.s3.clone(), fetcher.blocking.clone());
        let what = (stat.etag.clone(), stat.size_bytes);
        Ok(Some(RemoteFile::new(reached, place, what, block_bytes, Arc::clone(&self.shared.fetched))))
    }

    fn source(&self, doing: &'static str, uri: &str) -> Result<Source<'_>, FileError> {
        let wrong = |kind, reason| RequestError::new(kind, reason).of_file(doing, uri);
        match Location::parse(uri).map_err(|reason| wrong(StoreErrorKind::BadKey, reason))? {
            Location::Local(path) => Ok(Source::Local(path)),
            Location::S3(place) => match &self.shared.fetcher {
                Some(fetcher) => Ok(Source::S3(fetcher, place)),
                None => {
                    Err(wrong(StoreErrorKind::BadKey, "only files of this machine are read here".to_owned()))
                }
            },
        }
    }
}

enum Source<'a> {
    Local(PathBuf),
    S3(&'a Fetcher, S3Uri),
}
