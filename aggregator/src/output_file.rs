//! Files that outputs are written to until their image is finished: in memory as long as they are small.

use bytes::Bytes;
use marquetry_transport::Content;
use std::fs::File;
use std::io::{self, BufWriter, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// A file of more bytes than this lies on disk.
const MEMORY_BYTES_MAX: u64 = 1 << 20;

/// A folder for one image's unfinished files, made when the first of them needs it: most images need none. Removed with all that
/// is in it when this is dropped.
#[derive(Debug, Clone)]
pub(crate) struct ScratchFolder {
    parent: PathBuf,
    made: Arc<Mutex<Option<TempDir>>>,
}

impl ScratchFolder {
    /// A folder that will lie in `parent`.
    pub(crate) fn new(parent: &Path) -> Self {
        Self { parent: parent.to_path_buf(), made: Arc::default() }
    }

    /// The path of a file of this name in it.
    pub(crate) fn file(&self, name: &str) -> io::Result<PathBuf> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = match &mut *made {
            Some(folder) => folder,
            none => none.insert(TempDir::new_in(&self.parent)?),
        };
        Ok(folder.path().join(name))
    }
}

/// A file that is not finished: in memory, and on disk once it is too large for that. Clones are the same file. Not one of `tempfile`'s,
/// which has no name on disk by which a store could take it.
#[derive(Debug, Clone)]
pub(crate) struct UnfinishedFile(Arc<Mutex<Place>>);

#[derive(Debug)]
enum Place {
    Memory { bytes: Cursor<Vec<u8>>, folder: ScratchFolder, name: String },
    Disk { file: BufWriter<File>, path: PathBuf },
}

impl UnfinishedFile {
    /// An empty file that is called `name`, should it have to lie in `folder`.
    pub(crate) fn new(folder: &ScratchFolder, name: &str) -> Self {
        let (folder, name) = (folder.clone(), name.to_owned());
        Self(Arc::new(Mutex::new(Place::Memory { bytes: Cursor::default(), folder, name })))
    }

    /// All that was written.
    ///
    /// # Errors
    /// When the disk is in trouble.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        match &mut *self.place() {
            Place::Memory { bytes, .. } => Ok(bytes.get_ref().clone()),
            Place::Disk { file, path } => {
                file.flush()?;
                let mut bytes = Vec::new();
                File::open(path)?.read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves it to disk if `more` bytes would make it too large for memory.
    fn make_room(place: &mut Place, more: usize) -> io::Result<()> {
        let Place::Memory { bytes, folder, name } = place else { return Ok(()) };
        if bytes.position() + more as u64 <= MEMORY_BYTES_MAX {
            return Ok(());
        }
        let path = folder.file(name)?;
        let mut file = BufWriter::new(File::create(&path)?);
        file.write_all(bytes.get_ref())?;
        file.seek(SeekFrom::Start(bytes.position()))?;
        *place = Place::Disk { file, path };
        Ok(())
    }
}

impl Write for UnfinishedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut place = self.place();
        Self::make_room(&mut place, bytes.len())?;
        match &mut *place {
            Place::Memory { bytes: memory, .. } => memory.write(bytes),
            Place::Disk { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut *self.place() {
            Place::Memory { .. } => Ok(()),
            Place::Disk { file, .. } => file.flush(),
        }
    }
}

impl Seek for UnfinishedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut *self.place() {
            Place::Memory { bytes, .. } => bytes.seek(to),
            Place::Disk { file, .. } => file.seek(to),
        }
    }
}

/// A finished file.
#[derive(Debug, Clone)]
pub struct OutputFile {
    /// Where it goes, below the job's outputs.
    pub place: String,
    held: Held,
}

#[derive(Debug, Clone)]
enum Held {
    Bytes(Bytes),
    Written(UnfinishedFile),
    /// In a folder that is there as long as this is.
    Path {
        path: PathBuf,
        _folder: ScratchFolder,
    },
}

impl OutputFile {
    /// One of these bytes.
    pub(crate) fn of_bytes(place: String, bytes: impl Into<Bytes>) -> Self {
        Self { place, held: Held::Bytes(bytes.into()) }
    }

    /// One that is, or is still being, written to `file`.
    pub(crate) fn written(place: String, file: UnfinishedFile) -> Self {
        Self { place, held: Held::Written(file) }
    }

    /// One that lies at `path`, in `folder`.
    pub(crate) fn at(place: String, path: PathBuf, folder: ScratchFolder) -> Self {
        Self { place, held: Held::Path { path, _folder: folder } }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// When the disk is in trouble.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match &self.held {
            Held::Bytes(bytes) => Ok(bytes.to_vec()),
            Held::Written(file) => file.read(),
            Held::Path { path, .. } => std::fs::read(path),
        }
    }

    /// What a store is to write.
    ///
    /// # Errors
    /// When the disk is in trouble.
    pub(crate) fn content(&self) -> io::Result<Content> {
        match &self.held {
            Held::Bytes(bytes) => Ok(Content::Bytes(bytes.clone())),
            Held::Path { path, .. } => Ok(Content::File(path.clone())),
            Held::Written(file) => match &mut *file.place() {
                Place::Memory { bytes, .. } => Ok(Content::Bytes(Bytes::copy_from_slice(bytes.get_ref()))),
                Place::Disk { file, path } => {
                    file.flush()?;
                    Ok(Content::File(path.clone()))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_in_memory_and_on_disk() {
        let parent = tempfile::tempdir().unwrap();
        for blocks in [1, 3, 5] {
            let folder = ScratchFolder::new(parent.path());
            let mut file = UnfinishedFile::new(&folder, "mask");
            let mut plain = Cursor::new(Vec::new());
            for block in 0..blocks {
                let bytes = vec![block as u8; 300_000];
                file.write_all(&bytes).unwrap();
                plain.write_all(&bytes).unwrap();
            }
            // A header that is filled in last, and a seek back to the end.
            for to in [SeekFrom::Start(4), SeekFrom::End(0)] {
                assert_eq!(file.seek(to).unwrap(), plain.seek(to).unwrap());
                file.write_all(b"header").unwrap();
                plain.write_all(b"header").unwrap();
            }
            file.flush().unwrap();
            assert!(file.read().unwrap() == plain.into_inner(), "{blocks} blocks");
            let on_disk = std::fs::read_dir(parent.path()).unwrap().count();
            assert_eq!(on_disk > 0, blocks > 3, "only what is large is on disk");
            drop((folder, file));
        }
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0, "and it goes with its image");
    }
}
