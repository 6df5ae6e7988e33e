//! What can go wrong with an image, and what to do about it.

use std::path::{Path, PathBuf};

/// How a caller should take a [`ReadError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadErrorKind {
    /// The file is missing, damaged, cut short, or not what was planned: reject the image.
    Unreadable,
    /// The image could only be read by going over a limit: reject it, or raise the limit.
    TooLarge,
    /// The file may be fine, but is of a kind that is not read here: reject the image.
    Unsupported,
    /// The disk or the network failed, or the spool folder is full: worth another try.
    Io,
}

/// An image that could not be read: which, while doing what, what was found, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {doing} failed: {found}; {advice}", path.display())]
pub struct ReadError {
    path: PathBuf,
    doing: &'static str,
    kind: ReadErrorKind,
    found: String,
    advice: String,
}

impl ReadError {
    pub(super) fn new(path: &Path, doing: &'static str, fault: Fault) -> Self {
        let Fault { kind, found, advice } = fault;
        Self { path: path.to_owned(), doing, kind, found, advice }
    }

    /// Whether the image is to be rejected or the read may be tried again.
    pub const fn kind(&self) -> ReadErrorKind {
        self.kind
    }

    /// The image's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was found, without the path and the advice: the reason to put in a report.
    pub fn found(&self) -> &str {
        &self.found
    }
}

/// A [`ReadError`] before it is known which file it speaks of.
#[derive(Debug)]
pub(super) struct Fault {
    kind: ReadErrorKind,
    found: String,
    advice: String,
}

impl Fault {
    pub(super) fn unreadable(found: impl Into<String>) -> Self {
        Self {
            kind: ReadErrorKind::Unreadable,
            found: found.into(),
            advice: "replace the file by an intact copy or leave the image out".to_owned(),
        }
    }

    pub(super) fn unsupported(found: impl Into<String>) -> Self {
        Self {
            kind: ReadErrorKind::Unsupported,
            found: found.into(),
            advice: "convert it, for instance to a tiled TIFF with `gdal_translate -co TILED=YES -co COMPRESS=DEFLATE in \
                     out.tif`"
                .to_owned(),
        }
    }

    pub(super) fn too_large(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { kind: ReadErrorKind::TooLarge, found: found.into(), advice: advice.into() }
    }

    /// An operating system's answer: a file that is not there stays so, anything else may pass.
    pub(super) fn io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Os;
        match error.kind() {
            Os::NotFound
            | Os::IsADirectory
            | Os::NotADirectory
            | Os::PermissionDenied
            | Os::InvalidFilename => {
                Self::unreadable(error.to_string()).advise("check the path and its permissions")
            }
            Os::StaleNetworkFileHandle => {
                Self::unreadable(error.to_string()).advise("run the job again to plan it anew")
            }
            Os::UnexpectedEof => Self::unreadable("the file ends too early"),
            _ => Self::passing(error),
        }
    }

    /// Trouble that is not the image's.
    pub(super) fn passing(error: &std::io::Error) -> Self {
        Self {
            kind: ReadErrorKind::Io,
            found: error.to_string(),
            advice: "try again, and look at the disk or the network if it stays".to_owned(),
        }
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

/// Runs a third party's decoder. One that panics on a damaged file makes it unreadable, no more than that.
pub(super) fn guarded<T>(decode: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // Nothing the closure touched is used after a panic: it is dropped together with the failed image or chunk.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(Fault::unreadable("its content made the decoder fail")))
}
