//! Objects that are fetched whole, and kept on disk by the hash of their content.

use super::FileStat;
use super::blocking::Blocking;
use super::disk_cache::{DiskCache, LocalFile, Unfinished, hash_file};
use crate::error::RequestError;
use crate::s3::S3;
use crate::uri::S3Uri;
use crate::{FileError, StoreErrorKind};
use futures_util::StreamExt;
use marquetry_telemetry::{CacheOutcome, Metrics};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines that say how far a long fetch is.
const SAY_EVERY: Duration = Duration::from_secs(20);
const MB: u64 = 1_000_000;

/// How objects are reached, and where copies of them are kept.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) s3: S3,
    pub(super) blocking: Blocking,
    cache: DiskCache,
    /// Held while a version of an object is fetched: several of this process that want the same wait for the first.
    locks: Mutex<HashMap<String, Arc<Mutex<()>>>>,
    metrics: Metrics,
}

impl Fetcher {
    pub(super) fn new(s3: S3, blocking: Blocking, cache: DiskCache, metrics: Metrics) -> Self {
        Self { s3, blocking, cache, locks: Mutex::default(), metrics }
    }

    /// A copy of the object in the version `stat`, with the hash `sha256` if that is given: one that is kept, or one that
    /// is fetched, which `fetched` counts.
    pub(super) fn copy(
        &self,
        place: &S3Uri,
        stat: &FileStat,
        sha256: Option<&str>,
        fetched: &AtomicU64,
    ) -> Result<LocalFile, FileError> {
        let name = self.name(place, stat);
        let lock = self.lock(&name);
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let uri = place.to_string();
        if let Some(file) = self.kept(&name, stat, sha256).map_err(|e| self.disk_error(&uri, e))? {
            self.metrics.cache_requests.of(CacheOutcome::Hit).increment();
            return Ok(file);
        }
        self.metrics.cache_requests.of(CacheOutcome::Miss).increment();
        let fetch =
            || self.blocking.retry(|| self.fetch(place, stat, sha256.map(|_| name.as_str()), fetched));
        let mut found = fetch().map_err(|error| error.of_file("read", &uri))?;
        if sha256.is_some_and(|wanted| wanted != found.hash) && found.had_bytes > 0 {
            // What was there of it was damaged, as after a power cut.
            found.into.file.set_len(0).map_err(|error| self.disk_error(&uri, error))?;
            drop(found);
            found = fetch().map_err(|error| error.of_file("read", &uri))?;
        }
        let Fetched { into: file, hash, .. } = found;
        if let Some(wanted) = sha256.filter(|wanted| *wanted != hash) {
            // It would be gone on with.
            file.file.set_len(0).map_err(|error| self.disk_error(&uri, error))?;
            let reason = format!("its content has the SHA-256 {hash}, not {wanted}: it was replaced");
            return Err(RequestError::new(StoreErrorKind::Changed, reason).of_file("read", &uri));
        }
        let file = self.cache.insert(file, &hash, &name).map_err(|e| self.disk_error(&uri, e))?;
        self.metrics.cache_bytes.set(self.cache.bytes() as f64);
        Ok(file)
    }

    /// The kept content of this hash, if it is still that: models are run, so that damage must not pass.
    pub(super) fn verified_copy(&self, uri: &str, sha256: &str) -> Result<Option<LocalFile>, FileError> {
        let found = self.verified(sha256).map_err(|e| self.disk_error(uri, e))?;
        if found.is_some() {
            self.metrics.cache_requests.of(CacheOutcome::Hit).increment();
        }
        Ok(found)
    }

    fn verified(&self, sha256: &str) -> io::Result<Option<LocalFile>> {
        let Some(file) = self.cache.content(sha256)? else { return Ok(None) };
        if hash_file(file.path())? == sha256 {
            return Ok(Some(file));
        }
        drop(file);
        tracing::warn!(sha256, "a copy in the cache is damaged; it is fetched anew");
        self.cache.discard(sha256)?;
        Ok(None)
    }

