//! What names a file's content without reading all of it.

use super::{FileStat, Files, Source};
use crate::FileError;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that are read of a file of this machine at its beginning, in its middle, and at its end.
const SAMPLE_BYTES: u64 = 4 << 10;

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
}

/// The hash of parts of a file of `length` bytes; of all of it where it is short.
fn sample(mut file: impl Read + Seek, length: u64) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = Vec::new();
    let mut add = |file: &mut dyn Read, bytes: u64| -> io::Result<()> {
        buffer.clear();
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
