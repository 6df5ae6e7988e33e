//! The store of a single machine: a folder, whose files are the objects.

mod list;
mod write;

use crate::error::RequestError;
use crate::store::{Deletions, failed_pages, is_safe_key};
use crate::waiting::may_wait;
use crate::{Condition, Content, ObjectMeta, ObjectStore, Pages, Seen, StoreError, StoreErrorKind, Version};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use list::Walk;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use write::{Together, commit, commit_together, fill, remove, unfinished, write_if};

/// Where unfinished objects wait; never listed. A leading dot cannot clash with a key's first part by chance.
const UNFINISHED: &str = ".unfinished";

/// Most requests that are at work at once.
const AT_ONCE: usize = 8;

/// Held while a condition is looked at and what hangs on it is written. It lies among what is never listed.
const LOCK: &str = "lock";

/// A folder as a store. Objects are written beside their place and renamed into it, after the disk has them.
#[derive(Debug, Clone)]
pub struct FolderStore {
    root: Arc<PathBuf>,
    /// How many threads wait for its disk at a time: each more is memory more, and all take turns.
    at_once: Arc<Semaphore>,
}

impl FolderStore {
    /// The store under `root`, which is made when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let (root, at_once) = (Arc::new(root.to_path_buf()), Arc::new(Semaphore::new(AT_ONCE)));
        let store = Self { root, at_once };
        std::fs::create_dir_all(store.scratch()).map_err(|e| store.error("write", "", e))?;
        Ok(store)
    }

    /// Removes what processes that were killed left unfinished. Only for the one process that works in this folder.
    ///
    /// # Errors
    /// When the scratch folder cannot be looked at.
    pub fn clear_scratch(&self) -> Result<(), StoreError> {
        let failed = |e| self.error("write", "", e);
        for entry in std::fs::read_dir(self.scratch()).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            // Whoever locks a file that is gone keeps nobody out. What cannot be removed is no loss.
            if path.file_name().is_some_and(|name| name != LOCK) {
                let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
            }
        }
        Ok(())
    }

    /// The file that holds the object of `key`.
    pub fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// A folder on the same disk for what is not finished yet.
    pub fn scratch(&self) -> PathBuf {
        self.root.join(UNFINISHED)
    }

    /// Puts objects, or deletes those without a value, in their order and all with one sync of the disk; and says how many came to be
    /// as wanted before one failed. What cannot be deleted stays, and is told.
    pub(crate) async fn put_together(
        &self,
        objects: Vec<(String, Option<Bytes>)>,
    ) -> (usize, Result<(), StoreError>) {
        let places = objects.iter().map(|(key, _)| self.checked("write", key)).collect::<Result<Vec<_>, _>>();
        let places = match places {
            Ok(places) => places,
            Err(error) => return (0, Err(error)),
        };
        let root = Arc::clone(&self.root);
        let (keys, values): (Vec<String>, Vec<Option<Bytes>>) = objects.into_iter().unzip();
        let write = move || commit_together(&places.into_iter().zip(values).collect::<Vec<_>>(), &root);
        let Together { done, failed, left } = match self.waiting(write).await {
            Ok(together) => together,
            Err(lost) => return (0, Err(self.failed("write", "", RequestError::lost(lost)))),
        };
        for (place, error) in left {
            let error = self.error("delete", &keys[place], error);
            tracing::warn!(%error, "what is not needed any more stays");
        }
        let key = keys.get(done).map_or("", String::as_str);
        (done, failed.map_err(|error| self.error("write", key, error)))
    }

    /// What is told of an object that is not there.
    pub(crate) fn absent(&self, key: &str) -> StoreError {
        self.error("read", key, ErrorKind::NotFound.into())
    }

    /// Whether the folder in which the object of `key` would lie is there.
    pub(crate) async fn has_folder_of(&self, key: &str) -> Result<bool, StoreError> {
        self.blocking("read", key, |path, root| path.parent().unwrap_or(root).try_exists()).await
    }

    /// Refuses a key that no object can have, by itself or beside what is there.
    pub(crate) fn check_room(&self, doing: &'static str, key: &str) -> Result<(), StoreError> {
        let place = self.checked(doing, key)?;
        match std::fs::metadata(place) {
            Ok(found) if found.is_dir() => Err(self.error(doing, key, ErrorKind::IsADirectory.into())),
            Err(error) if error.kind() == ErrorKind::NotADirectory => Err(self.error(doing, key, error)),
            _ => Ok(()),
        }
    }

    /// Refuses a key that no object can have.
    pub(crate) fn check_key(&self, doing: &'static str, key: &str) -> Result<(), StoreError> {
        self.checked(doing, key).map(drop)
    }

    fn error(&self, doing: &'static str, key: &str, error: std::io::Error) -> StoreError {
        // Objects lie below it, and none is it.
        let is_no_object = doing == "read" && error.kind() == ErrorKind::IsADirectory;
        let is_no_store = error.kind() == ErrorKind::NotFound && !self.scratch().is_dir();
        let error = RequestError::disk(error);
        let error = match (is_no_object, is_no_store) {
            (true, _) => error.with_kind(StoreErrorKind::NotFound),
            (_, true) => error.with_kind(StoreErrorKind::NoStore),
            _ => error,
        };
        self.failed(doing, key, error)
    }

    fn failed(&self, doing: &'static str, key: &str, mut error: RequestError) -> StoreError {
        error.reason += match error.kind {
            StoreErrorKind::Full => "; make room there and run the same command again: finished work is kept",
            StoreErrorKind::Denied => "; choose a `store` that you may write to",
            StoreErrorKind::NoStore => "; the store's folder was moved or removed while it was in use",
            _ => "",
        };
        error.in_store(doing, key, self.name())
    }

    fn checked(&self, doing: &'static str, key: &str) -> Result<PathBuf, StoreError> {
        if is_safe_key(key) && key.split('/').next() != Some(UNFINISHED) {
            return Ok(self.path(key));
        }
        let reason = "the key has parts that no file may be named";
        Err(self.failed(doing, key, RequestError::new(StoreErrorKind::BadKey, reason)))
    }

    fn unless_conflict(
        &self,
        key: &str,
        is_written: bool,
        violation: &'static str,
    ) -> Result<(), StoreError> {
        if is_written {
            return Ok(());
        }
        Err(self.failed("write", key, RequestError::new(StoreErrorKind::Conflict, violation)))
    }

    /// Runs file work on this thread if it may wait, and else on one of a few that do.
    async fn waiting<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        if may_wait() {
            return Ok(work());
        }
        let permit = Arc::clone(&self.at_once).acquire_owned().await;
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        })
        .await
    }

    /// Runs file work away from the threads that drive messages.
    async fn blocking<T: Send + 'static>(
        &self,
        doing: &'static str,
        key: &str,
        work: impl FnOnce(PathBuf, &Path) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.checked(doing, key)?;
        let root = Arc::clone(&self.root);
        match self.waiting(move || work(path, &root)).await {
            Ok(result) => result.map_err(|e| self.error(doing, key, e)),
            Err(lost) => Err(self.failed(doing, key, RequestError::lost(lost))),
        }
    }
}

