//! What can go wrong with ONNX files as data.

use crate::wire::Damaged;
use marquetry_failure::{Classify, FailureClass};

/// Why files cannot be read, averaged or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// The bytes are no protobuf, are cut short, or nest too deep.
    #[error("its bytes are no ONNX model, or are cut short")]
    Damaged,
    /// The file is a protobuf, and yet no model that makes sense.
    #[error("the model is damaged: {0}")]
    Invalid(String),
    /// Weights lie in a second file, and that is not as it should be.
    #[error("the model keeps weights in a second file, `{location}`: {reason}")]
    External {
        /// Its path, as the model writes it.
        location: String,
        /// What was found, and what to do.
        reason: String,
    },
    /// The model holds what cannot be averaged.
    #[error("{0}")]
    Unsupported(String),
    /// Two files are not of one architecture, or differ in what is no weight.
    #[error("{0}")]
    Different(String),
    /// Weights of members that are no weights.
    #[error("{0}")]
    Weights(String),
}

impl From<Damaged> for OnnxError {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

impl Classify for OnnxError {
    fn class(&self) -> FailureClass {
        FailureClass::Input
    }
}
