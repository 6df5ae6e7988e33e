//! Positioned reads of one file by any number of threads.

use super::error::ReadFault;
use super::guarded::guarded;
use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that can be read at any place by any number of threads: a file, or whatever the caller reads by ranges.
pub trait ReadAt: std::fmt::Debug + Send + Sync {
    /// Its length, bytes.
    ///
    /// # Errors
    /// When it cannot be looked at.
    fn length(&self) -> io::Result<u64>;

    /// Fills the beginning of `out` from byte `at` on; how many bytes that were. None: there are no more.
    ///
    /// # Errors
    /// When the disk or the network fails. Of kind `StaleNetworkFileHandle` when these are not the bytes any more that
    /// were opened; of kind `NotFound` or `PermissionDenied` when trying again makes no sense.
    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize>;
}

/// Bytes in memory; the length of the list is the length of the file.
impl ReadAt for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl ReadAt for File {
    fn length(&self) -> io::Result<u64> {
        let meta = self.metadata()?;
        if meta.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(meta.len())
    }

    #[cfg(unix)]
    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, out, at)
    }

    #[cfg(windows)]
    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, out, at)
    }
}

/// What an image is read from. It has no cursor, so that threads can read from it at once.
#[derive(Debug)]
pub(crate) struct Source {
    bytes: Box<dyn ReadAt>,
    length: u64,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, ReadFault> {
        let file = File::open(path).map_err(ReadFault::io)?;
        Self::of(Box::new(file))
    }

    pub(crate) fn of(bytes: Box<dyn ReadAt>) -> Result<Self, ReadFault> {
        let length = bytes.length().map_err(ReadFault::io)?;
        Ok(Self { bytes, length })
    }

    /// A file that was just written, `length` bytes long.
    pub(crate) fn written(file: File, length: u64) -> Self {
        Self { bytes: Box::new(file), length }
    }

    /// Bytes in the file.
    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// Fills `out` from byte `at` on.
    pub(crate) fn read_at(&self, at: u64, out: &mut [u8]) -> Result<(), ReadFault> {
        self.check(at, out.len() as u64)?;
        let mut done = 0;
        while done < out.len() {
            match self.bytes.read_at(at + done as u64, &mut out[done..]) {
                Ok(0) => return Err(ReadFault::unreadable("the file became shorter while it was read")),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadFault::io(error)),
            }
        }
        Ok(())
    }

    /// The `count` bytes from byte `at` on. No more is allocated than the file has.
    pub(crate) fn bytes(&self, at: u64, count: u64) -> Result<Vec<u8>, ReadFault> {
        self.check(at, count)?;
        let mut out = vec![0; count as usize];
        self.read_at(at, &mut out)?;
        Ok(out)
    }

    fn check(&self, at: u64, count: u64) -> Result<(), ReadFault> {
        match at.checked_add(count) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(ReadFault::unreadable(format!(
                "the file ends too early: {count} bytes are wanted from byte {at} on, it has {}",
                self.length
            ))),
        }
    }

    /// Runs a decoder that wants a stream. A fault of the disk stays one, whatever error the decoder makes of it.
    pub(crate) fn decode<T>(
        &self,
        decode: impl FnOnce(BufReader<Stream<'_>>) -> Result<T, ReadFault>,
    ) -> Result<T, ReadFault> {
        let failed = OnceCell::new();
        let stream = Stream { source: self, at: 0, failed: &failed };
        let result = guarded(|| decode(BufReader::with_capacity(64 << 10, stream)));
        match failed.into_inner() {
            Some(error) if result.is_err() => Err(ReadFault::io(error)),
            _ => result,
        }
    }
}

/// A cursor over a [`Source`] that remembers what the operating system complained about.
pub(crate) struct Stream<'a> {
    source: &'a Source,
    at: u64,
    failed: &'a OnceCell<io::Error>,
}

impl Read for Stream<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.source.bytes.read_at(self.at, out) {
            Ok(n) => {
                self.at += n as u64;
                Ok(n)
            }
            Err(error) => {
                let kind = error.kind();
                if kind != io::ErrorKind::Interrupted {
                    // Only the first complaint counts; later ones follow from it.
                    let _ = self.failed.set(error);
                }
                Err(kind.into())
            }
        }
    }
}

impl Seek for Stream<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.source.length.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
