//! Files of a store, kept on this machine's disk by the hash of their content, within a limit.
//!
//! ```text
//! <folder>/content/<xx>/<sha256>     what was fetched
//! <folder>/names/<hash>              the hash of the content that a URI had in one version
//! <folder>/unfinished/…              what is being fetched; `.part` is gone on with by the next who wants it
//! <folder>/lock                      held shared to take or add, alone to remove
//! ```
//! Several processes may share the folder. Whoever uses a file holds a lock on it; whoever makes room takes away the
//! files that were not used for longest and that nobody holds.

use sha2::{Digest, Sha256};
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tempfile::{NamedTempFile, TempPath};

/// What others add is only seen when the folder is looked through; that happens after so large a part of the limit.
const RESCAN_AFTER: u64 = 16;
/// What was not finished by then was left behind by a process that is gone.
const ABANDONED: Duration = Duration::from_hours(24);

/// Where files are kept, and how much of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// The folder.
    pub folder: PathBuf,
    /// Most bytes of files that nobody uses; those in use may take more.
    pub bytes_max: u64,
}

/// A file of this machine that stays what and where it is for as long as this value lives.
#[derive(Debug)]
pub struct LocalFile {
    path: PathBuf,
    /// Holds the lock that keeps the file from being removed; nothing for a file that is no copy.
    _held: Option<File>,
}

impl LocalFile {
    /// A file of the user's own.
    pub(super) const fn own(path: PathBuf) -> Self {
        Self { path, _held: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A file that is being fetched.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) file: File,
    path: TempPath,
}

/// A folder of copies.
#[derive(Debug)]
pub(super) struct DiskCache {
    options: CacheOptions,
    usage: Mutex<Usage>,
}

/// How full the folder is, as far as this process knows.
#[derive(Debug, Default)]
struct Usage {
    /// Whether the folder was looked through at all.
    is_known: bool,
    /// What lay there then.
    scanned_bytes: u64,
    /// Added by this process since then.
    added_bytes: u64,
}

impl DiskCache {
    pub(super) fn new(options: CacheOptions) -> Self {
        Self { options, usage: Mutex::default() }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.options.folder
    }

    /// The content of this hash, if it is here.
    pub(super) fn content(&self, sha256: &str) -> io::Result<Option<LocalFile>> {
        let _lock = self.lock_folder(false)?;
        self.lock_content(sha256)
    }

    /// The hash of the content that had this name.
    pub(super) fn named(&self, name: &str) -> Option<String> {
        let hash = std::fs::read_to_string(self.name(name)).ok()?;
        is_hash(&hash).then_some(hash)
    }

    /// A file to fetch something into, gone when it is not kept.
    pub(super) fn unfinished(&self) -> io::Result<Unfinished> {
        let (file, path) = NamedTempFile::new_in(self.scratch()?)?.into_parts();
        Ok(Unfinished { file, path })
    }

