//! What can go wrong with OpenVINO.

/// Why the library could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenVinoError {
    /// The file is no library that can be loaded, or has not what is called here.
    #[error("cannot be loaded: {reason}")]
    Library {
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
    /// A process of its own that tried a model crashed.
    #[error("OpenVINO crashes on this model ({how})")]
    Crash {
        /// By what it ended.
        how: String,
    },
    /// A process of its own was to try a model, and did not come to that: no fault of the model.
    #[error("OpenVINO was not tried: {reason}")]
    NotTried {
        /// What came in between.
        reason: String,
    },
}
