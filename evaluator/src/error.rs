//! Why there is no evaluation.

use marquetry_failure::{Classify, FailureClass};
use marquetry_labels::LabelError;
use std::path::PathBuf;

/// Why two sources cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// One of them cannot be opened.
    #[error(transparent)]
    Source(#[from] LabelError),
    /// No label of one belongs to any of the other.
    #[error("no label of {predicted} belongs to one of {truth}: {example}")]
    Nothing {
        /// Where predictions are.
        predicted: String,
        /// Where the truth is.
        truth: String,
        /// Names of both, and what to do.
        example: String,
    },
    /// What stands in the labels cannot be evaluated; every reason.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// A result cannot be written.
    #[error("{}: writing failed: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl Classify for EvaluateError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Source(error) => error.class(),
            Self::Nothing { .. } | Self::Refused(_) => FailureClass::Input,
            Self::Write { .. } => FailureClass::Worker,
        }
    }
}