    /// The file into which the content called `name` is fetched, with what is there of it already: it stays until it is
    /// kept or abandoned for a day. A file of its own where another process has that one in hand.
    pub(super) fn part(&self, name: &str) -> io::Result<Unfinished> {
        let path = self.scratch()?.join(format!("{name}.part"));
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
        match file.try_lock() {
            // Whoever had it may have finished it in between; then this is another's content by now.
            Ok(()) if is_same_file(&file, &path) => {
                let mut path = TempPath::try_from_path(path)?;
                path.disable_cleanup(true);
                Ok(Unfinished { file, path })
            }
            Ok(()) | Err(TryLockError::WouldBlock) => self.unfinished(),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn scratch(&self) -> io::Result<PathBuf> {
        let folder = self.options.folder.join("unfinished");
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Writes some bytes to the disk, reads them back and removes them.
    pub(super) fn test(&self) -> io::Result<()> {
        const BYTES: usize = 64 << 10;
        let mut test = self.unfinished()?;
        let written: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
        test.file.write_all(&written)?;
        test.file.sync_data()?;
        test.file.rewind()?;
        let mut read = Vec::with_capacity(BYTES);
        test.file.read_to_end(&mut read)?;
        let _lock = self.lock_folder(false)?;
        if read == written {
            Ok(())
        } else {
            Err(io::Error::other("it gives back other bytes than were written"))
        }
    }

    /// Keeps a fetched file whose content has this hash, under `name`.
    pub(super) fn insert(&self, fetched: Unfinished, sha256: &str, name: &str) -> io::Result<LocalFile> {
        let Unfinished { file, path: unfinished } = fetched;
        self.make_room(file.metadata()?.len())?;
        let _lock = self.lock_folder(false)?;
        let path = self.path(sha256);
        std::fs::create_dir_all(path.parent().unwrap_or(&self.options.folder))?;
        file.lock_shared()?;
        let kept = match unfinished.persist_noclobber(&path) {
            Ok(()) => LocalFile { path, _held: Some(file) },
            // Another was quicker, with the same content. Its file may be in use by its path and must stay.
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
                let _ = std::fs::remove_file(&error.path);
                self.lock_content(sha256)?.ok_or(ErrorKind::NotFound)?
            }
            Err(error) => return Err(error.error),
        };
        let mut note = self.unfinished()?;
        note.file.write_all(sha256.as_bytes())?;
        let name = self.name(name);
        std::fs::create_dir_all(name.parent().unwrap_or(&self.options.folder))?;
        note.path.persist(name).map_err(|e| e.error)?;
        Ok(kept)
    }

    /// Takes away content that was found damaged.
    pub(super) fn discard(&self, sha256: &str) -> io::Result<()> {
        let _lock = self.lock_folder(true)?;
        match std::fs::remove_file(self.path(sha256)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Bytes that the cache holds, as far as this process knows.
    pub(super) fn bytes(&self) -> u64 {
        let usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.scanned_bytes + usage.added_bytes
    }

    /// Removes what was not used for longest until `incoming` bytes more are within the limit.
    fn make_room(&self, incoming: u64) -> io::Result<()> {
        let max = self.options.bytes_max;
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.added_bytes += incoming;
        let is_recent = usage.is_known && usage.added_bytes < max / RESCAN_AFTER;
        if is_recent && usage.scanned_bytes + usage.added_bytes <= max {
            return Ok(());
        }
        let _lock = self.lock_folder(true)?;
        let mut files = self.scan()?;
        files.sort_by_key(|file| file.used);
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        for file in &files {
            if bytes.saturating_add(incoming) <= max {
                break;
            }
            if remove_unused(&file.path)? {
                tracing::debug!(file = %file.path.display(), "removed from the cache");
                bytes -= file.bytes;
            }
        }
        self.remove_leftovers();
        *usage = Usage { is_known: true, scanned_bytes: bytes, added_bytes: incoming };
        Ok(())
    }

    fn scan(&self) -> io::Result<Vec<CachedFile>> {
        let mut found = Vec::new();
        for folder in entries(&self.options.folder.join("content"))? {
            for path in entries(&folder)? {
                // What is gone by now is no loss.
                let Ok(meta) = path.metadata() else { continue };
                let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push(CachedFile { path, bytes: meta.len(), used });
            }
        }
        Ok(found)
    }

    /// Takes away names of nothing and what was never finished. No loss if that fails.
    fn remove_leftovers(&self) {
        for name in entries(&self.options.folder.join("names")).unwrap_or_default() {
            let hash = std::fs::read_to_string(&name).unwrap_or_default();
            if !is_hash(&hash) || !self.path(&hash).exists() {
                let _ = std::fs::remove_file(name);
            }
        }
        for path in entries(&self.options.folder.join("unfinished")).unwrap_or_default() {
            let written = path.metadata().and_then(|m| m.modified()).ok();
            if written.and_then(|t| t.elapsed().ok()).is_some_and(|age| age > ABANDONED) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// The content of this hash; the caller holds the folder's lock, so that nobody removes it before it is locked.
    fn lock_content(&self, sha256: &str) -> io::Result<Option<LocalFile>> {
        let path = self.path(sha256);
        let held = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        held.lock_shared()?;
        // The time of writing stands for that of use. On a disk that does not let us, the oldest goes first.
        let _ = held.set_modified(SystemTime::now());
        Ok(Some(LocalFile { path, _held: Some(held) }))
    }

    fn lock_folder(&self, alone: bool) -> io::Result<File> {
        std::fs::create_dir_all(&self.options.folder)?;
        let path = self.options.folder.join("lock");
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        if alone {
            file.lock()?;
        } else {
            file.lock_shared()?;
        }
        Ok(file)
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.options.folder.join("content").join(sha256.get(..2).unwrap_or("xx")).join(sha256)
    }

    fn name(&self, name: &str) -> PathBuf {
        self.options.folder.join("names").join(name)
    }
}

struct CachedFile {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// Removes a file unless somebody holds it; whether it is gone.
fn remove_unused(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    match file.try_lock() {
        Ok(()) => std::fs::remove_file(path).map(|()| true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether `path` still leads to this open file.
#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let name = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    file.metadata().map(name).ok() == path.metadata().map(name).ok()
}

/// Where it cannot be told, no file is shared.
#[cfg(not(unix))]
fn is_same_file(_: &File, _: &Path) -> bool {
    false
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        other => other?.map(|entry| Ok(entry?.path())).collect(),
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// SHA-256 of a file, hexadecimal.
pub(super) fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(sha.finalize())),
            n => sha.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(cache: &DiskCache, content: &[u8], name: &str) -> (String, LocalFile) {
        let mut file = cache.unfinished().unwrap();
        file.file.write_all(content).unwrap();
        let hash = hash_file(&file.path).unwrap();
        let kept = cache.insert(file, &hash, name).unwrap();
        // File systems tell times of a few milliseconds apart.
        std::thread::sleep(Duration::from_millis(15));
        (hash, kept)
    }

    fn cache(folder: &Path, bytes_max: u64) -> DiskCache {
        DiskCache::new(CacheOptions { folder: folder.to_path_buf(), bytes_max })
    }

    #[test]
    fn the_longest_unused_goes_first_and_what_is_held_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 1000);
        let (held_hash, held) = add(&cache, &[0; 400], "held");
        let (a, _) = add(&cache, &[1; 300], "a");
        let (b, _) = add(&cache, &[2; 300], "b");
        drop(cache.content(&a).unwrap().unwrap());
        std::thread::sleep(Duration::from_millis(15));
        let (c, _) = add(&cache, &[3; 200], "c");
        let here = |hash: &str| cache.content(hash).unwrap().is_some();
        assert!(here(&held_hash) && here(&a) && here(&c) && !here(&b), "b was not used for longest");
        assert!(cache.named("b").is_none() && cache.named("a").as_ref() == Some(&a));
        assert_eq!(std::fs::read(held.path()).unwrap(), [0; 400]);
        drop(held);
        // Larger than all the rest: everything else goes.
        let (d, _) = add(&cache, &[4; 5000], "d");
        assert!(here(&d) && !here(&held_hash) && !here(&a) && !here(&c));
    }

    #[test]
    fn two_processes_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (cache(folder.path(), 1000), cache(folder.path(), 1000));
        let (hash, held) = add(&one, &[5; 600], "x");
        assert_eq!(two.named("x"), Some(hash.clone()));
        let (same, again) = add(&two, &[5; 600], "y");
        assert!(same == hash && again.path() == held.path(), "equal content is kept once");
        drop(again);
        let (_, _other) = add(&two, &[6; 600], "z");
        assert!(held.path().exists(), "one holds it, so two must not remove it");
        drop(held);
        let _ = add(&two, &[7; 300], "w");
        assert!(one.content(&hash).unwrap().is_none());
    }

    #[test]
    fn what_was_left_unfinished_is_gone_on_with_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (cache(folder.path(), 1000), cache(folder.path(), 1000));
        let mut first = one.part("x").unwrap();
        first.file.write_all(b"half ").unwrap();
        let mut meanwhile = two.part("x").unwrap();
        assert_eq!(meanwhile.file.read_to_end(&mut Vec::new()).unwrap(), 0, "another is at it");
        drop(first);
        let mut second = two.part("x").unwrap();
        let mut had = Vec::new();
        second.file.read_to_end(&mut had).unwrap();
        assert_eq!(had, b"half ");
        second.file.write_all(b"and half").unwrap();
        let hash = hash_file(&second.path).unwrap();
        let kept = two.insert(second, &hash, "x").unwrap();
        assert_eq!(std::fs::read(kept.path()).unwrap(), b"half and half");
        assert_eq!(one.part("x").unwrap().file.metadata().unwrap().len(), 0, "the next one begins anew");
        one.test().unwrap();
    }

    #[test]
    fn what_is_damaged_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 1000);
        let (hash, kept) = add(&cache, b"model", "x");
        std::fs::write(kept.path(), b"mo").unwrap();
        assert_ne!(hash_file(kept.path()).unwrap(), hash);
        cache.discard(&hash).unwrap();
        assert!(cache.content(&hash).unwrap().is_none());
    }
}
