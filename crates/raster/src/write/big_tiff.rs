//! A BigTIFF file of one image, its pixels first and its directory at the end.

use super::error::{Result, WriteError};
use std::io::{Seek, SeekFrom, Write};

/// The values of a tag.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// Text, in the bytes that it was found in; a final zero is added.
    Ascii(Vec<u8>),
    Short(Vec<u16>),
    Long(Vec<u32>),
    Double(Vec<f64>),
    Long8(Vec<u64>),
}

impl Values {
    /// The type's number, the count, and the bytes in little-endian order.
    fn encode(&self) -> (u16, u64, Vec<u8>) {
        match self {
            Self::Ascii(text) => {
                let bytes = [text.as_slice(), &[0]].concat();
                (2, bytes.len() as u64, bytes)
            }
            Self::Short(all) => (3, all.len() as u64, all.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Self::Long(all) => (4, all.len() as u64, all.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Self::Double(all) => (12, all.len() as u64, all.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Self::Long8(all) => (16, all.len() as u64, all.iter().flat_map(|x| x.to_le_bytes()).collect()),
        }
    }
}

/// Writes pieces as they come, and the directory that names them at the end.
#[derive(Debug)]
pub(super) struct BigTiff<W> {
    out: W,
    what: &'static str,
    at: u64,
}

/// Where the header says that the directory is.
const DIRECTORY_AT: u64 = 8;

impl<W: Write + Seek> BigTiff<W> {
    /// Writes the header, at the start of `out`.
    pub(super) fn new(out: W, what: &'static str) -> Result<Self> {
        let mut file = Self { out, what, at: 0 };
        // Little-endian, version 43, offsets of 8 bytes; the directory's place is filled in by `finish`.
        file.append(&[b'I', b'I', 43, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        Ok(file)
    }

    /// Writes a piece and answers where it is.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        let at = self.at;
        self.out.write_all(bytes).map_err(WriteError::io(self.what))?;
        self.at += bytes.len() as u64;
        Ok(at)
    }

    /// Writes the directory. `tags` may come in any order.
    pub(super) fn finish(mut self, mut tags: Vec<(u16, Values)>) -> Result<()> {
        tags.sort_by_key(|(tag, _)| *tag);
        let mut directory = (tags.len() as u64).to_le_bytes().to_vec();
        for (tag, values) in &tags {
            let (kind, count, mut bytes) = values.encode();
            directory.extend(tag.to_le_bytes());
            directory.extend(kind.to_le_bytes());
            directory.extend(count.to_le_bytes());
            if bytes.len() > 8 {
                self.align()?;
                bytes = self.append(&bytes)?.to_le_bytes().to_vec();
            }
            bytes.resize(8, 0);
            directory.extend(bytes);
        }
        directory.extend(0_u64.to_le_bytes());
        self.align()?;
        let at = self.append(&directory)?;
        let patch = |out: &mut W| {
            out.seek(SeekFrom::Start(DIRECTORY_AT))?;
            out.write_all(&at.to_le_bytes())?;
            out.flush()
        };
        patch(&mut self.out).map_err(WriteError::io(self.what))
    }

    /// Values begin at a multiple of eight.
    fn align(&mut self) -> Result<()> {
        let missing = self.at.next_multiple_of(8) - self.at;
        self.append(&[0; 8][..missing as usize]).map(drop)
    }
}
