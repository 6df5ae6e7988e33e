//! Why a task failed, and who is to blame.

use marquetry_failure::{Classify, FailureClass};
use marquetry_imagery::ImageError;
use marquetry_job::{TaskId, TileError};
use marquetry_model::ModelError;
use marquetry_raster::read::ReadError;
use marquetry_scores::{ScoreError, class_of_store};
use marquetry_transport::{FileError, StoreError};
use std::error::Error;
use std::sync::Arc;

/// Why a task failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// Who is to blame.
    pub class: FailureClass,
    /// What was being done to which thing, what was found, what to do.
    pub reason: String,
    /// What it came of.
    #[source]
    pub source: Option<Arc<dyn Error + Send + Sync>>,
    /// Tasks whose objects were found damaged, on which it hangs: they are to be done again before it.
    pub damaged: Vec<TaskId>,
}

impl Failure {
    /// A failure without an error behind it.
    pub fn new(class: FailureClass, reason: impl Into<String>) -> Self {
        Self { class, reason: reason.into(), source: None, damaged: Vec::new() }
    }

    /// A failure that every attempt would meet again, on any worker.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::new(FailureClass::Input, reason)
    }

    /// A failure that may pass.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self::new(FailureClass::Passing, reason)
    }

    /// A failure of Marquetry itself.
    pub fn bug(reason: impl Into<String>) -> Self {
        Self::new(FailureClass::Bug, reason)
    }

    fn of(class: FailureClass, error: impl Error + Send + Sync + 'static) -> Self {
        Self { class, reason: error.to_string(), source: Some(Arc::new(error)), damaged: Vec::new() }
    }
}

impl Classify for Failure {
    fn class(&self) -> FailureClass {
        self.class
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::of(error.class(), error)
    }
}

impl From<TileError> for Failure {
    fn from(error: TileError) -> Self {
        Self::of(error.class(), error)
    }
}

impl From<ScoreError> for Failure {
    fn from(error: ScoreError) -> Self {
        let damaged = match &error {
            ScoreError::Damaged { task, .. } => vec![task.clone()],
            _ => Vec::new(),
        };
        Self { damaged, ..Self::of(error.class(), error) }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::of(error.class(), error)
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::of(error.class(), error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of(class_of_store(&error), error)
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::of(error.class(), error)
    }
}
