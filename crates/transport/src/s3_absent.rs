//! Stands in for the module `s3` in a build without the feature of that name: whatever is asked of a bucket is refused.

#![expect(
    clippy::unused_async,
    clippy::unused_self,
    reason = "called as the client is, which keeps connections and waits for answers"
)]

use crate::error::RequestError;
use crate::uri::S3Uri;
use crate::{S3Options, StoreError, StoreErrorKind};
use bytes::Bytes;
use futures_util::Stream;
use std::ops::Range;

/// The answer to everything: another binary is needed.
fn absent() -> RequestError {
    let reason = "this build of Marquetry has no S3 client; build it with the feature `s3`";
    RequestError::new(StoreErrorKind::Denied, reason)
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
        absent().in_store("open", "", uri.to_owned())
    }

    pub(crate) async fn endpoint(&self) -> &str {
        "nowhere"
    }

    pub(crate) async fn head(&self, _: &S3Uri) -> Result<ObjectFacts, RequestError> {
        Err(absent())
    }

    pub(crate) async fn get(&self, _: &S3Uri) -> Result<Bytes, RequestError> {
        Err(absent())
    }

    pub(crate) async fn fetch(
        &self,
        _: &S3Uri,
        _: Range<u64>,
        _: Option<&str>,
    ) -> Result<Bytes, RequestError> {
        Err(absent())
    }

    pub(crate) fn spans(
        &self,
        _: &S3Uri,
        _: Range<u64>,
        _: Option<&str>,
    ) -> impl Stream<Item = Result<Bytes, RequestError>> + Send + use<> {
        futures_util::stream::iter([Err(absent())])
    }

    pub(crate) async fn list(&self, _: &S3Uri) -> Result<Vec<(String, ObjectFacts)>, RequestError> {
        Err(absent())
    }
}
