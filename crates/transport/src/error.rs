//! What goes wrong with stores and files: its kind, whom it blames, and what is behind it.

use marquetry_failure::{Classify, FailureClass};
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// The error behind an error. Shared, since several that wait for the same thing are told of it.
pub(crate) type Cause = Arc<dyn Error + Send + Sync>;

/// What kind of failure a store reported: tells the caller whether trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// There is no such object.
    NotFound,
    /// The key or path is one that the store cannot hold.
    BadKey,
    /// The object has fewer bytes than were asked for.
    TooShort,
    /// No room left.
    Full,
    /// Not allowed.
    Denied,
    /// The store itself is not there: no such bucket.
    NoStore,
    /// The object is not the one that was meant: it was replaced.
    Changed,
    /// What a conditional write hung on was not so: somebody else was faster.
    Conflict,
    /// The store does not do what was asked, and will not do it the next time either.
    Refused,
    /// The store is away, busy or slow. The only kind that is waited out.
    Unavailable,
}

impl StoreErrorKind {
    /// Whom a service's failure of this kind blames.
    const fn class(self) -> FailureClass {
        match self {
            Self::NotFound | Self::TooShort | Self::Changed => FailureClass::Input,
            Self::BadKey | Self::Denied | Self::NoStore | Self::Refused => FailureClass::Config,
            Self::Full | Self::Conflict | Self::Unavailable => FailureClass::Passing,
        }
    }
}

/// Why a store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {doing}{} in {store}: {reason}", Named(key))]
pub struct StoreError {
    /// The kind of failure.
    pub kind: StoreErrorKind,
    /// What was being done: `read`, `write`, `list`, `delete`.
    pub doing: &'static str,
    /// To which key; empty where it is to none in particular.
    pub key: String,
    /// In which store.
    pub store: String,
    /// What was found, and what to do about it.
    pub reason: String,
    class: FailureClass,
    #[source]
    cause: Option<Cause>,
}

/// A key in a message, if there is one.
struct Named<'a>(&'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " `{}`", self.0) }
    }
}

impl StoreError {
    /// A failure of `kind` with nothing behind it, of the class that this kind mostly has.
    pub fn new(
        kind: StoreErrorKind,
        doing: &'static str,
        key: impl Into<String>,
        store: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        RequestError::new(kind, reason).in_store(doing, &key.into(), store.into())
    }
}

impl Classify for StoreError {
    fn class(&self) -> FailureClass {
        self.class
    }
}

/// Why something could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {doing} {uri}: {reason}")]
pub struct FileError {
    /// The kind of failure.
    pub kind: StoreErrorKind,
    /// What was being done: `read`, `list`, `keep a copy of`.
    pub doing: &'static str,
    /// With what.
    pub uri: String,
    /// What was found, and what to do about it.
    pub reason: String,
    class: FailureClass,
    #[source]
    cause: Option<Cause>,
}

impl FileError {
    /// A failure of this machine's disk.
    pub fn of_disk(doing: &'static str, uri: &str, error: io::Error) -> Self {
        RequestError::disk(error).of_file(doing, uri)
    }
}

impl Classify for FileError {
    fn class(&self) -> FailureClass {
        self.class
    }
}

/// Why a request failed, before it is known for whom it was made.
#[derive(Debug, Clone)]
pub(crate) struct RequestError {
    pub(crate) kind: StoreErrorKind,
    pub(crate) class: FailureClass,
    /// What was found and what to do, with the endpoint.
    pub(crate) reason: String,
    /// The HTTP status; 0 if no store has answered.
    #[cfg(feature = "s3")]
    pub(crate) status: u16,
    cause: Option<Cause>,
}

impl RequestError {
    pub(crate) fn new(kind: StoreErrorKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            class: kind.class(),
            reason: reason.into(),
            #[cfg(feature = "s3")]
            status: 0,
            cause: None,
        }
    }

    /// A failure of this machine's disk.
    pub(crate) fn disk(error: io::Error) -> Self {
        let (kind, class) = of_disk(&error);
        Self { class, ..Self::new(kind, error.to_string()) }.caused_by(error)
    }

    /// File work that has gone with its thread: it panicked, or the process is about to end.
    pub(crate) fn lost(error: tokio::task::JoinError) -> Self {
        let class = if error.is_panic() { FailureClass::Bug } else { FailureClass::Passing };
        Self { class, ..Self::new(StoreErrorKind::Unavailable, error.to_string()) }.caused_by(error)
    }

    /// The same, seen as another kind of failure.
    pub(crate) fn with_kind(self, kind: StoreErrorKind) -> Self {
        Self { kind, class: kind.class(), ..self }
    }

    pub(crate) fn with_reason(self, reason: String) -> Self {
        Self { reason, ..self }
    }

    #[cfg(feature = "s3")]
    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn caused_by(self, cause: impl Error + Send + Sync + 'static) -> Self {
        Self { cause: Some(Arc::new(cause)), ..self }
    }

    /// Whether bytes were asked for that the object does not have.
    #[cfg(feature = "s3")]
    pub(crate) const fn is_beyond_the_end(&self) -> bool {
        self.status == 416
    }

    /// The error of a store that was asked to do this with `key`; an empty one stands for all.
    pub(crate) fn in_store(self, doing: &'static str, key: &str, store: String) -> StoreError {
        let key = key.to_owned();
        let Self { kind, class, reason, cause, .. } = self;
        StoreError { kind, doing, key, store, reason, class, cause }
    }

    /// The error of a file that a user has named, so that a name that leads nowhere is the input's fault.
    pub(crate) fn of_file(self, doing: &'static str, uri: &str) -> FileError {
        let Self { kind, class, reason, cause, .. } = self;
        let class = if kind == StoreErrorKind::BadKey { FailureClass::Input } else { class };
        FileError { kind, doing, uri: uri.to_owned(), reason, class, cause }
    }
}

