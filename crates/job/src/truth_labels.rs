//! The labels that are right for one image, as they are stored: classes of the job, whatever stood in the user's file.
//!
//! Eight bytes say the form, then come height and width (four bytes each, the least first), then one zstd frame with a
//! checksum: `[height, width]` of two bytes each, the least first. A label is the place of a class, or [`NO_TRUTH`].

use crate::hash;
use marquetry_failure::{Classify, FailureClass};
use marquetry_geometry::Size;
use std::io::{self, BufReader, Read, Write};

/// Nothing is known of this pixel: it takes no part.
pub const NO_TRUTH: u16 = u16::MAX;

const FORM: &[u8; 8] = b"mqtruth1";
/// Labels are mostly alike: the fastest level comes near the best one.
const LEVEL: i32 = 1;

/// The stored truth of an image.
#[derive(Debug, Clone)]
pub struct TruthLabels {
    size: Size,
    stored: Vec<u8>,
}

/// Why stored labels cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// They are in no form that is known.
    #[error("the stored truth is not of this version's form; run the job again")]
    Form,
    /// They are of an image of another size.
    #[error("the stored truth is {found} px, and its image {wanted} px; run the job again")]
    Size {
        /// What is stored.
        found: Size,
        /// What is wanted.
        wanted: Size,
    },
    /// They cannot be decompressed.
    #[error("the stored truth is damaged")]
    Damaged(#[source] io::Error),
}

impl Classify for TruthError {
    fn class(&self) -> FailureClass {
        // The coordinator stores them again.
        FailureClass::Passing
    }
}

impl TruthLabels {
    /// Names labels by their content: 16 hexadecimal digits. `labels` is `[height, width]`.
    pub fn name(size: Size, labels: &[u16]) -> String {
        let bytes: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        hash(&[&size.height.to_le_bytes(), &size.width.to_le_bytes(), &bytes])[..16].to_owned()
    }

    /// The stored form of `labels`, `[height, width]`.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn encode(size: Size, labels: &[u16]) -> io::Result<Vec<u8>> {
        let mut writer = LabelWriter::new(Vec::new(), size)?;
        labels.chunks(size.width.max(1) as usize).try_for_each(|row| writer.row(row))?;
        writer.finish()
    }

    /// What is `stored`, whatever size it is of.
    ///
    /// # Errors
    /// When it is of another form.
    pub fn open_any(stored: Vec<u8>) -> Result<Self, TruthError> {
        let size = size_of(&stored).ok_or(TruthError::Form)?;
        Ok(Self { size, stored })
    }

    /// Rows and columns.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// What is `stored`, which must be of an image of this size.
    ///
    /// # Errors
    /// When it is of another form or size.
    pub fn open(stored: Vec<u8>, size: Size) -> Result<Self, TruthError> {
        let found = size_of(&stored).ok_or(TruthError::Form)?;
        if found != size {
            return Err(TruthError::Size { found, wanted: size });
        }
        Ok(Self { size, stored })
    }

    /// Its rows, from top to bottom.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn rows(&self) -> Result<TruthRows<'_>, TruthError> {
        let decoder = zstd::stream::read::Decoder::with_buffer(&self.stored[16..]);
        let decoder = decoder.map_err(TruthError::Damaged)?;
        let (width, left) = (self.size.width as usize, self.size.height);
        Ok(TruthRows {
            decoder: BufReader::new(decoder),
            left,
            bytes: vec![0; width * 2],
            row: vec![0; width],
        })
    }
}

/// The size that stored labels are of, if they are in the form that is known.
fn size_of(stored: &[u8]) -> Option<Size> {
    let number = |at: usize| Some(u32::from_le_bytes(stored.get(at..at + 4)?.try_into().ok()?));
    let size = Size::new(number(8)?, number(12)?);
    stored.starts_with(FORM).then_some(size)
}

