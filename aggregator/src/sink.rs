//! What takes the rows of an image.

use crate::image_result::ImageResult;
use crate::output_file::OutputFile;
use crate::row::Row;
use marquetry_ensemble::BadScore;
use marquetry_failure::{Classify, FailureClass};
use marquetry_imagery::ImageError;
use marquetry_raster::write::WriteError;

/// Takes an image row by row, from top to bottom, and makes something of it: a mask, a table's rows, counts. No sink knows
/// another.
pub trait RowSink: Send {
    /// Takes a row. It may have labels, scores or both: every row's labels and every row's scores come exactly once, each
    /// from top to bottom.
    ///
    /// # Errors
    /// When what the sink makes cannot be made.
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError>;

    /// Whether labels and scores must come together. Where labels are tidied up, this has all tiles of the image read a
    /// second time.
    fn needs_whole_rows(&self) -> bool {
        false
    }

    /// Whether rows must come with what each member says of them. It takes tiles of single members, and more work.
    fn needs_members(&self) -> bool {
        false
    }

    /// Ends what the sink makes, and hands it over.
    ///
    /// # Errors
    /// When the rest cannot be made.
    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError>;
}

/// What sinks have made of an image.
#[derive(Debug)]
pub struct FinishedImage {
    /// What is kept for the tables and the report.
    pub result: ImageResult,
    /// Finished files, which lie in a temporary folder until they are stored.
    pub files: Vec<OutputFile>,
}

/// Why a sink could not make what it makes.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The encoder failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The temporary folder is in trouble.
    #[error("the temporary folder: {0}")]
    Scratch(#[from] std::io::Error),
    /// The scores are no numbers.
    #[error(transparent)]
    Scores(#[from] BadScore),
    /// The image cannot be read again.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A picture cannot be encoded.
    #[error("the picture cannot be encoded: {0}")]
    Picture(#[from] png::EncodingError),
}

impl Classify for SinkError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Write(error) => error.class(),
            Self::Scratch(_) => FailureClass::Worker,
            Self::Scores(_) => FailureClass::Input,
            Self::Image(error) => error.class(),
            Self::Picture(_) => FailureClass::Bug,
        }
    }
}
