//! What can go wrong with an image or a label file, and what to do about it.

use marquetry_failure::{Classify, FailureClass};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a caller should take a [`ReadError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadErrorKind {
    /// The file is missing, damaged, cut short, or not what was planned: reject the image.
    Unreadable,
    /// The image could only be read by going over a limit: reject it, or raise the limit.
    TooLarge,
    /// The file may be fine, but is of a kind that is not read here: reject the image.
    Unsupported,
    /// The disk or the network failed, or the scratch folder is full: worth another try.
    Io,
}

/// A cause that several clones of an error share.
type Cause = Arc<dyn Error + Send + Sync>;

/// An image that could not be read: which, while doing what, what was found, what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {doing} failed: {found}; {advice}", path.display())]
pub struct ReadError {
    path: PathBuf,
    doing: &'static str,
    kind: ReadErrorKind,
    class: FailureClass,
    found: String,
    advice: String,
    #[source]
    cause: Option<Cause>,
}

impl ReadError {
    pub(crate) fn new(path: &Path, doing: &'static str, fault: ReadFault) -> Self {
        let ReadFault { kind, class, found, advice, cause } = fault;
        Self { path: path.to_owned(), doing, kind, class, found, advice, cause }
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

impl Classify for ReadError {
    fn class(&self) -> FailureClass {
        self.class
    }
}

/// A [`ReadError`] before it is known which file it speaks of.
#[derive(Debug)]
pub(crate) struct ReadFault {
    kind: ReadErrorKind,
    class: FailureClass,
    found: String,
    advice: String,
    cause: Option<Cause>,
}

impl ReadFault {
    fn new(kind: ReadErrorKind, class: FailureClass, found: String, advice: String) -> Self {
        Self { kind, class, found, advice, cause: None }
    }

    pub(crate) fn unreadable(found: impl Into<String>) -> Self {
        let advice = "replace the file by an intact copy or leave the image out";
        Self::new(ReadErrorKind::Unreadable, FailureClass::Input, found.into(), advice.to_owned())
    }

    /// What a decoder or parser complained about.
    pub(crate) fn damaged(error: impl Error + Send + Sync + 'static) -> Self {
        Self::unreadable(error.to_string()).because(error)
    }

    pub(crate) fn unsupported(found: impl Into<String>) -> Self {
        let advice = "convert it, for instance to a tiled TIFF with `gdal_translate -co TILED=YES -co \
                      COMPRESS=DEFLATE in out.tif`";
        Self::new(ReadErrorKind::Unsupported, FailureClass::Input, found.into(), advice.to_owned())
    }

    pub(crate) fn too_large(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(ReadErrorKind::TooLarge, FailureClass::Input, found.into(), advice.into())
    }

    /// An operating system's answer: a file that is not there stays so, anything else may pass.
    pub(crate) fn io(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Os;
        match error.kind() {
            _ if is_link_loop(&error) => {
                Self::damaged(error).advise("mend the link, which leads onto itself")
            }
            Os::NotFound
            | Os::IsADirectory
            | Os::NotADirectory
            | Os::PermissionDenied
            | Os::InvalidFilename => Self::damaged(error).advise("check the path and its permissions"),
            Os::StaleNetworkFileHandle => Self::damaged(error).advise("run the job again to plan it anew"),
            Os::UnexpectedEof => Self::unreadable("the file ends too early").because(error),
            _ => Self::trouble(error, FailureClass::Passing),
        }
    }

    /// What this machine's scratch folder or memory answered: another machine may do better.
    pub(crate) fn machine(error: std::io::Error) -> Self {
        Self::trouble(error, FailureClass::Worker)
    }

    fn trouble(error: std::io::Error, class: FailureClass) -> Self {
        let advice = "try again, and look at the disk or the network if it stays";
        Self::new(ReadErrorKind::Io, class, error.to_string(), advice.to_owned()).because(error)
    }

    /// Whether it is what was in the file that is at fault.
    pub(crate) const fn is_of_content(&self) -> bool {
        matches!(self.kind, ReadErrorKind::Unreadable)
    }

    /// What was found, without the advice.
    pub(crate) fn into_found(self) -> String {
        self.found
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// Puts before what was found which part of the file it was found in.
    pub(crate) fn at(mut self, part: &str) -> Self {
        self.found = format!("{part}: {}", self.found);
        self
    }

    pub(crate) fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }
}

/// Whether a link leads onto itself, alone or by others: `ELOOP`, whose kind has no stable name.
fn is_link_loop(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(if cfg!(target_os = "linux") { 40 } else { 62 })
}
