//! Everything that is read by its URI: images, models, lists, job files.

use crate::StoreErrorKind;
use crate::blocking::Blocking;
use crate::cache::{CacheOptions, DiskCache, LocalFile, hash_file, hexadecimal};
use crate::remote::RemoteFile;
use crate::s3::{ObjectFacts, S3, Trouble};
use crate::uri::{Location, S3Uri};
use bytes::Bytes;
use futures_util::StreamExt;
use marquetry_telemetry::{CacheOutcome, Metrics};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::runtime::Handle;

/// Why something could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {doing} {uri}: {reason}")]
pub struct FileError {
    /// The kind of trouble.
    pub kind: StoreErrorKind,
    /// What was being done: `read`, `list`, `keep a copy of`.
    pub doing: &'static str,
    /// With what.
    pub uri: String,
    /// What was found, and what to do about it.
    pub reason: String,
}

impl FileError {
    pub(crate) fn new(doing: &'static str, uri: &str, trouble: Trouble) -> Self {
        Self { kind: trouble.kind, doing, uri: uri.to_owned(), reason: trouble.reason }
    }

    /// A failure of this machine's disk.
    pub fn of_disk(doing: &'static str, uri: &str, error: &io::Error) -> Self {
        Self::new(doing, uri, Trouble::disk(error))
    }

    /// Whether another try could go better.
    pub const fn may_pass(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Unavailable | StoreErrorKind::Full)
    }
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// Its length, bytes.
    pub size_bytes: u64,
    /// Names its content well enough to notice that it was replaced: the `ETag` of an object, for a file when it was
    /// written.
    pub version: String,
    etag: Option<String>,
}

impl FileStat {
    /// Length and version in one text.
    pub fn fingerprint(&self) -> String {
        format!("{}-{}", self.size_bytes, self.version)
    }

    fn of_file(meta: &std::fs::Metadata) -> Self {
        let written = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        let version = written.map_or(0, |t| t.as_nanos()).to_string();
        Self { size_bytes: meta.len(), version, etag: None }
    }

    fn of_object(facts: ObjectFacts) -> Self {
        let version = facts.etag.clone().unwrap_or_else(|| facts.modified_seconds.to_string());
        Self { size_bytes: facts.size_bytes, version, etag: facts.etag }
    }
}

/// A file of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its path below the folder, with `/` between the parts.
    pub relative: String,
    /// What the list itself says of it; nothing for folders of this machine.
    pub stat: Option<FileStat>,
}

/// Reads local paths and `s3://bucket/key` alike. Cheap to clone. Every method blocks: call it where waiting is allowed.
///
/// What is fetched whole is kept on disk by the hash of its content.
#[derive(Debug, Clone)]
pub struct Files {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    remote: Option<Remote>,
    fetched: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Remote {
    s3: S3,
    blocking: Blocking,
    cache: DiskCache,
    /// What this process is fetching: several that want the same wait for the first.
    fetching: Mutex<HashMap<String, Arc<Mutex<()>>>>,
    metrics: Metrics,
}

impl Files {
    /// Reads objects through `s3`, whose requests run on `runtime`, which needs threads of its own. A service that is
    /// away is waited for as long as `patience`. `metrics` counts what the cache is good for.
    pub fn new(s3: S3, cache: CacheOptions, runtime: Handle, patience: Duration, metrics: Metrics) -> Self {
        let (blocking, cache) = (Blocking::new(runtime, patience), DiskCache::new(cache));
        let remote = Remote { s3, blocking, cache, fetching: Mutex::default(), metrics };
        Self { shared: Arc::new(Shared { remote: Some(remote), fetched: Arc::default() }) }
    }

    /// Reads paths of this machine and nothing else.
    pub fn local_only() -> Self {
        Self { shared: Arc::new(Shared { remote: None, fetched: Arc::default() }) }
    }

    /// Bytes of objects that were asked for so far.
    pub fn fetched_bytes(&self) -> u64 {
        self.shared.fetched.load(Ordering::Relaxed)
    }

