//! A folder whose small objects reach the disk together.

use crate::own_folders::OwnFolders;
use crate::{
    Condition, Content, FolderStore, ObjectMeta, ObjectStore, Pages, Seen, StoreError, StoreErrorKind,
    Version,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Larger objects are written at once, bytes.
const OBJECT_BYTES_MAX: usize = 1 << 20;
/// Most bytes of objects that wait.
const BYTES_MAX: u64 = 64 << 20;
/// What waits longest waits this long.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// Keys that are remembered as those of no object.
const ABSENT_MAX: usize = 1 << 16;

/// A folder for one process alone, which keeps small objects in memory until many can be written with one sync of the disk,
/// and does not write at all what is deleted before.
///
/// Objects reach the disk, and leave it, in the order in which they were put and deleted: everything that changes the folder at once
/// writes what waits first. So a process that is killed leaves the folder as it was a moment before, two seconds at most. What could not be
/// written (the disk is full) is kept, and nothing more is taken until it is: whatever changes the folder next fails for it. Whoever
/// ends must [`settle`](Self::settle).
#[derive(Debug, Clone)]
pub struct WriteBehindStore {
    folder: FolderStore,
    waiting: Arc<Mutex<Waiting>>,
    /// Held while what waits is written.
    writing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Waiting {
    objects: BTreeMap<String, Held>,
    /// The keys in the order in which they were put.
    order: BTreeMap<u64, String>,
    turn: u64,
    bytes: u64,
    /// Whether somebody will write what waits when its time has come.
    is_timed: bool,
    /// Whether the folder did not take what was written last.
    is_refused: bool,
    /// Keys under which the folder has nothing, or is being looked into by whoever has that number. Nobody else writes there.
    absent: HashMap<String, Looked>,
    looks: u64,
    /// Folders of which all that they have is known.
    own: OwnFolders,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    Absent,
    ByNow(u64),
}

/// What waits for a key: an object, or that there be none.
#[derive(Debug)]
struct Held {
    /// None where the object is to be deleted.
    value: Option<Bytes>,
    turn: u64,
    /// Whether the folder has no older one.
    is_new: bool,
    /// Whether it is being written.
    is_leaving: bool,
}

/// What is to be under a key.
enum Wanted {
    Object(Bytes),
    Nothing,
}

impl Waiting {
    fn hold(&mut self, key: &str, value: Option<Bytes>) {
        self.remove(key);
        self.turn += 1;
        self.bytes += value.as_ref().map_or(0, |value| value.len() as u64);
        self.order.insert(self.turn, key.to_owned());
        let is_new = self.wrote(key);
        if value.is_none() {
            self.own.deleted(key);
        }
        self.objects.insert(key.to_owned(), Held { value, turn: self.turn, is_new, is_leaving: false });
    }

    /// The number of a look into the folder; none if it is known to have nothing.
    fn look(&mut self, key: &str) -> Option<u64> {
        if self.lacks(key) {
            return None;
        }
        if self.absent.len() >= ABSENT_MAX {
            self.absent.clear();
        }
        self.looks += 1;
        self.absent.insert(key.to_owned(), Looked::ByNow(self.looks));
        Some(self.looks)
    }

    /// Notes that the folder of `key` is about to be looked for; false if it was before. What waits will be in it.
    fn look_for_folder(&mut self, key: &str) -> bool {
        if !self.own.look(key) {
            return false;
        }
        let folder = &key[..key.rfind('/').map_or(0, |at| at + 1)];
        let below = self.objects.range(folder.to_owned()..).take_while(|(key, _)| key.starts_with(folder));
        below.filter(|(_, held)| held.value.is_some()).for_each(|(key, _)| self.own.wrote(key));
        true
    }

    /// What a look has found. One that something was written after, or that somebody else began after, says nothing.
    fn looked(&mut self, key: &str, look: u64, is_absent: bool) {
        if self.absent.get(key) == Some(&Looked::ByNow(look)) {
            self.absent.remove(key);
            if is_absent {
                self.absent.insert(key.to_owned(), Looked::Absent);
            }
        }
    }

    /// Notes that there is such an object from now on; whether it was known that there was none.
    fn wrote(&mut self, key: &str) -> bool {
        let was_absent = self.lacks(key);
        self.absent.remove(key);
        self.own.wrote(key);
        was_absent
    }

    /// Whether it is known that the folder has no such object, and none is on its way.
    fn lacks(&self, key: &str) -> bool {
        self.absent.get(key) == Some(&Looked::Absent) || self.own.lack(key)
    }

    fn remove(&mut self, key: &str) {
        if let Some(held) = self.objects.remove(key) {
            self.order.remove(&held.turn);
            self.bytes -= held.value.map_or(0, |value| value.len() as u64);
        }
    }

    /// Whether a folder cannot hold what waits and an object of this key: one would have to be a folder and a file.
    fn is_in_the_way_of(&self, key: &str) -> bool {
        let above = |(at, _)| self.objects.contains_key(&key[..at]);
        let folder = format!("{key}/");
        let below = self.objects.range(folder.clone()..).next();
        key.match_indices('/').any(above) || below.is_some_and(|(found, _)| found.starts_with(&folder))
    }

    /// All that waits, in order, each with its turn; from now on it is on its way.
    fn leave(&mut self) -> (Vec<u64>, Vec<(String, Option<Bytes>)>) {
        let objects = &mut self.objects;
        let leaving = self.order.iter().filter_map(|(turn, key)| {
            let held = objects.get_mut(key)?;
            held.is_leaving = true;
            Some((*turn, (key.clone(), held.value.clone())))
        });
        leaving.unzip()
    }

    /// The first of what left has arrived; the others wait again. What was put anew meanwhile is another turn's.
    fn arrived(&mut self, turns: &[u64], arrived: usize) {
        for (place, turn) in turns.iter().enumerate() {
            let Some(key) = self.order.get(turn).cloned() else { continue };
            if place < arrived {
                self.remove(&key);
            } else if let Some(held) = self.objects.get_mut(&key) {
                held.is_leaving = false;
            }
        }
    }
}

impl WriteBehindStore {
    /// `folder`, in which nobody else writes while this is there.
    pub fn new(folder: FolderStore) -> Self {
        Self { folder, waiting: Arc::default(), writing: Arc::default() }
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// When the folder does not take it; it goes on waiting.
    pub async fn settle(&self) -> Result<(), StoreError> {
        if self.waiting().objects.is_empty() {
            return Ok(());
        }
        let _writing = self.writing.lock().await;
        let (turns, leaving) = self.waiting().leave();
        let (written, result) = self.folder.put_together(leaving).await;
        // What can never be an object must not stand in the way of all others; whoever asked is told.
        let is_bad = result.as_ref().is_err_and(|error| error.kind == StoreErrorKind::BadKey);
        let mut waiting = self.waiting();
        waiting.arrived(&turns, written + usize::from(is_bad));
        waiting.is_refused = result.is_err() && !is_bad;
        result
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // No code that can panic runs under this lock, so a poisoned one still holds a sound state.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits for a key: an object, or that there be none.
    fn held(&self, key: &str) -> Option<Wanted> {
        let waiting = self.waiting();
        let held = waiting.objects.get(key)?;
        Some(held.value.clone().map_or(Wanted::Nothing, Wanted::Object))
    }

    /// Sees to it that what waits is written in time.
    fn watch(&self) {
        if std::mem::replace(&mut self.waiting().is_timed, true) {
            return;
        }
        let store = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(WAIT_MAX).await;
                let was_refused = store.waiting().is_refused;
                match store.settle().await {
                    Err(error) if !was_refused => tracing::warn!(%error, "what is done waits in memory"),
                    _ => {}
                }
                let mut waiting = store.waiting();
                if waiting.objects.is_empty() {
                    waiting.is_timed = false;
                    break;
                }
            }
        });
    }

    /// Notes that there is to be no such object: one that only waits is never written. Whether something waits for that now.
    fn forget(&self, key: &str) -> bool {
        let mut waiting = self.waiting();
        match waiting.objects.get(key) {
            Some(Held { value: None, .. }) => false,
            Some(Held { is_new: true, is_leaving: false, .. }) => {
                waiting.remove(key);
                waiting.own.deleted(key);
                if !waiting.own.lack(key) {
                    waiting.absent.insert(key.to_owned(), Looked::Absent);
                }
                false
            }
            None if waiting.lacks(key) => false,
            _ => {
                waiting.hold(key, None);
                true
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for WriteBehindStore {
    fn name(&self) -> String {
        self.folder.name()
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        if value.len() > OBJECT_BYTES_MAX {
            self.settle().await?;
            self.waiting().wrote(key);
            return self.folder.put(key, value).await;
        }
        if self.waiting().is_in_the_way_of(key) {
            self.settle().await?;
        }
        self.folder.check_room("write", key)?;
        // One after the other: what comes later may hang on the one before.
        let is_first = {
            let waiting = self.waiting();
            let is_full = waiting.bytes + value.len() as u64 > BYTES_MAX;
            // Of a disk that is full, whoever goes on working is to hear at once.
            waiting.objects.contains_key(key) || is_full || waiting.is_refused
        };
        if is_first {
            self.settle().await?;
        }
        self.waiting().hold(key, Some(value));
        self.watch();
        Ok(())
    }

    async fn put_if(&self, key: &str, value: Bytes, condition: &Condition) -> Result<Version, StoreError> {
        self.settle().await?;
        self.waiting().wrote(key);
        self.folder.put_if(key, value, condition).await
    }

    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        self.settle().await?;
        self.waiting().wrote(key);
        self.folder.put_file(key, path).await
    }

    /// Nobody else writes here.
    async fn look(&self, _: &str) -> Result<Seen, StoreError> {
        Ok(Seen::Untold)
    }

    async fn put_over(&self, key: &str, content: &Content, _: &Seen) -> Result<(), StoreError> {
        match content {
            Content::Bytes(bytes) => self.put(key, bytes.clone()).await,
            Content::File(path) => self.put_file(key, path).await,
        }
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        match self.held(key) {
            Some(Wanted::Object(value)) => Ok(value),
            Some(Wanted::Nothing) => Err(self.folder.absent(key)),
            None => self.folder.get(key).await,
        }
    }

    async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError> {
        self.settle().await?;
        self.folder.get_versioned(key).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        match self.held(key) {
            Some(Wanted::Object(value)) if range.start <= range.end && range.end <= value.len() as u64 => {
                Ok(value.slice(range.start as usize..range.end as usize))
            }
            Some(Wanted::Nothing) => Err(self.folder.absent(key)),
            Some(_) => {
                self.settle().await?;
                self.folder.get_range(key, range).await
            }
            None => self.folder.get_range(key, range).await,
        }
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        match self.held(key) {
            // When it was written is known once it is; a list writes it.
            Some(Wanted::Object(value)) => {
                let size_bytes = value.len() as u64;
                return Ok(ObjectMeta { key: key.to_owned(), size_bytes, stamp: None });
            }
            Some(Wanted::Nothing) => return Err(self.folder.absent(key)),
            None => {}
        }
        let (look, is_first) = {
            let mut waiting = self.waiting();
            (waiting.look(key), waiting.look_for_folder(key))
        };
        let Some(look) = look else { return Err(self.folder.absent(key)) };
        if is_first {
            let is_there = self.folder.has_folder_of(key).await;
            self.waiting().own.looked(key, is_there.as_ref().is_ok_and(|is_there| !is_there));
        }
        let found = self.folder.head(key).await;
        let is_absent = found.as_ref().is_err_and(|error| error.kind == StoreErrorKind::NotFound);
        self.waiting().looked(key, look, is_absent);
        found
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> Pages<'a> {
        let settled = async move {
            match self.settle().await {
                Ok(()) => self.folder.pages(prefix),
                Err(error) => crate::store::failed_pages(error),
            }
        };
        settled.into_stream().flatten().boxed()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.settle().await?;
        self.folder.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.folder.check_key("delete", key)?;
        if self.waiting().is_refused {
            self.settle().await?;
        }
        if self.forget(key) {
            self.watch();
        }
        Ok(())
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        self.settle().await?;
        self.waiting().own.forget();
        self.folder.delete_many(keys).await
    }
}

#[cfg(test)]
#[path = "write_behind_tests.rs"]
mod tests;
