//! Label rows that are read again: in memory while they are few, in a nameless temporary file when they are many.

use std::io::{BufReader, Read, Result, Seek, SeekFrom, Write};
use std::path::Path;
use tempfile::SpooledTempFile;

/// Bytes held in memory before a file is used.
const MEMORY_BYTES: usize = 16 << 20;

/// Rows of labels, `[planes, W]` each, written once and then read from the top as often as need be.
pub(crate) struct LabelSpool {
    file: SpooledTempFile,
    values: usize,
    wide: bool,
    bytes: Vec<u8>,
}

impl LabelSpool {
    /// An empty spool of rows of `values` labels, none greater than `max_value`. Large ones lie in `folder`.
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

    /// Gives every row to `each`, from the top.
    pub(crate) fn read<E: From<std::io::Error>>(
        &mut self,
        mut each: impl FnMut(&mut [u16]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let length = self.file.stream_position()?;
        self.file.seek(SeekFrom::Start(0))?;
        let row_bytes = self.values * if self.wide { 2 } else { 1 };
        self.bytes.resize(row_bytes, 0);
        let mut row = vec![0_u16; self.values];
        let mut reader = BufReader::with_capacity(1 << 18, &mut self.file);
        for _ in 0..length / row_bytes as u64 {
            reader.read_exact(&mut self.bytes)?;
            if self.wide {
                row.iter_mut()
                    .zip(self.bytes.chunks_exact(2))
                    .for_each(|(v, b)| *v = u16::from_le_bytes([b[0], b[1]]));
            } else {
                row.iter_mut().zip(&self.bytes).for_each(|(v, b)| *v = u16::from(*b));
            }
            each(&mut row)?;
        }
        self.file.seek(SeekFrom::Start(length))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_every_time() {
        let folder = tempfile::tempdir().unwrap();
        for (max, rows) in [(255, 3_usize), (999, 2), (999, 40_000)] {
            let mut spool = LabelSpool::new(512, max, folder.path());
            let row =
                |y: usize| (0..512).map(|x| ((y * 31 + x) % (max as usize + 1)) as u16).collect::<Vec<_>>();
            (0..rows).for_each(|y| spool.push(&row(y)).unwrap());
            for _ in 0..2 {
                let mut y = 0;
                spool
                    .read(|read| {
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