    /// Length and version of a file.
    ///
    /// # Errors
    /// When there is none, or it cannot be looked at.
    pub fn stat(&self, uri: &str) -> Result<FileStat, FileError> {
        let (remote, place) = match self.place("read", uri)? {
            Place::Local(path) => {
                let meta = std::fs::metadata(path).map_err(|e| FileError::of_disk("read", uri, &e))?;
                if meta.is_dir() {
                    return Err(FileError::of_disk("read", uri, &io::ErrorKind::IsADirectory.into()));
                }
                return Ok(FileStat::of_file(&meta));
            }
            Place::S3(remote, place) => (remote, place),
        };
        let ask = || {
            let (s3, place) = (remote.s3.clone(), place.clone());
            remote.blocking.wait(async move {
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
        let facts = remote.blocking.patiently(ask).map_err(|trouble| FileError::new("read", uri, trouble))?;
        Ok(FileStat::of_object(facts))
    }

    /// Whether there is a folder of this machine at `uri`, or objects lie below it.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn is_folder(&self, uri: &str) -> Result<bool, FileError> {
        match self.place("list", uri)? {
            Place::Local(path) => Ok(path.is_dir()),
            Place::S3(..) => Ok(!self.list(uri)?.is_empty()),
        }
    }

    /// All files below a folder, in ascending order. Those whose name, or folder's name, begins with a dot are left out.
    ///
    /// # Errors
    /// When the folder cannot be listed. A prefix below which no object lies is an empty folder.
    pub fn list(&self, folder: &str) -> Result<Vec<Listed>, FileError> {
        let (remote, mut place) = match self.place("list", folder)? {
            Place::Local(path) => return list_local(&path),
            Place::S3(remote, place) => (remote, place),
        };
        if !place.key.is_empty() && !place.key.ends_with('/') {
            place.key.push('/');
        }
        let (s3, below) = (remote.s3.clone(), place.key.clone());
        let work = async move { s3.list(&place).await };
        let found = remote.blocking.wait(work).map_err(|trouble| FileError::new("list", folder, trouble))?;
        let listed = found.into_iter().filter_map(|(key, facts)| {
            let relative = key.strip_prefix(&below)?;
            // Some programs mark folders by an object whose key ends in a slash.
            let shown = !relative.split('/').any(|part| part.starts_with('.') || part.is_empty());
            shown.then(|| Listed { relative: relative.to_owned(), stat: Some(FileStat::of_object(facts)) })
        });
        Ok(listed.collect())
    }

    /// The whole content of a file that is small, or needed once.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(&self, uri: &str) -> Result<Bytes, FileError> {
        match self.place("read", uri)? {
            Place::Local(path) => {
                std::fs::read(path).map(Bytes::from).map_err(|e| FileError::of_disk("read", uri, &e))
            }
            Place::S3(remote, place) => {
                let ask = || {
                    let (s3, place) = (remote.s3.clone(), place.clone());
                    remote.blocking.wait(async move { s3.get(&place).await })
                };
                let bytes =
                    remote.blocking.patiently(ask).map_err(|trouble| FileError::new("read", uri, trouble))?;
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
        let (remote, place) = match self.place("read", uri)? {
            Place::Local(path) => return Ok(LocalFile::own(path)),
            Place::S3(remote, place) => (remote, place),
        };
        let kept = |error: &io::Error| {
            let mut trouble = Trouble::disk(error);
            let folder = remote.cache.folder().display().to_string();
            trouble.reason =
                format!("the cache folder {folder}: {error}; make room there, or choose another");
            FileError::new("keep a copy of", uri, trouble)
        };
        if let Some(file) =
            sha256.map(|hash| sound(remote, hash)).transpose().map_err(|e| kept(&e))?.flatten()
        {
            remote.metrics.cache_requests.of(CacheOutcome::Hit).increment();
            return Ok(file);
        }
        let stat = match stat {
            Some(stat) => stat.clone(),
            None => self.stat(uri)?,
        };
        let name = remote.name(&place, &stat);
        let turn = remote.turn(&name);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hash) =
            remote.cache.named(&name).filter(|hash| sha256.is_none_or(|wanted| wanted == hash))
            && let Some(file) = remote.cache.content(&hash).map_err(|e| kept(&e))?
        {
            if file.path().metadata().is_ok_and(|meta| meta.len() == stat.size_bytes) {
                remote.metrics.cache_requests.of(CacheOutcome::Hit).increment();
                return Ok(file);
            }
            drop(file);
            remote.cache.discard(&hash).map_err(|e| kept(&e))?;
        }
        remote.metrics.cache_requests.of(CacheOutcome::Miss).increment();
        // A piece that fails has spoilt the file; the next try begins a new one.
        let ask = || {
            let file = remote.cache.unfinished().map_err(|error| Trouble::disk(&error))?;
            remote.fetch(&place, &stat, file)
        };
        let (file, hash) =
            remote.blocking.patiently(ask).map_err(|trouble| FileError::new("read", uri, trouble))?;
        self.shared.fetched.fetch_add(stat.size_bytes, Ordering::Relaxed);
        if let Some(wanted) = sha256.filter(|wanted| *wanted != hash) {
            let reason = format!("its content has the SHA-256 {hash}, not {wanted}: it was replaced");
            return Err(FileError::new("read", uri, Trouble::new(StoreErrorKind::Changed, reason)));
        }
        let kept_file = remote.cache.keep(file, &hash, &name).map_err(|e| kept(&e))?;
        remote.metrics.cache_bytes.set(remote.cache.bytes() as f64);
        Ok(kept_file)
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
        let Place::S3(remote, place) = self.place("read", uri)? else { return Ok(None) };
        let reached = (remote.s3.clone(), remote.blocking.clone());
        let what = (stat.etag.clone(), stat.size_bytes);
        Ok(Some(RemoteFile::new(reached, place, what, block_bytes, Arc::clone(&self.shared.fetched))))
    }

    fn place(&self, doing: &'static str, uri: &str) -> Result<Place<'_>, FileError> {
        let wrong = |kind, reason| FileError::new(doing, uri, Trouble::new(kind, reason));
        match Location::parse(uri).map_err(|reason| wrong(StoreErrorKind::BadKey, reason))? {
            Location::Local(path) => Ok(Place::Local(path)),
            Location::S3(place) => match &self.shared.remote {
                Some(remote) => Ok(Place::S3(remote, place)),
                None => {
                    Err(wrong(StoreErrorKind::BadKey, "only files of this machine are read here".to_owned()))
                }
            },
        }
    }
}

enum Place<'a> {
    Local(PathBuf),
    S3(&'a Remote, S3Uri),
}

/// The kept content of this hash, if it is still that: models are run, so that damage must not pass.
fn sound(remote: &Remote, sha256: &str) -> io::Result<Option<LocalFile>> {
    let Some(file) = remote.cache.content(sha256)? else { return Ok(None) };
    if hash_file(file.path())? == sha256 {
        return Ok(Some(file));
    }
    drop(file);
    tracing::warn!(sha256, "a copy in the cache is damaged; it is fetched anew");
    remote.cache.discard(sha256)?;
    Ok(None)
}

impl Remote {
    /// Names one version of an object.
    fn name(&self, place: &S3Uri, stat: &FileStat) -> String {
        let s3 = self.s3.clone();
        let endpoint = self.blocking.wait(async move { Ok(s3.endpoint().await.to_owned()) });
        let endpoint = endpoint.unwrap_or_default();
        let mut sha = Sha256::new();
        for part in [endpoint.as_str(), &place.to_string(), &stat.fingerprint()] {
            sha.update(part.as_bytes());
            sha.update(b"\n");
        }
        hexadecimal(sha)
    }

    fn turn(&self, name: &str) -> Arc<Mutex<()>> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        fetching.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(fetching.entry(name.to_owned()).or_default())
    }

    /// Fetches an object into a file, several pieces at a time; the hash of its content.
    fn fetch(
        &self,
        place: &S3Uri,
        stat: &FileStat,
        file: NamedTempFile,
    ) -> Result<(NamedTempFile, String), Trouble> {
        let spans = self.s3.spans(place, 0..stat.size_bytes, stat.etag.as_deref());
        self.blocking.wait(async move {
            let mut spans = pin!(spans);
            let mut written = (file, Sha256::new());
            while let Some(bytes) = spans.next().await {
                let bytes = bytes?;
                let (mut file, mut sha) = written;
                let write = move || -> io::Result<(NamedTempFile, Sha256)> {
                    file.write_all(&bytes)?;
                    sha.update(&bytes);
                    Ok((file, sha))
                };
                let wrote = tokio::task::spawn_blocking(write).await;
                let wrote = wrote.unwrap_or_else(|lost| Err(io::Error::other(lost)));
                written = wrote.map_err(|error| Trouble::disk(&error))?;
            }
            Ok((written.0, hexadecimal(written.1)))
        })
    }
}

fn list_local(root: &Path) -> Result<Vec<Listed>, FileError> {
    let mut found = Vec::new();
    // A job file named without a folder lies in the working folder, whose path is empty.
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let mut open = vec![(root.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = open.pop() {
        let failed = |error: io::Error| FileError::of_disk("list", &folder.to_string_lossy(), &error);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let relative = format!("{prefix}{name}");
            if entry.path().is_dir() {
                open.push((entry.path(), format!("{relative}/")));
            } else {
                found.push(Listed { relative, stat: None });
            }
        }
    }
    found.sort_by(|a, b| a.relative.cmp(&b.relative));
    Ok(found)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
