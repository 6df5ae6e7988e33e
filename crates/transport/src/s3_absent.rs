//! Stands in for the module `s3` in a build without the feature of that name: whatever is asked of a bucket is refused.

#![expect(
    clippy::unused_async,
    clippy::unused_self,
    reason = "called as the client is, which keeps connections and waits for answers"
)]

use crate::uri::S3Uri;
use crate::{S3Options, StoreError, StoreErrorKind};
use bytes::Bytes;
use futures_util::Stream;
use std::ops::Range;

/// What to say of any bucket.
const ABSENT: &str = "this build of Marquetry has no S3 client; build it with the feature `s3`";

/// Why a bucket, or a file of this machine, could not be used.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) kind: StoreErrorKind,
    pub(crate) reason: String,
}

impl Trouble {
    pub(crate) fn new(kind: StoreErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// A failure of this machine's disk.
    pub(crate) fn disk(error: &std::io::Error) -> Self {
        Self::new(crate::folder::kind(error), error.to_string())
    }

    /// Nobody can be asked: another binary is needed.
    pub(crate) fn absent() -> Self {
        Self::new(StoreErrorKind::Denied, ABSENT)
    }
}

/// What would be known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectFacts {
    pub(crate) size_bytes: u64,
    pub(crate) etag: Option<String>,
    pub(crate) modified_seconds: i64,
}

/// In place of a client: it refuses everything.
#[derive(Debug, Clone)]
pub struct S3(());

impl S3 {
    /// Takes the options that a client would take, so that callers need not know whether there is one.
    pub fn new(_: S3Options) -> Self {
        Self(())
    }

    /// Why the store at `uri` cannot be opened.
    pub(crate) fn refuse(&self, uri: &str) -> StoreError {
        let Trouble { kind, reason } = Trouble::absent();
        StoreError { kind, doing: "open", key: "anything".to_owned(), store: uri.to_owned(), reason }
    }

    pub(crate) async fn endpoint(&self) -> &str {
        "nowhere"
    }

    pub(crate) async fn head(&self, _: &S3Uri) -> Result<ObjectFacts, Trouble> {
        Err(Trouble::absent())
    }

    pub(crate) async fn get(&self, _: &S3Uri) -> Result<Bytes, Trouble> {
        Err(Trouble::absent())
    }

    pub(crate) async fn fetch(&self, _: &S3Uri, _: Range<u64>, _: Option<&str>) -> Result<Bytes, Trouble> {
        Err(Trouble::absent())
    }

    pub(crate) fn spans(
        &self,
        _: &S3Uri,
        _: Range<u64>,
        _: Option<&str>,
    ) -> impl Stream<Item = Result<Bytes, Trouble>> + Send + use<> {
        futures_util::stream::iter([Err(Trouble::absent())])
    }

    pub(crate) async fn list(&self, _: &S3Uri) -> Result<Vec<(String, ObjectFacts)>, Trouble> {
        Err(Trouble::absent())
    }
}
