//! Writing whole files, so that nobody ever sees half of one.

use super::{LOCK, UNFINISHED};
use crate::Content;
use bytes::Bytes;
use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The lock is held for a look and a rename: who has waited this long for it waits for a process that is stopped.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(2);
/// Between two tries to get the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// A new file for an object that is being written. Who may read it is what the umask says, as of any program's files:
/// temporary files are their owner's alone otherwise.
pub(super) fn unfinished(root: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    let builder = builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(root.join(UNFINISHED))
}

/// What came of objects that were to change together.
pub(super) struct Together {
    /// How many of them are as they were to be.
    pub(super) done: usize,
    /// Why the next one is not.
    pub(super) failed: std::io::Result<()>,
    /// Those among them that could not be removed, by their places, and why.
    pub(super) left: Vec<(usize, std::io::Error)>,
}

impl Together {
    const fn failed(error: std::io::Error) -> Self {
        Self { done: 0, failed: Err(error), left: Vec::new() }
    }
}

/// Puts objects in their places, and removes those without a value, in their order, so that a crash leaves the first of them
/// changed, each whole, and none of the others.
pub(super) fn commit_together(objects: &[(PathBuf, Option<Bytes>)], root: &Path) -> Together {
    let write = |value: &Bytes| {
        let mut file = unfinished(root)?;
        file.write_all(value)?;
        Ok(file)
    };
    if let [(place, Some(value))] = objects {
        let failed = write(value).and_then(|file| commit(file, place, false));
        return Together { done: usize::from(failed.is_ok()), failed, left: Vec::new() };
    }
    let (mut files, mut failed) = (Vec::with_capacity(objects.len()), Ok(()));
    for (_, value) in objects {
        match value.as_ref().map(write).transpose() {
            // Not kept open: there may be more of them than a process may have open.
            Ok(file) => files.push(file.map(tempfile::NamedTempFile::into_temp_path)),
            Err(error) => {
                failed = Err(error);
                break;
            }
        }
    }
    let written = || files.iter().flatten().map(AsRef::as_ref);
    // What is only removed may be there again after a crash.
    let has_files = written().next().is_some();
    if has_files && let Err(error) = sync_all(root, written()) {
        return Together::failed(error);
    }
    let (mut done, mut left, mut known) = (0, Vec::new(), HashSet::new());
    for (file, (place, _)) in files.into_iter().zip(objects) {
        let changed = if let Some(file) = file {
            put_in_place(file, place, &mut known)
        } else {
            remove(place).unwrap_or_else(|error| left.push((done, error)));
            Ok(())
        };
        if let Err(error) = changed {
            failed = Err(error);
            break;
        }
        done += 1;
    }
    // Renamed in order, and journals keep that order; now they are safe too.
    let synced = if has_files { sync_all(root, known.iter().copied()) } else { Ok(()) };
    match synced {
        Ok(()) => Together { done, failed, left },
        Err(error) => Together::failed(error),
    }
}

/// Renames a written file to `place`, whose folder is made unless it is `known` to be there.
fn put_in_place<'a>(
    file: tempfile::TempPath,
    place: &'a Path,
    known: &mut HashSet<&'a Path>,
) -> std::io::Result<()> {
    let folder = place.parent().ok_or(ErrorKind::InvalidInput)?;
    if !known.contains(folder) {
        make_folder(folder)?;
        known.insert(folder);
    }
    file.persist(place).map_err(|error| error.error)
}

/// Removes an object's file. Where there is none, objects may lie below it, and none is it.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        Err(_) if path.is_dir() => Ok(()),
        other => other,
    }
}

/// Has the disk of `root` keep these files and folders: with one call where the system has one for that.
#[cfg(target_os = "linux")]
fn sync_all<'a>(root: &Path, _: impl Iterator<Item = &'a Path>) -> std::io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(root)?)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_all<'a>(_: &Path, paths: impl Iterator<Item = &'a Path>) -> std::io::Result<()> {
    paths.into_iter().try_for_each(|path| File::open(path)?.sync_all())
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| match error.kind() {
        // A file lies where a folder must be: another key is a prefix of this one.
        ErrorKind::NotADirectory => std::io::Error::new(ErrorKind::AlreadyExists, error),
        _ => error,
    })
}

/// Writes what is to be in it to a new file.
pub(super) fn fill(file: &mut tempfile::NamedTempFile, content: &Content) -> std::io::Result<()> {
    match content {
        Content::Bytes(bytes) => file.write_all(bytes),
        Content::File(path) => std::io::copy(&mut File::open(path)?, file).map(|_| ()),
    }
}

/// Puts a finished file in its place so that a crash leaves the old object, the new one, or none; never half of one.
pub(super) fn commit(file: tempfile::NamedTempFile, place: &Path, is_new: bool) -> std::io::Result<()> {
    let folder = finished(&file, place)?;
    persist(file, place, is_new)?;
    File::open(folder)?.sync_all()
}

/// Has the disk keep a file, and makes the folder that it goes to.
fn finished<'a>(file: &tempfile::NamedTempFile, place: &'a Path) -> std::io::Result<&'a Path> {
    file.as_file().sync_data()?;
    let folder = place.parent().ok_or(ErrorKind::InvalidInput)?;
    make_folder(folder)?;
    Ok(folder)
}

fn persist(file: tempfile::NamedTempFile, place: &Path, is_new: bool) -> std::io::Result<()> {
    let persisted = if is_new { file.persist_noclobber(place) } else { file.persist(place) };
    persisted.map(|_| ()).map_err(|error| error.error)
}

/// Writes `content` to `place` if what is there `holds`, which `is_new` says is nothing; whether it was written.
///
/// Processes that share the locks of `root`'s disk look and write one after the other. On a disk without locks, and where
/// somebody keeps the lock, what was seen just before decides, and for new files a link that replaces nothing.
pub(super) fn write_if(
    place: &Path,
    root: &Path,
    content: &Content,
    holds: impl FnOnce(&Path) -> std::io::Result<bool>,
    is_new: bool,
) -> std::io::Result<bool> {
    let mut file = unfinished(root)?;
    fill(&mut file, content)?;
    let folder = finished(&file, place)?;
    let lock = lock(root)?;
    if !holds(place)? {
        return Ok(false);
    }
    match persist(file, place, is_new) {
        // A write without a condition came in between.
        Err(error) if is_new && error.kind() == ErrorKind::AlreadyExists && place.is_file() => {
            return Ok(false);
        }
        persisted => persisted?,
    }
    drop(lock);
    File::open(folder)?.sync_all()?;
    Ok(true)
}

/// The lock under which objects are looked at and renamed, until it is dropped. Whoever is stopped while it holds the lock keeps
/// nobody out for long.
fn lock(root: &Path) -> std::io::Result<File> {
    let place = root.join(UNFINISHED).join(LOCK);
    let lock = File::options().create(true).truncate(false).write(true).open(&place)?;
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_WAIT_MAX => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                tracing::warn!(lock = %place.display(), "somebody keeps it; going on without");
                return Ok(lock);
            }
            Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Unsupported => return Err(error),
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(lock),
        }
    }
}
