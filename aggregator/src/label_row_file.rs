//! Label rows that are read again: in memory while they are few, in a nameless temporary file when they are many.

use std::io::{BufReader, Read, Result, Seek, SeekFrom, Write};
use std::path::Path;
use tempfile::SpooledTempFile;

/// Bytes held in memory before a file is used.
const MEMORY_BYTES: usize = 16 << 20;
/// Bytes read at a time.
const READ_BYTES: usize = 1 << 18;

/// Rows of labels, `[planes, W]` each, written once and then read from the top as often as need be.
pub(crate) struct LabelRowFile {
    file: SpooledTempFile,
    values: usize,
    wide: bool,
    bytes: Vec<u8>,
}

impl LabelRowFile {
    /// No rows yet; each has `values` labels, none greater than `max_value`. Many rows lie in `folder`.
    pub(crate) fn new(values: usize, max_value: u16, folder: &Path) -> Self {
        let file = tempfile::spooled_tempfile_in(MEMORY_BYTES, folder);
        Self { file, values, wide: max_value > 255, bytes: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: &[u16]) -> Result<()> {
        self.bytes.clear();
        if self.wide {
            self.bytes.extend(row.iter().flat_map(|v| v.to_le_bytes()));
        } else {
            self.bytes.extend(row.iter().map(|&v| v as u8));
        }
        self.file.write_all(&self.bytes)
    }

    /// All rows from the top. Nothing is to be added afterwards.
    pub(crate) fn rows(&mut self) -> Result<LabelRows<'_>> {
        let end = self.file.seek(SeekFrom::End(0))?;
        self.file.seek(SeekFrom::Start(0))?;
        let row_bytes = self.values * if self.wide { 2 } else { 1 };
        Ok(LabelRows {
            left: end / row_bytes as u64,
            reader: BufReader::with_capacity(READ_BYTES, &mut self.file),
            wide: self.wide,
            bytes: vec![0; row_bytes],
            row: vec![0; self.values],
        })
    }

    /// Gives every row to `each`, from the top.
    pub(crate) fn read<E: From<std::io::Error>>(
        &mut self,
        mut each: impl FnMut(&mut [u16]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut rows = self.rows()?;
        while let Some(row) = rows.next_row()? {
            each(row)?;
        }
        Ok(())
    }
}

/// The rows of a [`LabelRowFile`], one after the other.
pub(crate) struct LabelRows<'a> {
    reader: BufReader<&'a mut SpooledTempFile>,
    left: u64,
    wide: bool,
    bytes: Vec<u8>,
    row: Vec<u16>,
}

impl LabelRows<'_> {
    /// The next row; nothing below the last.
    pub(crate) fn next_row(&mut self) -> Result<Option<&mut [u16]>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.reader.read_exact(&mut self.bytes)?;
        if self.wide {
            let pairs = self.bytes.as_chunks::<2>().0;
            self.row.iter_mut().zip(pairs).for_each(|(v, b)| *v = u16::from_le_bytes(*b));
        } else {
            self.row.iter_mut().zip(&self.bytes).for_each(|(v, b)| *v = u16::from(*b));
        }
        Ok(Some(&mut self.row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_every_time() {
        let folder = tempfile::tempdir().unwrap();
        for (max, rows) in [(255, 3_usize), (999, 2), (999, 40_000)] {
            let mut file = LabelRowFile::new(512, max, folder.path());
            let row =
                |y: usize| (0..512).map(|x| ((y * 31 + x) % (max as usize + 1)) as u16).collect::<Vec<_>>();
            (0..rows).for_each(|y| file.push(&row(y)).unwrap());
            for _ in 0..2 {
                let mut y = 0;
                file.read(|read| {
                    assert_eq!(read, row(y));
                    y += 1;
                    Ok::<_, std::io::Error>(())
                })
                .unwrap();
                assert_eq!(y, rows);
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
