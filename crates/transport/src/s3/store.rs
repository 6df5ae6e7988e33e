//! A bucket, or a part of one, as a store.

use super::ObjectFacts;
use super::S3;
use super::upload::version;
use crate::error::RequestError;
use crate::store::{Deletions, failed_pages, is_safe_key};
use crate::uri::S3Uri;
use crate::{Condition, Content, ObjectMeta, ObjectStore, Pages, Seen, StoreError, StoreErrorKind, Version};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use std::ops::Range;
use std::path::Path;

/// The objects of a bucket whose keys start with a prefix.
#[derive(Debug, Clone)]
pub struct S3Store {
    s3: S3,
    bucket: String,
    /// Empty, or ending in a slash.
    prefix: String,
}

impl S3Store {
    /// The store at `place`, whose key is the prefix. Nothing is asked of the server yet; see [`check`](Self::check).
    pub fn new(s3: S3, place: &S3Uri) -> Self {
        let prefix = place.key.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { s3, bucket: place.bucket.clone(), prefix }
    }

    /// Looks whether the bucket is there and may be looked into.
    ///
    /// # Errors
    /// When it is not.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.s3.check(&self.uri("")).await.map_err(|error| self.error("list", "", error))
    }

    fn uri(&self, key: &str) -> S3Uri {
        S3Uri { bucket: self.bucket.clone(), key: format!("{}{key}", self.prefix) }
    }

    fn checked(&self, doing: &'static str, key: &str) -> Result<S3Uri, StoreError> {
        if is_safe_key(key) {
            return Ok(self.uri(key));
        }
        let reason = "the key has parts that not every store can hold";
        Err(self.error(doing, key, RequestError::new(StoreErrorKind::BadKey, reason)))
    }

    fn error(&self, doing: &'static str, key: &str, error: RequestError) -> StoreError {
        error.in_store(doing, key, self.name())
    }

    async fn write(&self, key: &str, content: &Content) -> Result<(), StoreError> {
        let place = self.checked("write", key)?;
        self.s3.write(&place, content).await.map_err(|error| self.error("write", key, error))
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    fn name(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix.trim_end_matches('/'))
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.write(key, &Content::Bytes(value)).await
    }

    async fn put_if(&self, key: &str, value: Bytes, condition: &Condition) -> Result<Version, StoreError> {
        let place = self.checked("write", key)?;
        let written = self.s3.write_if(&place, value, condition).await;
        written.map_err(|error| self.error("write", key, error))
    }

    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        self.write(key, &Content::File(path.to_path_buf())).await
    }

    async fn put_over(&self, key: &str, content: &Content, seen: &Seen) -> Result<(), StoreError> {
        let place = self.checked("write", key)?;
        let written = self.s3.write_over(&place, content, seen).await;
        written.map_err(|error| self.error("write", key, error))
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        let place = self.checked("read", key)?;
        self.s3.get(&place).await.map_err(|error| self.error("read", key, error))
    }

    async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError> {
        let place = self.checked("read", key)?;
        let read = self.s3.get_tagged(&place).await.and_then(|(bytes, etag)| Ok((bytes, version(etag)?)));
        read.map_err(|error| self.error("read", key, error))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let place = self.checked("read", key)?;
        let failed = |error| self.error("read", key, error);
        if range.start < range.end {
            return self.s3.fetch(&place, range, None).await.map_err(failed);
        }
        // No request can ask for no bytes.
        let found = self.s3.head(&place).await.map_err(failed)?;
        if range.start == range.end && range.end <= found.size_bytes {
            return Ok(Bytes::new());
        }
        let reason =
            format!("bytes {}..{} of an object of {} bytes", range.start, range.end, found.size_bytes);
        Err(failed(RequestError::new(StoreErrorKind::TooShort, reason)))
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        let place = self.checked("read", key)?;
        let found = self.s3.head(&place).await.map_err(|error| self.error("read", key, error))?;
        Ok(ObjectMeta { key: key.to_owned(), size_bytes: found.size_bytes, stamp: found.etag })
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> Pages<'a> {
        if !prefix.is_empty()
            && let Err(error) = self.checked("list", prefix.trim_end_matches('/'))
        {
            return failed_pages(error);
        }
        // What others keep under the same prefix is not ours.
        let own = |(key, facts): (String, ObjectFacts)| {
            let key = key.strip_prefix(&self.prefix)?;
            let ObjectFacts { size_bytes, etag: stamp, .. } = facts;
            is_safe_key(key).then(|| ObjectMeta { key: key.to_owned(), size_bytes, stamp })
        };
        let pages = self.s3.pages(self.uri(prefix));
        let pages = pages.map_ok(move |page| page.into_iter().filter_map(own).collect());
        pages.map_err(move |error| self.error("list", prefix, error)).boxed()
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let place = self.checked("delete", key)?;
        self.s3.remove(&place).await.map_err(|error| self.error("delete", key, error))
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        let mut deletions = Deletions::default();
        let mut places = Vec::new();
        for key in keys {
            match self.checked("delete", key) {
                Ok(place) => places.push(place.key),
                Err(error) => deletions.note(Err(error)),
            }
        }
        for (key, error) in self.s3.remove_many(&self.bucket, places).await {
            let key = key.strip_prefix(&self.prefix).unwrap_or(&key);
            deletions.note(Err(self.error("delete", key, error)));
        }
        deletions.result(keys.len())
    }
}
