//! What can go wrong while an output is written or read back.

use crate::rle::RunsError;
use marquetry_failure::{Classify, FailureClass};
use marquetry_geometry::Size;
use std::error::Error;

/// An output that could not be written, or a text that could not be read back: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk or the stream refused the bytes: worth another try.
    #[error("writing {what} failed: {source}")]
    Io {
        /// The output that was being written.
        what: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A row, or a band of rows, of the wrong length.
    #[error(
        "row {row}: got {found} values, expected {expected}; hand over every row in full, from top to bottom"
    )]
    RowLength {
        /// The row, or the first row of the band.
        row: u32,
        /// Values given.
        found: usize,
        /// Values a row or band must have.
        expected: usize,
    },
    /// More or fewer rows than the image has.
    #[error("got {found} rows of an image of {size} px; hand over every row once")]
    RowCount {
        /// Rows given, at least.
        found: u64,
        /// The image's size, px.
        size: Size,
    },
    /// A value that is neither a class nor the ignore value.
    #[error(
        "row {row}, column {column}: value {value} is none of the {classes} classes and not the ignore value"
    )]
    Label {
        /// Row, from 0.
        row: u32,
        /// Column, from 0.
        column: u32,
        /// The value found.
        value: u16,
        /// Allowed values are `0..classes`.
        classes: usize,
    },
    /// Options that do not go together, or an image the format cannot hold.
    #[error("{what} cannot be written: {found}")]
    Impossible {
        /// The output asked for.
        what: &'static str,
        /// What stands against it, and what to do.
        found: String,
        /// The encoder's own words, where it was the encoder that refused.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// Runs of pixels that are no mask of their image.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// A text or file that was read back and is not what it should be.
    #[error("reading {what} failed: {found}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// What was found instead, and what to do.
        found: String,
        /// The parser's own words, where there was one.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl WriteError {
    /// Turns an I/O error into one that names the output; for `map_err`.
    pub(super) fn io(what: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    pub(super) fn impossible(what: &'static str, found: impl Into<String>) -> Self {
        Self::Impossible { what, found: found.into(), source: None }
    }

    pub(super) fn malformed(what: &'static str, found: impl Into<String>) -> Self {
        Self::Malformed { what, found: found.into(), source: None }
    }

    /// What an encoder refused.
    pub(super) fn refused(what: &'static str, error: impl Error + Send + Sync + 'static) -> Self {
        Self::Impossible { what, found: error.to_string(), source: Some(Box::new(error)) }
    }

    /// What a parser complained about.
    pub(super) fn unparsed(what: &'static str, error: impl Error + Send + Sync + 'static) -> Self {
        Self::Malformed { what, found: error.to_string(), source: Some(Box::new(error)) }
    }
}

impl Classify for WriteError {
    /// Outputs are written to this machine's disk first; rows come from Marquetry's own hand; what was read back or asked
    /// for is the user's.
    fn class(&self) -> FailureClass {
        match self {
            Self::Io { .. } => FailureClass::Worker,
            Self::RowLength { .. } | Self::RowCount { .. } | Self::Label { .. } | Self::Runs(_) => {
                FailureClass::Bug
            }
            Self::Impossible { .. } | Self::Malformed { .. } => FailureClass::Input,
        }
    }
}

/// The result of writing.
pub type Result<T, E = WriteError> = std::result::Result<T, E>;