#[async_trait]
impl ObjectStore for FolderStore {
    fn name(&self) -> String {
        self.root.display().to_string()
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.blocking("write", key, move |place, root| {
            let mut file = unfinished(root)?;
            file.write_all(&value)?;
            commit(file, &place, false)
        })
        .await
    }

    async fn put_if(&self, key: &str, value: Bytes, condition: &Condition) -> Result<Version, StoreError> {
        let (wanted, version) = (condition.clone(), Version::of_content(&value));
        let holds = move |place: &Path| match std::fs::read(place) {
            Err(error) if is_absent(&error) => Ok(wanted.holds(None)),
            found => Ok(wanted.holds(Some(&Version::of_content(&found?)))),
        };
        let is_new = matches!(condition, Condition::Absent);
        let written = self.blocking("write", key, move |place, root| {
            write_if(&place, root, &Content::Bytes(value), holds, is_new)
        });
        self.unless_conflict(key, written.await?, condition.violation()).map(|()| version)
    }

    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        let from = path.to_path_buf();
        self.blocking("write", key, move |place, root| {
            let mut file = unfinished(root)?;
            fill(&mut file, &Content::File(from))?;
            commit(file, &place, false)
        })
        .await
    }

    async fn put_over(&self, key: &str, content: &Content, seen: &Seen) -> Result<(), StoreError> {
        let (content, wanted, name) = (content.clone(), seen.clone(), key.to_owned());
        let holds = move |place: &Path| match meta(name, place) {
            Err(error) if is_absent(&error) => Ok(wanted.still(None)),
            found => Ok(wanted.still(Some(&found?))),
        };
        let is_new = *seen == Seen::Absent;
        let written =
            self.blocking("write", key, move |place, root| write_if(&place, root, &content, holds, is_new));
        self.unless_conflict(key, written.await?, Seen::VIOLATION)
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.blocking("read", key, |path, _| std::fs::read(path).map(Bytes::from)).await
    }

    async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError> {
        let bytes = self.get(key).await?;
        let version = Version::of_content(&bytes);
        Ok((bytes, version))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.blocking("read", key, move |path, _| {
            let mut file = std::fs::File::open(path)?;
            if range.start > range.end || range.end > file.metadata()?.len() {
                return Err(std::io::Error::new(
                    ErrorKind::UnexpectedEof,
                    format!(
                        "bytes {}..{} of an object of {} bytes",
                        range.start,
                        range.end,
                        file.metadata()?.len()
                    ),
                ));
            }
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.seek(SeekFrom::Start(range.start))?;
            file.read_exact(&mut bytes)?;
            Ok(Bytes::from(bytes))
        })
        .await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        let name = key.to_owned();
        self.blocking("read", key, |path, _| meta(name, &path)).await
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> Pages<'a> {
        let folder = match prefix {
            "" => Ok(self.root.to_path_buf()),
            prefix => self.checked("list", prefix.trim_end_matches('/')),
        };
        let walk = match folder {
            Ok(folder) => Walk::new(folder, prefix),
            Err(error) => return failed_pages(error),
        };
        // No thread waits for whoever reads: many folders may be listed side by side.
        let next = async move |walk: Option<Walk>| {
            let mut walk = walk?;
            let looked = self.waiting(move || (walk.page(), walk)).await;
            match looked.map_err(|lost| self.failed("list", prefix, RequestError::lost(lost))) {
                Ok((Ok(page), _)) if page.is_empty() => None,
                Ok((Ok(page), walk)) => Some((Ok(page), Some(walk))),
                Ok((Err(error), _)) => Some((Err(self.error("list", prefix, error)), None)),
                Err(lost) => Some((Err(lost), None)),
            }
        };
        stream::unfold(Some(walk), next).boxed()
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.blocking("delete", key, |path, _| remove(&path)).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        let mut deletions = Deletions::default();
        let mut places = Vec::new();
        for key in keys {
            match self.checked("delete", key) {
                Ok(path) => places.push((key.clone(), path)),
                Err(error) => deletions.note(Err(error)),
            }
        }
        let removed = self.waiting(move || {
            let removed = places.into_iter().filter_map(|(key, path)| Some((key, remove(&path).err()?)));
            removed.collect::<Vec<_>>()
        });
        match removed.await {
            Ok(refused) => refused
                .into_iter()
                .for_each(|(key, error)| deletions.note(Err(self.error("delete", &key, error)))),
            Err(lost) => deletions.note(Err(self.failed("delete", "", RequestError::lost(lost)))),
        }
        deletions.result(keys.len())
    }
}

/// What is known of the object at `place`.
fn meta(key: String, place: &Path) -> std::io::Result<ObjectMeta> {
    let meta = std::fs::metadata(place)?;
    if meta.is_file() {
        Ok(ObjectMeta { key, size_bytes: meta.len(), stamp: stamp(&meta) })
    } else {
        Err(ErrorKind::NotFound.into())
    }
}

/// Whether no object was found.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// When a file was written, how long it is, and where it lies: clocks of file systems tick some hundred times a second, and what is
/// written again is another file.
fn stamp(meta: &std::fs::Metadata) -> Option<String> {
    let since = meta.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(meta);
    #[cfg(not(unix))]
    let file = 0_u64;
    Some(format!("{:x}-{:x}-{file:x}", since.as_nanos(), meta.len()))
}

#[cfg(test)]
mod tests;
