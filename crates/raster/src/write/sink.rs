//! The two traits every output is driven by, and the guard that checks what they are given.

use super::error::{Result, WriteError};
use super::legend::Legend;
use marquetry_geometry::Size;

/// Takes a decided image row by row, from top to bottom.
///
/// A row of a label map is `[W]` class indices, whatever values the legend has for them in files. A row of a multi-label image is `[C, W]` values of 0 and 1, one plane
/// for each class. Where the legend declares an ignore value, it may stand at any pixel of either.
pub trait LabelSink: Send {
    /// Takes the next row.
    ///
    /// # Errors
    /// When the row is of the wrong length or one too many, holds an undeclared value, or cannot be written.
    fn row(&mut self, values: &[u16]) -> Result<()>;

    /// Writes what is left. An output is only whole after this.
    ///
    /// # Errors
    /// When rows are missing or the rest cannot be written.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A [`LabelSink`] that says of what it makes how probable it is.
pub trait ScoredLabelSink: LabelSink {
    /// Takes the next row, with the probabilities `[C, W]` of all classes, 0..=1. All rows of an image come so, or none.
    ///
    /// # Errors
    /// As for [`LabelSink::row`].
    fn scored_row(&mut self, values: &[u16], probabilities: &[f32]) -> Result<()>;
}

/// Takes the scores of an image in bands of rows, from top to bottom.
pub trait ScoreSink: Send {
    /// Takes the next `rows` rows: `[C, rows, W]` in C order, probabilities in 0..=1.
    ///
    /// # Errors
    /// When the band is of the wrong length or goes past the last row, or cannot be written.
    fn band(&mut self, scores: &[f32], rows: u32) -> Result<()>;

    /// Writes what is left. An output is only whole after this.
    ///
    /// # Errors
    /// When rows are missing or the rest cannot be written.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Counts rows and checks their lengths and values.
#[derive(Debug)]
pub(super) struct RowGuard {
    size: Size,
    planes: usize,
    values: usize,
    ignore: Option<u16>,
    next: u32,
}

impl RowGuard {
    pub(super) fn new(size: Size, legend: &Legend) -> Self {
        Self { size, planes: legend.planes(), values: legend.value_count(), ignore: legend.ignore(), next: 0 }
    }

    /// Checks the next row and answers its index.
    pub(super) fn admit(&mut self, values: &[u16]) -> Result<u32> {
        let row = self.next;
        if row >= self.size.height {
            return Err(WriteError::RowCount { found: u64::from(row) + 1, size: self.size });
        }
        let width = self.size.width as usize;
        let expected = width * self.planes;
        if values.len() != expected {
            return Err(WriteError::RowLength { row, found: values.len(), expected });
        }
        let strange = |&value: &u16| value as usize >= self.values && Some(value) != self.ignore;
        if let Some(at) = values.iter().position(strange) {
            return Err(WriteError::Label {
                row,
                column: (at % width) as u32,
                value: values[at],
                classes: self.values,
            });
        }
        self.next += 1;
        Ok(row)
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

/// Hands every plane of a multi-label image to a sink of its own: one mask file for each class.
pub struct Split {
    sinks: Vec<Box<dyn LabelSink>>,
    rows: RowGuard,
}

impl std::fmt::Debug for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Split").field("sinks", &self.sinks.len()).finish_non_exhaustive()
    }
}

impl Split {
    /// One sink for each class of `legend`, in order; each was made for [`Legend::plane`] of its class.
    ///
    /// # Errors
    /// When there are not as many sinks as planes.
    pub fn new(size: Size, legend: &Legend, sinks: Vec<Box<dyn LabelSink>>) -> Result<Self> {
        if sinks.len() != legend.planes() {
            let found = format!("{} sinks for {} planes; give one for each", sinks.len(), legend.planes());
            return Err(WriteError::impossible("a file for each class", found));
        }
        Ok(Self { sinks, rows: RowGuard::new(size, legend) })
    }
}

impl LabelSink for Split {
    fn row(&mut self, values: &[u16]) -> Result<()> {
        self.rows.admit(values)?;
        let width = values.len() / self.sinks.len();
        self.sinks
            .iter_mut()
            .enumerate()
            .try_for_each(|(plane, sink)| sink.row(&values[plane * width..][..width]))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.rows.complete()?;
        self.sinks.into_iter().try_for_each(LabelSink::finish)
    }
}
