//! What can go wrong with OpenVINO.

use std::path::PathBuf;

/// Why the library could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenVinoError {
    /// The file is no library that can be loaded, or has not what is called here.
    #[error("{}: {reason}", path.display())]
    Library {
        /// The file.
        path: PathBuf,
        /// What the system said, or what is missing.
        reason: String,
    },
    /// A call failed.
    #[error("{doing}: {reason}")]
    Call {
        /// What was being done.
        doing: &'static str,
        /// What OpenVINO said.
        reason: String,
    },
    /// A tensor holds another number of bytes than it was taken to hold.
    #[error("the {what} holds {found} bytes, {expected} were expected")]
    Bytes {
        /// Which tensor.
        what: &'static str,
        /// What it holds.
        found: usize,
        /// What it should hold.
        expected: usize,
    },
    /// A model was to be tried in a process of its own, and that did not go well.
    #[error("{reason}")]
    Trial {
        /// How it ended.
        reason: String,
    },
}