/// Writes labels in the form in which they are stored, row by row.
pub struct LabelWriter<W: Write> {
    encoder: zstd::stream::write::Encoder<'static, W>,
    bytes: Vec<u8>,
}

impl<W: Write> LabelWriter<W> {
    /// Begins with labels of `size`.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn new(mut to: W, size: Size) -> io::Result<Self> {
        to.write_all(FORM)?;
        to.write_all(&size.height.to_le_bytes())?;
        to.write_all(&size.width.to_le_bytes())?;
        let mut encoder = zstd::stream::write::Encoder::new(to, LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self { encoder, bytes: Vec::new() })
    }

    /// Writes the next row, `[width]`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn row(&mut self, row: &[u16]) -> io::Result<()> {
        self.bytes.clear();
        self.bytes.extend(row.iter().flat_map(|label| label.to_le_bytes()));
        self.encoder.write_all(&self.bytes)
    }

    /// Ends the form; what it was written to.
    ///
    /// # Errors
    /// When the rest cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.encoder.finish()
    }
}

/// The rows of stored labels, one after the other.
pub struct TruthRows<'a> {
    decoder: BufReader<zstd::stream::read::Decoder<'a, &'a [u8]>>,
    /// Rows that are still to come.
    left: u32,
    bytes: Vec<u8>,
    row: Vec<u16>,
}

impl TruthRows<'_> {
    /// The next row, `[width]`.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn next_row(&mut self) -> Result<&[u16], TruthError> {
        self.decoder.read_exact(&mut self.bytes).map_err(TruthError::Damaged)?;
        self.left = self.left.saturating_sub(1);
        // The checksum is looked at when the frame is read to its end.
        if self.left == 0 && self.decoder.read(&mut [0]).map_err(TruthError::Damaged)? > 0 {
            return Err(TruthError::Damaged(io::ErrorKind::InvalidData.into()));
        }
        let labels = self.bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        self.row.iter_mut().zip(labels).for_each(|(own, label)| *own = label);
        Ok(&self.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { height: 3, width: 5 };
    const LABELS: [u16; 15] = [0, 0, 1, 1, 300, NO_TRUTH, 0, 0, 2, 2, 2, 2, 2, 0, 1];

    #[test]
    fn labels_come_back_row_by_row() {
        let truth = TruthLabels::open(TruthLabels::encode(SIZE, &LABELS).unwrap(), SIZE).unwrap();
        for _ in 0..2 {
            let mut rows = truth.rows().unwrap();
            LABELS.chunks(5).for_each(|row| assert_eq!(rows.next_row().unwrap(), row));
            assert!(matches!(rows.next_row(), Err(TruthError::Damaged(_))), "there is no fourth row");
        }
        let name = TruthLabels::name(SIZE, &LABELS);
        assert_eq!(name.len(), 16);
        assert_ne!(name, TruthLabels::name(Size::new(5, 3), &LABELS));
    }

    #[test]
    fn what_was_not_stored_so_is_refused() {
        let stored = TruthLabels::encode(SIZE, &LABELS).unwrap();
        for cut in 0..16 {
            assert!(matches!(TruthLabels::open(stored[..cut].to_vec(), SIZE), Err(TruthError::Form)));
        }
        let other = TruthLabels::open(stored.clone(), Size::new(5, 3)).unwrap_err();
        assert!(other.to_string().contains("3 × 5 px, and its image 5 × 3 px"), "{other}");
        for at in 16..stored.len() {
            let mut changed = stored.clone();
            changed[at] ^= 0x55;
            let Ok(truth) = TruthLabels::open(changed, SIZE) else { continue };
            let Ok(mut rows) = truth.rows() else { continue };
            let read: Result<Vec<u16>, TruthError> = (0..3).try_fold(Vec::new(), |mut all, _| {
                all.extend_from_slice(rows.next_row()?);
                Ok(all)
            });
            assert!(read.is_err() || read.unwrap() == LABELS, "byte {at}");
        }
    }
}
