//! Images that were decoded as a whole, into memory or into a nameless file.

use super::error::ReadFault;
use super::file::Source;
use super::header::{Header, Limits};
use super::pixels::Pixels;
use marquetry_geometry::Rect;
use std::io::{BufWriter, Write};

/// Decoded samples, pixel-interleaved, row after row.
#[derive(Debug)]
pub(super) enum Whole {
    Memory(Vec<u8>),
    /// In a nameless file of the scratch folder.
    Scratch(Source),
}

impl Whole {
    /// Writes an image into a nameless file in the scratch folder. `rows` is given the place to write each row to.
    pub(super) fn to_scratch(
        limits: &Limits,
        bytes: u64,
        rows: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), ReadFault>) -> Result<(), ReadFault>,
    ) -> Result<Self, ReadFault> {
        let failed = |error| {
            ReadFault::machine(error).advise(format!(
                "check that the scratch folder {} exists and has {bytes} bytes free",
                limits.scratch_dir.display()
            ))
        };
        let file = tempfile::tempfile_in(&limits.scratch_dir).map_err(failed)?;
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        rows(&mut |row| writer.write_all(row).map_err(failed))?;
        let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
        Ok(Self::Scratch(Source::written(file, bytes)))
    }

    /// Reads `samples` of `rect`, which lies inside the stored image.
    pub(super) fn read(
        &self,
        header: &Header,
        samples: &[u16],
        rect: Rect,
        out: &mut Pixels,
    ) -> Result<(), ReadFault> {
        let pixel = header.pixel_bytes();
        let wanted = rect.size.width as usize * pixel;
        let mut line = Vec::new();
        out.reshape(rect.size, samples.len() as u16);
        for row in 0..rect.size.height {
            let at = ((rect.top as u64 + u64::from(row)) * u64::from(header.size.width) + rect.left as u64)
                * pixel as u64;
            let bytes = match self {
                Self::Memory(bytes) => &bytes[at as usize..at as usize + wanted],
                Self::Scratch(file) => {
                    line.resize(wanted, 0);
                    file.read_at(at, &mut line)?;
                    &line
                }
            };
            for (band, &sample) in samples.iter().enumerate() {
                let to = out.row_mut(band, row, 0, rect.size.width);
                header.sample.spread(bytes, usize::from(header.per_pixel), usize::from(sample), to);
            }
        }
        Ok(())
    }
}
