//! What can go wrong with labels.

use marquetry_failure::{Classify, FailureClass};
use marquetry_raster::read::ReadError;
use std::path::PathBuf;

/// A label, or what names labels, cannot be read or makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// An image or a COCO file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A folder or a text cannot be read.
    #[error("{}: {doing} failed: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Something was read and cannot be what it should.
    #[error("{what}: {found}")]
    Meaning {
        /// Which file, option or label.
        what: String,
        /// What was found, and what to do.
        found: String,
    },
}

impl LabelError {
    pub(crate) fn meaning(what: &dyn std::fmt::Display, found: impl Into<String>) -> Self {
        Self::Meaning { what: what.to_string(), found: found.into() }
    }
}

impl Classify for LabelError {
    fn class(&self) -> FailureClass {
        match self {
            Self::Read(error) => error.class(),
            Self::Io { .. } | Self::Meaning { .. } => FailureClass::Input,
        }
    }
}
