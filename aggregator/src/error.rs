//! Why an image could not be put together, and who is to blame.

use crate::sink::SinkError;
use marquetry_failure::{Classify, FailureClass};
use marquetry_job::{ImageGateError, RegionError, StoredPlanError, TaskId, TruthError};
use marquetry_scores::{ScoreError, class_of_store};
use marquetry_spec::SpecErrors;
use marquetry_transport::{StoreError, StoreErrorKind};
use std::any::Any;

/// Why an image could not be put together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AggregateError {
    /// The system lets this process have no more threads.
    #[error(
        "cannot start a thread ({0}): raise the limit on processes and threads (ulimit -u, pids of the container)"
    )]
    Thread(#[source] std::io::Error),
    /// Its scores cannot be had.
    #[error(transparent)]
    Scores(#[from] ScoreError),
    /// An output cannot be made.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The temporary folder is in trouble.
    #[error("the temporary folder: {0}")]
    Scratch(#[from] std::io::Error),
    /// The store is none of those that this process was started for.
    #[error("{0}")]
    Foreign(String),
    /// The stored plan is no plan.
    #[error("the plan of job {job} cannot be read")]
    Plan {
        /// Which job's.
        job: String,
        /// What was found.
        source: StoredPlanError,
    },
    /// The stored job file is no text.
    #[error("the job file of job {job} cannot be read: {source}")]
    SpecText {
        /// Which job's.
        job: String,
        /// What was found.
        source: std::str::Utf8Error,
    },
    /// The stored job file says something impossible.
    #[error("the job file of job {job} cannot be read: {source}")]
    Spec {
        /// Which job's.
        job: String,
        /// What was found.
        source: SpecErrors,
    },
    /// The stored truth cannot be used.
    #[error("{key}: {source}")]
    StoredTruth {
        /// Where it lies.
        key: String,
        /// What was found.
        source: TruthError,
    },
    /// The stored region of an image cannot be used, and only a coordinator can store another.
    #[error("{key}: {source}")]
    StoredRegion {
        /// Where it lies.
        key: String,
        /// What was found.
        source: RegionError,
    },
    /// What the gate says of an image cannot be used; it must be found again.
    #[error("{key}: {source}")]
    StoredGate {
        /// Where it lies.
        key: String,
        /// The task that makes it.
        task: TaskId,
        /// What was found.
        source: ImageGateError,
    },
    /// The stored truth cannot be read on.
    #[error(transparent)]
    Truth(#[from] TruthError),
    /// The code that puts images together panicked.
    #[error("a bug while the image was put together: {0}")]
    Panic(String),
}

impl AggregateError {
    /// The tasks whose objects must be made again.
    pub(crate) fn damaged(&self) -> Vec<TaskId> {
        match self {
            Self::Scores(ScoreError::Damaged { task, .. }) | Self::StoredGate { task, .. } => {
                vec![task.clone()]
            }
            _ => Vec::new(),
        }
    }

    /// Whether something newer was found where an output was to be written.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.kind == StoreErrorKind::Conflict)
    }
}

impl Classify for AggregateError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Scores(error) => error.class(),
            Self::Sink(error) => error.class(),
            // They are stored or found again, and the image then put together again.
            Self::Truth(_)
            | Self::StoredTruth { .. }
            | Self::StoredRegion { .. }
            | Self::StoredGate { .. }
            | Self::Plan { source: StoredPlanError::Changed(_), .. } => FailureClass::Passing,
            Self::Store(error) => class_of_store(error),
            Self::Scratch(_) | Self::Thread(_) => FailureClass::Worker,
            Self::Plan { .. } | Self::SpecText { .. } | Self::Spec { .. } | Self::Foreign(_) => {
                FailureClass::Input
            }
            Self::Panic(_) => FailureClass::Bug,
        }
    }
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".into())
}
