//! What names a file: quickly and well enough to notice a change, or by all of its content.

use super::{FileStat, Files, Source};
use crate::FileError;
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes that are read of a file of this machine at its beginning, in its middle, and at its end.
const SAMPLE_BYTES: u64 = 4 << 10;
/// Bytes that are hashed at once.
const HASHED_BYTES: usize = 1 << 17;
/// Clocks of file systems tick this coarsely: what changed less than this before it was looked at may change again and keep
/// its stamp.
const TICK: Duration = Duration::from_secs(2);

/// What changes with any change of a file, and is had without reading it: of a file of this machine its length, when it was
/// written and when its entry changed, and its number on its disk; of an object its version and length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStamp {
    /// The stamp: two that are equal are of one content.
    pub text: String,
    /// Whether it may be relied on from now on. A file that was written a moment ago may be written again in the same tick of
    /// the clock.
    pub is_settled: bool,
}

impl Files {
    /// Names the content of a file whose length and version are `stat`.
    ///
    /// An object's version is its content's. A file of this machine may have been changed for another one that is as long
    /// and was written at the same time (copies and archives keep that), so parts of its content count too. What does not:
    /// inode and time of change, which other rights, another name or a copy of the whole folder would change as well.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn fingerprint(&self, uri: &str, stat: &FileStat) -> Result<String, FileError> {
        let known = stat.fingerprint();
        let Source::Local(path) = self.source("read", uri)? else { return Ok(known) };
        let sampled = File::open(path).and_then(|file| sample(file, stat.size_bytes));
        Ok(format!("{known}-{}", sampled.map_err(|error| FileError::of_disk("read", uri, error))?))
    }

    /// The stamp of a file. `stat` spares a request for an object of which it is known.
    ///
    /// # Errors
    /// When there is none, or it cannot be looked at.
    pub fn stamp(&self, uri: &str, stat: Option<&FileStat>) -> Result<FileStamp, FileError> {
        match (self.source("read", uri)?, stat) {
            (Source::Local(path), _) => {
                let meta = std::fs::metadata(path).map_err(|error| FileError::of_disk("read", uri, error))?;
                Ok(stamp_of(&meta, SystemTime::now()))
            }
            (Source::S3(..), Some(stat)) => Ok(FileStamp { text: stat.fingerprint(), is_settled: true }),
            (Source::S3(..), None) => Ok(FileStamp { text: self.stat(uri)?.fingerprint(), is_settled: true }),
        }
    }

    /// Names all of a file's content, wherever it lies and whenever it was written: of a file of this machine, which is read
    /// to its end, the SHA-256; of an object its length and `ETag`, since its store vouches for that. An object's copy may
    /// have another one, where it was stored in other parts.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn content(&self, uri: &str, stat: Option<&FileStat>) -> Result<String, FileError> {
        let Source::Local(path) = self.source("read", uri)? else { return Ok(self.stamp(uri, stat)?.text) };
        let hashed = File::open(path).and_then(|mut file| {
            // One byte more than there should be, so that a short file ends with the first read but one.
            let length = usize::try_from(file.metadata()?.len()).unwrap_or(HASHED_BYTES);
            let (mut hash, mut buffer) = (Sha256::new(), vec![0; HASHED_BYTES.min(length + 1)]);
            loop {
                match file.read(&mut buffer) {
                    Ok(0) => return Ok(hex::encode(hash.finalize())),
                    Ok(bytes) => hash.update(&buffer[..bytes]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        });
        hashed.map_err(|error| FileError::of_disk("read", uri, error))
    }
}

#[cfg(unix)]
fn stamp_of(meta: &Metadata, now: SystemTime) -> FileStamp {
    use std::os::unix::fs::MetadataExt;
    let (written, changed) = ((meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
    let text = format!("{} {written:?} {changed:?} {} {}", meta.size(), meta.dev(), meta.ino());
    let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(changed.0.max(written.0)).unwrap_or(0));
    FileStamp { text, is_settled: now.duration_since(at).is_ok_and(|age| age >= TICK) }
}

/// Elsewhere nothing tells that a file was replaced by one of the same length and time, so nothing is relied on.
#[cfg(not(unix))]
fn stamp_of(meta: &Metadata, _: SystemTime) -> FileStamp {
    FileStamp { text: format!("{} {:?}", meta.len(), meta.modified().ok()), is_settled: false }
}

/// The hash of parts of a file of `length` bytes; of all of it where it is short.
fn sample(mut file: impl Read + Seek, length: u64) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = Vec::new();
    let mut add = |file: &mut dyn Read, bytes: u64| -> io::Result<()> {
        buffer.clear();
        // All of it at once: of what is taken of a file nobody knows how long it is.
        buffer.reserve(bytes as usize);
        file.take(bytes).read_to_end(&mut buffer)?;
        hash.update(&buffer);
        Ok(())
    };
    if length <= 3 * SAMPLE_BYTES {
        add(&mut file, length)?;
    } else {
        for at in [0, (length - SAMPLE_BYTES) / 2, length - SAMPLE_BYTES] {
            file.seek(SeekFrom::Start(at))?;
            add(&mut file, SAMPLE_BYTES)?;
        }
    }
    Ok(hash.finalize()[..8].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn beginning_middle_and_end_count() {
        let of = |bytes: &[u8]| sample(Cursor::new(bytes), bytes.len() as u64).unwrap();
        for length in [0, 1, 12 << 10, (12 << 10) + 1, 100_000] {
            let plain = vec![0; length];
            for at in [0, length / 2, length.saturating_sub(1)].into_iter().filter(|at| *at < length) {
                let mut other = plain.clone();
                other[at] = 1;
                assert_ne!(of(&plain), of(&other), "byte {at} of {length}");
            }
            assert_eq!(of(&plain), of(&plain.clone()));
        }
    }

    /// A tool may set when a file was written, and nobody when its entry changed.
    #[cfg(unix)]
    #[test]
    fn a_stamp_changes_with_every_write_and_is_relied_on_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let (files, path) = (Files::local_only(), folder.path().join("a"));
        let uri = path.to_str().unwrap();
        let put = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let when = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
            File::options().write(true).open(&path).unwrap().set_modified(when).unwrap();
            std::fs::metadata(&path).unwrap()
        };
        let one = put(b"one");
        let now = one.modified().unwrap().max(SystemTime::now());
        assert!(!stamp_of(&one, now).is_settled && stamp_of(&one, now + 2 * TICK).is_settled);
        assert!(!stamp_of(&one, UNIX_EPOCH).is_settled, "a clock that was put back");
        let content = files.content(uri, None).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let two = put(b"two");
        assert_ne!(stamp_of(&one, now).text, stamp_of(&two, now).text);
        assert_ne!(files.content(uri, None).unwrap(), content);
        let moved = folder.path().join("b");
        std::fs::write(&moved, b"one").unwrap();
        assert_eq!(files.content(moved.to_str().unwrap(), None).unwrap(), content);
    }

    #[test]
    fn files_of_one_length_and_time_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let (files, path) = (Files::local_only(), folder.path().join("a"));
        let uri = path.to_str().unwrap();
        let when = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let put = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(when).unwrap();
            let stat = files.stat(uri).unwrap();
            (files.fingerprint(uri, &stat).unwrap(), stat)
        };
        let (one, other) = (put(b"one"), put(b"two"));
        assert!(one.1 == other.1 && one.0 != other.0);
        assert_eq!(put(b"one"), one);
    }
}
