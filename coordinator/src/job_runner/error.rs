//! Why a run ended before its job.

use crate::breaker::AllFail;
use crate::run_lease::Stopped;
use crate::stored_inputs::StoredInputsError;
use marquetry_failure::{Classify, FailureClass};
use marquetry_transport::{QueueError, StoreError};

/// Why a run ended before its job.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The queue is lost.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The store is lost.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Someone wants it to end.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// What tasks read cannot be stored.
    #[error(transparent)]
    Inputs(StoredInputsError),
    /// Everything fails alike.
    #[error("the job was stopped: {0}")]
    AllFail(AllFail),
    /// Nothing came of any image, for several reasons.
    #[error("no image could be finished, for {reasons} different reasons; the most frequent: {reason}")]
    NothingDone {
        /// Different reasons.
        reasons: usize,
        /// The one that came up most.
        reason: String,
    },
}

impl Classify for RunError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Queue(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Stopped(_) => FailureClass::Passing,
            Self::Inputs(error) => error.class(),
            Self::AllFail(all) => all.class,
            Self::NothingDone { .. } => FailureClass::Input,
        }
    }
}

impl From<StoredInputsError> for RunError {
    fn from(error: StoredInputsError) -> Self {
        match error {
            StoredInputsError::Store(error) => Self::Store(error),
            error => Self::Inputs(error),
        }
    }
}
