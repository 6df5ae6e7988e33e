//! What goes wrong with images, and whom it blames.

use marquetry_failure::{Classify, FailureClass};
use marquetry_raster::read::ReadError;
use marquetry_transport::FileError;
use std::error::Error;
use std::io;
use std::sync::Arc;

/// Why an image cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImageError {
    /// Its file cannot be had.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its file is not right, or could not be read on.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not the one that was planned: its object was replaced.
    #[error("{uri}: it was replaced since the job was planned; run the job again to plan it anew")]
    Replaced {
        /// Where it lies.
        uri: String,
    },
    /// It is not the one that was planned: its size or number of bands is another.
    #[error(
        "{uri}: it has {found} now, and had {planned} when the job was planned; run the job again to plan it anew"
    )]
    Reshaped {
        /// Where it lies.
        uri: String,
        /// Size and bands that it has.
        found: String,
        /// Size and bands that it had.
        planned: String,
    },
}

impl Classify for ImageError {
    fn class(&self) -> FailureClass {
        match self {
            Self::File(error) => error.class(),
            Self::Read(error) => match file_error(error) {
                Some(error) => error.class(),
                None => error.class(),
            },
            Self::Replaced { .. } | Self::Reshaped { .. } => FailureClass::Input,
        }
    }
}

/// The error of the image's bytes, if the reader failed for lack of them. A reader only sees an [`io::Error`], which says
/// less: that a store refuses is not the image's fault.
fn file_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a FileError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<FileError>() {
            return Some(found);
        }
        next = if let Some(error) = error.downcast_ref::<io::Error>() {
            // Not its source, which is that of the error inside.
            error.get_ref().map(|inner| inner as &(dyn Error + 'static))
        } else if let Some(error) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
            Some(&**error)
        } else {
            error.source()
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("reading a window")]
    struct Reading {
        #[source]
        cause: Arc<dyn Error + Send + Sync>,
    }

    #[test]
    fn what_a_store_said_is_found_behind_what_a_reader_made_of_it() {
        let denied = FileError::of_disk("read", "a.tif", io::ErrorKind::PermissionDenied.into());
        let error = Reading { cause: Arc::new(io::Error::other(denied)) };
        assert_eq!(file_error(&error).map(Classify::class), Some(FailureClass::Worker));
        let error = Reading { cause: Arc::new(io::Error::other("no such thing")) };
        assert!(file_error(&error).is_none());
    }
}
