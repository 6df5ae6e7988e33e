//! An object that is read here and there, by ranges.

use super::blocking::Blocking;
use crate::StoreErrorKind;
use crate::error::RequestError;
use crate::s3::S3;
use crate::uri::S3Uri;
use bytes::Bytes;
use lru::LruCache;
use std::collections::HashSet;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Blocks that are kept, the last used ones.
const BLOCKS_KEPT: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");

/// An object of a bucket, read at any place by any number of threads. What was read last is kept, in blocks.
///
/// It is the object of the version that it was opened with: once another lies there, reading fails.
#[derive(Debug)]
pub struct RemoteFile {
    s3: S3,
    blocking: Blocking,
    place: S3Uri,
    etag: Option<String>,
    size_bytes: u64,
    block_bytes: u64,
    fetched: Arc<AtomicU64>,
    blocks: Mutex<Blocks>,
    changed: Condvar,
}

#[derive(Debug)]
struct Blocks {
    kept: LruCache<u64, Bytes>,
    /// On their way to a thread.
    in_flight: HashSet<u64>,
}

/// What a reader is to do about a block.
enum Next {
    Use(Bytes),
    /// Fetch these blocks: nobody else does.
    Fetch(Range<u64>),
}

impl RemoteFile {
    pub(super) fn new(
        (s3, blocking): (S3, Blocking),
        place: S3Uri,
        (etag, size_bytes): (Option<String>, u64),
        block_bytes: u64,
        fetched: Arc<AtomicU64>,
    ) -> Self {
        Self {
            s3,
            blocking,
            place,
            etag,
            size_bytes,
            block_bytes: block_bytes.max(1),
            fetched,
            blocks: Mutex::new(Blocks { kept: LruCache::new(BLOCKS_KEPT), in_flight: HashSet::new() }),
            changed: Condvar::new(),
        }
    }

    /// Its length, bytes.
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Fills `out` from byte `at` on, as far as the object goes; how many bytes that were. Blocks.
    ///
    /// # Errors
    /// When the store is absent or refuses; of kind `StaleNetworkFileHandle` when the object was replaced.
    pub fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        let end = self.size_bytes.min(at.saturating_add(out.len() as u64));
        if at >= end {
            return Ok(0);
        }
        let wanted = (end - at) as usize;
        // What would push everything else out is not kept.
        if wanted as u64 >= self.block_bytes * (BLOCKS_KEPT.get() as u64 / 2) {
            out[..wanted].copy_from_slice(&self.fetch(at..end)?);
            return Ok(wanted);
        }
        let mut done = 0;
        while done < wanted {
            let here = at + done as u64;
            let block = here / self.block_bytes;
            let last = (end - 1) / self.block_bytes;
            let bytes = self.block(block, last)?;
            let skip = (here - block * self.block_bytes) as usize;
            let count = (bytes.len() - skip).min(wanted - done);
            out[done..done + count].copy_from_slice(&bytes[skip..skip + count]);
            done += count;
        }
        Ok(wanted)
    }

    /// Block `block`. What is missing between it and block `last` is fetched in the same request.
    fn block(&self, block: u64, last: u64) -> io::Result<Bytes> {
        let wanted = match self.next(block, last) {
            Next::Use(bytes) => return Ok(bytes),
            Next::Fetch(wanted) => wanted,
        };
        let range = wanted.start * self.block_bytes..self.size_bytes.min(wanted.end * self.block_bytes);
        let fetched = self.fetch(range);
        let mut blocks = self.lock();
        blocks.in_flight.retain(|block| !wanted.contains(block));
        self.changed.notify_all();
        let all = fetched?;
        for (block, start) in wanted.zip((0..).step_by(self.block_bytes as usize)) {
            // A copy, since a slice would keep the whole of what was fetched.
            let end = all.len().min(start + self.block_bytes as usize);
            blocks.kept.put(block, Bytes::copy_from_slice(&all[start..end]));
        }
        Ok(all.slice(..all.len().min(self.block_bytes as usize)))
    }

    fn next(&self, block: u64, last: u64) -> Next {
        let mut blocks = self.lock();
        loop {
            if let Some(bytes) = blocks.kept.get(&block) {
                return Next::Use(bytes.clone());
            }
            if !blocks.in_flight.contains(&block) {
                break;
            }
            // Who fetches it holds no lock and waits for nobody here, so it comes or fails.
            blocks = self.changed.wait(blocks).unwrap_or_else(PoisonError::into_inner);
        }
        let mut end = block;
        while end <= last && !blocks.kept.contains(&end) && blocks.in_flight.insert(end) {
            end += 1;
        }
        Next::Fetch(block..end)
    }

    fn fetch(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.fetched.fetch_add(range.end - range.start, Ordering::Relaxed);
        let request = || {
            let (s3, place, etag) = (self.s3.clone(), self.place.clone(), self.etag.clone());
            let range = range.clone();
            self.blocking.wait(async move { s3.fetch(&place, range, etag.as_deref()).await })
        };
        self.blocking.retry(request).map_err(|error| self.error(error))
    }

    fn error(&self, error: RequestError) -> io::Error {
        let kind = match error.kind {
            StoreErrorKind::NotFound | StoreErrorKind::NoStore => io::ErrorKind::NotFound,
            StoreErrorKind::Changed => io::ErrorKind::StaleNetworkFileHandle,
            StoreErrorKind::Denied => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error.of_file("read", &self.place.to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