/// `EIO`, `ENFILE` and `EMFILE` have no [`ErrorKind`], and these numbers on every Unix.
const BROKEN_DISK_OR_NO_HANDLES: [i32; 3] = [5, 23, 24];

/// Whether a link leads onto itself, alone or by others: `ELOOP`, whose [`ErrorKind`] has no stable name.
pub(crate) fn is_link_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(if cfg!(target_os = "linux") { 40 } else { 62 })
}

/// What kind of failure of a disk this is, and whom it blames: what another machine may have to offer is this one's
/// fault, what a network drive may be over in a moment passes.
fn of_disk(error: &io::Error) -> (StoreErrorKind, FailureClass) {
    use StoreErrorKind as Kind;
    match error.kind() {
        _ if is_link_loop(error) => (Kind::NotFound, FailureClass::Input),
        ErrorKind::NotFound | ErrorKind::NotADirectory => (Kind::NotFound, FailureClass::Input),
        ErrorKind::UnexpectedEof => (Kind::TooShort, FailureClass::Input),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            (Kind::Full, FailureClass::Worker)
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (Kind::Denied, FailureClass::Worker),
        ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput
        | ErrorKind::IsADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::DirectoryNotEmpty => (Kind::BadKey, FailureClass::Config),
        ErrorKind::Unsupported => (Kind::Refused, FailureClass::Config),
        ErrorKind::OutOfMemory => (Kind::Unavailable, FailureClass::Worker),
        _ if error.raw_os_error().is_some_and(|code| BROKEN_DISK_OR_NO_HANDLES.contains(&code)) => {
            (Kind::Unavailable, FailureClass::Worker)
        }
        _ => (Kind::Unavailable, FailureClass::Passing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those of Linux.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_disk_says_blames_the_right_one() {
        use StoreErrorKind as Kind;
        for (name, code, kind, class) in [
            ("ENOENT", 2, Kind::NotFound, FailureClass::Input),
            ("EIO", 5, Kind::Unavailable, FailureClass::Worker),
            ("EACCES", 13, Kind::Denied, FailureClass::Worker),
            ("EISDIR", 21, Kind::BadKey, FailureClass::Config),
            ("EINVAL", 22, Kind::BadKey, FailureClass::Config),
            ("EMFILE", 24, Kind::Unavailable, FailureClass::Worker),
            ("ENOSPC", 28, Kind::Full, FailureClass::Worker),
            ("EROFS", 30, Kind::Denied, FailureClass::Worker),
            ("ENAMETOOLONG", 36, Kind::BadKey, FailureClass::Config),
            ("ELOOP", 40, Kind::NotFound, FailureClass::Input),
            ("ETIMEDOUT", 110, Kind::Unavailable, FailureClass::Passing),
            ("ESTALE", 116, Kind::Unavailable, FailureClass::Passing),
            ("EDQUOT", 122, Kind::Full, FailureClass::Worker),
        ] {
            let error = RequestError::disk(io::Error::from_raw_os_error(code));
            assert_eq!((error.kind, error.class), (kind, class), "{name}: {}", error.reason);
        }
    }

    #[test]
    fn errors_keep_what_is_behind_them() {
        let error = FileError::of_disk("read", "a.png", io::ErrorKind::PermissionDenied.into());
        assert_eq!(error.class(), FailureClass::Worker);
        let cause = error.source().and_then(|cause| cause.downcast_ref::<Cause>()).expect("a cause");
        let cause: &(dyn Error + 'static) = &**cause;
        assert_eq!(
            cause.downcast_ref::<io::Error>().map(io::Error::kind),
            Some(io::ErrorKind::PermissionDenied)
        );
    }

    #[test]
    fn a_name_that_leads_nowhere_blames_who_gave_it() {
        let error = RequestError::new(StoreErrorKind::BadKey, "too long");
        assert_eq!(error.clone().of_file("read", "gs://a").class(), FailureClass::Input);
        assert_eq!(error.in_store("write", "a", "s3://b".into()).class(), FailureClass::Config);
    }
}
