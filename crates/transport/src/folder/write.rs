//! Writing whole files, so that nobody ever sees half of one.

use super::{LOCK, UNFINISHED};
use crate::{Condition, Version};
use bytes::Bytes;
use std::collections::HashSet;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A new file for an object that is being written. Who may read it is what the umask says, as of any program's files:
/// temporary files are their owner's alone otherwise.
pub(super) fn unfinished(root: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    let builder = builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(root.join(UNFINISHED))
}

/// Puts objects in their places, in their order, so that a crash leaves the first of them, whole, and none of the others.
/// How many are in their places, and why the next one is not.
pub(super) fn commit_together(objects: &[(PathBuf, Bytes)], root: &Path) -> (usize, std::io::Result<()>) {
    if let [(place, value)] = objects {
        let written = unfinished(root).and_then(|mut file| {
            file.write_all(value)?;
            commit(file, place, false)
        });
        return (usize::from(written.is_ok()), written);
    }
    let (mut files, mut failed) = (Vec::with_capacity(objects.len()), Ok(()));
    for (_, value) in objects {
        match unfinished(root).and_then(|mut file| file.write_all(value).map(|()| file)) {
            // Not kept open: there may be more of them than a process may have open.
            Ok(file) => files.push(file.into_temp_path()),
            Err(error) => {
                failed = Err(error);
                break;
            }
        }
    }
    if let Err(error) = sync_all(root, files.iter().map(AsRef::as_ref)) {
        return (0, Err(error));
    }
    let (mut written, mut known) = (0, HashSet::new());
    for (file, (place, _)) in files.into_iter().zip(objects) {
        let folder = place.parent().unwrap_or(root);
        let made = if known.contains(folder) { Ok(()) } else { make_folder(folder) };
        if let Err(error) = made.and_then(|()| file.persist(place).map_err(|e| e.error)) {
            failed = Err(error);
            break;
        }
        known.insert(folder.to_path_buf());
        written += 1;
    }
    // Renamed in order, and journals keep that order; now they are safe too.
    match sync_all(root, known.iter().map(PathBuf::as_path)) {
        Ok(()) => (written, failed),
        Err(error) => (0, Err(error)),
    }
}

/// Has the disk of `root` keep these files and folders: with one call where the system has one for that.
#[cfg(target_os = "linux")]
fn sync_all<'a>(root: &Path, _: impl Iterator<Item = &'a Path>) -> std::io::Result<()> {
    Ok(rustix::fs::syncfs(std::fs::File::open(root)?)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_all<'a>(_: &Path, paths: impl Iterator<Item = &'a Path>) -> std::io::Result<()> {
    paths.into_iter().try_for_each(|path| std::fs::File::open(path)?.sync_all())
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| match error.kind() {
        // A file lies where a folder must be: another key is a prefix of this one.
        ErrorKind::NotADirectory => std::io::Error::new(ErrorKind::AlreadyExists, error),
        _ => error,
    })
}

/// Puts a finished file in its place so that a crash leaves the old object, the new one, or none; never half of one.
pub(super) fn commit(file: tempfile::NamedTempFile, place: &Path, is_new: bool) -> std::io::Result<()> {
    file.as_file().sync_data()?;
    let folder = place.parent().ok_or(ErrorKind::InvalidInput)?;
    make_folder(folder)?;
    if is_new { file.persist_noclobber(place) } else { file.persist(place) }.map_err(|e| e.error)?;
    std::fs::File::open(folder)?.sync_all()
}

/// Writes `value` to `place` if `condition` holds. Processes that share the locks of `root`'s disk do so one after the
/// other. On a disk without locks what was read just before decides, and for new files a link that replaces nothing.
/// Nothing is written, and no version comes back, when the condition does not hold.
pub(super) fn write_if(
    place: &Path,
    root: &Path,
    value: &[u8],
    condition: &Condition,
) -> std::io::Result<Option<Version>> {
    let scratch = root.join(UNFINISHED);
    let lock = std::fs::File::options().create(true).truncate(false).write(true).open(scratch.join(LOCK))?;
    match lock.lock() {
        Err(error) if error.kind() != ErrorKind::Unsupported => return Err(error),
        _ => {}
    }
    let found = match std::fs::read(place) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
        other => Some(Version::of_content(&other?)),
    };
    if !condition.holds(found.as_ref()) {
        return Ok(None);
    }
    let mut file = unfinished(root)?;
    file.write_all(value)?;
    let is_new = matches!(condition, Condition::Absent);
    match commit(file, place, is_new) {
        // A write without a condition came in between.
        Err(error) if is_new && error.kind() == ErrorKind::AlreadyExists && place.is_file() => Ok(None),
        other => other.map(|()| Some(Version::of_content(value))),
    }
}
