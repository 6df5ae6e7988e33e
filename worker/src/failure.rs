//! Why a task failed, and whether another try could go better.

use marquetry_failure::{Classify, FailureClass};
use marquetry_imagery::ImageError;
use marquetry_model::ModelError;
use marquetry_raster::read::{ReadError, ReadErrorKind};
use marquetry_transport::{FileError, StoreError};

/// Why a task failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// What was being done to which thing, what was found, what to do.
    pub reason: String,
    /// Whether another attempt could go better.
    pub retry: bool,
}

impl Failure {
    /// A failure that every attempt would meet again.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry: false }
    }

    /// A failure that may pass.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry: true }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self { retry: error.kind() == ReadErrorKind::Io, reason: error.to_string() }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self { retry: matches!(error.class(), FailureClass::Passing | FailureClass::Worker), reason: error.to_string() }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self { retry: matches!(error.class(), FailureClass::Passing | FailureClass::Worker), reason: error.to_string() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::passing(error.to_string())
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        // A model that is not there may still be on its way; memory may come free.
        let may_pass = matches!(error, ModelError::Unreadable { .. } | ModelError::OutOfMemory { .. });
        Self { retry: may_pass, reason: error.to_string() }
    }
}