    /// The kept content of a version of an object, if it has the right length.
    fn kept(&self, name: &str, stat: &FileStat, sha256: Option<&str>) -> io::Result<Option<LocalFile>> {
        let hash = self.cache.named(name).filter(|hash| sha256.is_none_or(|wanted| wanted == hash));
        let Some(hash) = hash else { return Ok(None) };
        let Some(file) = self.cache.content(&hash)? else { return Ok(None) };
        if file.path().metadata().is_ok_and(|meta| meta.len() == stat.size_bytes) {
            return Ok(Some(file));
        }
        drop(file);
        self.cache.discard(&hash)?;
        Ok(None)
    }

    /// Whether the folder of copies can be written and read.
    pub(super) fn test(&self) -> Result<(), FileError> {
        self.cache.test().map_err(|error| self.disk_error("what is fetched", error))
    }

    fn disk_error(&self, uri: &str, error: io::Error) -> FileError {
        let folder = self.cache.folder().display();
        let reason = format!("the cache folder {folder}: {error}; make room there, or choose another");
        RequestError::disk(error).with_reason(reason).of_file("keep a copy of", uri)
    }

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
        hex::encode(sha.finalize())
    }

    fn lock(&self, name: &str) -> Arc<Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(name.to_owned()).or_default())
    }

    /// Fetches an object into a file, several pieces at a time. With a `name`, what an earlier try under that name has
    /// fetched is not fetched again: only for what is known by its hash, since nothing else shows whether it is sound.
    fn fetch(
        &self,
        place: &S3Uri,
        stat: &FileStat,
        name: Option<&str>,
        fetched: &AtomicU64,
    ) -> Result<Fetched, RequestError> {
        let opened = match name {
            Some(name) => self.cache.part(name),
            None => self.cache.unfinished(),
        };
        let (into, sha, had_bytes) =
            opened.and_then(|into| resume(into, stat.size_bytes)).map_err(RequestError::disk)?;
        if had_bytes > 0 {
            tracing::warn!("going on with {place} after {} of {} MB", had_bytes / MB, stat.size_bytes / MB);
        }
        let spans = self.s3.spans(place, had_bytes..stat.size_bytes, stat.etag.as_deref());
        let (place, size_bytes) = (place.clone(), stat.size_bytes);
        let found = self.blocking.wait(async move {
            let (mut spans, mut said) = (pin!(spans), Instant::now());
            let (mut written, mut bytes_written) = ((into, sha), had_bytes);
            while let Some(bytes) = spans.next().await {
                let bytes = bytes?;
                bytes_written += bytes.len() as u64;
                let (mut into, mut sha) = written;
                let write = move || -> io::Result<(Unfinished, Sha256)> {
                    into.file.write_all(&bytes)?;
                    sha.update(&bytes);
                    Ok((into, sha))
                };
                let wrote = tokio::task::spawn_blocking(write).await;
                written = wrote.map_err(RequestError::lost)?.map_err(RequestError::disk)?;
                if said.elapsed() > SAY_EVERY {
                    said = Instant::now();
                    tracing::warn!(
                        "still fetching {place}: {} of {} MB",
                        bytes_written / MB,
                        size_bytes / MB
                    );
                }
            }
            Ok(Fetched { into: written.0, hash: hex::encode(written.1.finalize()), had_bytes })
        })?;
        fetched.fetch_add(size_bytes - found.had_bytes, Ordering::Relaxed);
        Ok(found)
    }
}

/// An object that was fetched whole.
struct Fetched {
    into: Unfinished,
    /// SHA-256 of its content.
    hash: String,
    /// Of these bytes an earlier try had fetched so many.
    had_bytes: u64,
}

/// What an earlier try has left in a file for an object of `size_bytes`: the sum over it, and how many bytes. The file is
/// written on from there.
fn resume(mut into: Unfinished, size_bytes: u64) -> io::Result<(Unfinished, Sha256, u64)> {
    let (mut sha, mut had, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    if into.file.metadata()?.len() > size_bytes {
        into.file.set_len(0)?;
    }
    loop {
        match into.file.read(&mut buffer)? {
            0 => break,
            n => {
                sha.update(&buffer[..n]);
                had += n as u64;
            }
        }
    }
    into.file.seek(SeekFrom::Start(had))?;
    Ok((into, sha, had))
}
