//! Where one run keeps everything: a folder that is its alone, or a bucket with a folder beside it for unfinished work.

use crate::exit::{Exit, Fatal};
use crate::storage::Storage;
use marquetry_transport::uri::is_uri;
use marquetry_transport::{FolderStore, ObjectStore};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The store of a run, and its place for what is not finished yet.
pub(crate) struct RunFolder {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The store's folder or URI, without a slash at its end.
    pub(crate) uri: String,
    /// Folder for label maps, outputs that are being written, and pixels that do not fit into memory.
    pub(crate) scratch: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// Opens the store at `uri`.
    pub(crate) fn open(uri: &str, storage: &Storage, runtime: &Runtime) -> Result<Self, Fatal> {
        if is_uri(uri) { Self::remote(uri, storage, runtime) } else { Self::folder(Path::new(uri), storage) }
    }

    fn folder(folder: &Path, storage: &Storage) -> Result<Self, Fatal> {
        let store = FolderStore::open(folder).map_err(|e| Fatal::of_store(&e))?;
        // Without `..`, so that printed paths can be read.
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let lock = lock(&folder)?;
        store.clear_scratch().map_err(|e| Fatal::of_store(&e))?;
        let scratch = FolderStore::open(&folder).map_err(|e| Fatal::of_store(&e))?.scratch();
        let uri = folder.display().to_string();
        // The roles open it by its name, and must have the same one: what waits to be written is in memory.
        let store = storage.stores.open(&uri).map_err(|e| Fatal::of_store(&e))?;
        Ok(Self { store, uri, scratch, _lock: lock })
    }

    fn remote(uri: &str, storage: &Storage, runtime: &Runtime) -> Result<Self, Fatal> {
        let store = runtime.block_on(storage.stores.open_now(uri)).map_err(|e| Fatal::of_named_store(&e))?;
        let folder = storage.cache.join("scratch");
        let (scratch, lock) = scratch(&folder).map_err(|error| {
            let message =
                format!("cannot write to {}: {error}; choose another folder with --cache", folder.display());
            Fatal::new(Exit::Unavailable, message)
        })?;
        Ok(Self { store, uri: uri.trim_end_matches('/').to_owned(), scratch, _lock: lock })
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if is_uri(&self.uri) {
            // What stays is removed by the next run.
            let _ = std::fs::remove_dir_all(&self.scratch);
        }
    }
}

/// A new folder in `scratch` for a run of which nothing is kept; it goes with the value.
pub(crate) fn folder_apart(prefix: &str, scratch: &Path) -> Result<TempDir, Fatal> {
    tempfile::Builder::new().prefix(prefix).tempdir_in(scratch).map_err(|error| {
        let reason = format!("cannot make a folder in {}: {error}", scratch.display());
        Fatal::new(Exit::Unavailable, reason)
    })
}

/// Removes `folder` and what lies below it, as far as these are folders with no file in them.
pub(crate) fn remove_empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    // One with something in it stays.
    let _ = std::fs::remove_dir(folder);
}

/// A new folder in `folder` with a lock on it. Folders of runs that were killed, which nobody has locked, are removed.
fn scratch(folder: &Path) -> io::Result<(PathBuf, File)> {
    std::fs::create_dir_all(folder)?;
    // Held until the new folder is locked too, so that another run does not take it for an old one.
    let gate = File::create(folder.join("lock"))?;
    gate.lock()?;
    for entry in std::fs::read_dir(folder)?.flatten().filter(|entry| entry.path().is_dir()) {
        let unlocked = File::create(entry.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
        if unlocked {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let new = tempfile::TempDir::with_prefix_in("run-", folder)?.keep();
    let lock = File::create(new.join("lock"))?;
    lock.lock()?;
    Ok((new, lock))
}

/// Keeps two runs from working in one folder at a time.
fn lock(folder: &Path) -> Result<File, Fatal> {
    let path = folder.join(".lock");
    let file = File::create(&path)
        .map_err(|e| Fatal::new(Exit::Unavailable, format!("cannot write {}: {e}", path.display())))?;
    file.try_lock().map_err(|_| {
        let message =
            format!("another run is at work in {}; wait for it, or choose another `store`", folder.display());
        Fatal::new(Exit::TryAgain, message)
    })?;
    Ok(file)
}
