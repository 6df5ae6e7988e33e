//! Scores as numbers of a file, and the guard for bands of them.

use super::error::{Result, WriteError};
use half::f16;
use marquetry_geometry::Size;

/// How a probability is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ScoreDepth {
    /// `round(255 p)` in one byte, read by everything. What is no number becomes 0.
    #[default]
    U8,
    /// An IEEE half in two bytes: relative error at most 2⁻¹¹. Read by NumPy, tifffile, zarr and GDAL.
    F16,
}

impl ScoreDepth {
    /// Bytes of one score.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 => 2,
        }
    }

    /// Writes scores as little-endian numbers.
    pub(super) fn encode(self, scores: &[f32], out: &mut [u8]) {
        match self {
            // A cast from float saturates, and takes what is no number for 0.
            Self::U8 => {
                out.iter_mut().zip(scores).for_each(|(byte, score)| *byte = (score * 255.0).round() as u8);
            }
            Self::F16 => {
                let pairs = out.as_chunks_mut::<2>().0;
                pairs
                    .iter_mut()
                    .zip(scores)
                    .for_each(|(pair, &score)| *pair = f16::from_f32(score).to_le_bytes());
            }
        }
    }
}

/// Counts rows of scores and checks the length of bands.
#[derive(Debug)]
pub(super) struct BandGuard {
    size: Size,
    classes: usize,
    next: u32,
}

impl BandGuard {
    pub(super) const fn new(size: Size, classes: usize) -> Self {
        Self { size, classes, next: 0 }
    }

    /// Checks a band `[C, rows, W]`.
    pub(super) fn admit(&mut self, scores: &[f32], rows: u32) -> Result<()> {
        if rows > self.size.height - self.next {
            return Err(WriteError::RowCount {
                found: u64::from(self.next) + u64::from(rows),
                size: self.size,
            });
        }
        let expected = self.classes * rows as usize * self.size.width as usize;
        if scores.len() != expected {
            return Err(WriteError::RowLength { row: self.next, found: scores.len(), expected });
        }
        self.next += rows;
        Ok(())
    }

    /// Whether every row has been seen.
    pub(super) fn complete(&self) -> Result<()> {
        if self.next == self.size.height {
            Ok(())
        } else {
            Err(WriteError::RowCount { found: u64::from(self.next), size: self.size })
        }
    }
}
