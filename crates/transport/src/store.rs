//! The store: whole objects under keys.

use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use std::path::Path;

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its key.
    pub key: String,
    /// Its length, bytes.
    pub size_bytes: u64,
}

/// What kind of trouble a store had: tells the caller whether trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// There is no such object.
    NotFound,
    /// The key is not one that every store can hold.
    BadKey,
    /// It has fewer bytes than were asked for.
    TooShort,
    /// No room left.
    Full,
    /// Not allowed.
    Denied,
    /// The store itself is not there: no such bucket.
    NoStore,
    /// The object is not the one that was meant: it was replaced.
    Changed,
    /// Anything else; may pass.
    Unavailable,
}

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} `{key}` in {store}: {reason}")]
pub struct StoreError {
    /// The kind of trouble.
    pub kind: StoreErrorKind,
    /// What was being done: `read`, `write`, `list`, `delete`.
    pub doing: &'static str,
    /// To which key.
    pub key: String,
    /// In which store.
    pub store: String,
    /// What was found, and what to do about it.
    pub reason: String,
}

/// A store of objects, each written once as a whole.
///
/// # Contract
/// - Keys are made of `A-Z a-z 0-9 . _ - %` and `/` between parts; no part is empty, `.` or `..`. No key may be a
///   prefix, at a `/`, of another: stores on folders cannot hold both.
/// - A put is atomic: a reader sees the whole object or none, also after a crash. Putting again replaces it.
/// - What a put returned from is listed and read by everyone from then on.
/// - `list` gives all keys that start with `prefix` (which ends in `/` or is empty), in ascending order.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Its name for messages: a path or a URI.
    fn name(&self) -> String;

    /// Writes an object.
    ///
    /// # Errors
    /// For a bad key, a full or absent store.
    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError>;

    /// Writes an object from a local file, which is gone or unchanged afterwards.
    ///
    /// # Errors
    /// As [`put`](Self::put), and when the file cannot be read.
    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError>;

    /// Reads a whole object.
    ///
    /// # Errors
    /// When there is none, or the store is absent.
    async fn get(&self, key: &str) -> Result<Bytes, StoreError>;

    /// Reads bytes `range` of an object; all of them or an error.
    ///
    /// # Errors
    /// When there is no such object, or it is shorter.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError>;

    /// The object's key and length.
    ///
    /// # Errors
    /// When there is none, or the store is absent.
    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError>;

    /// All objects whose keys start with `prefix`, ascending.
    ///
    /// # Errors
    /// When the store is absent.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError>;

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// When the store is absent or refuses.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;
}

/// Whether a key is one that every store can hold.
pub(crate) fn is_safe_key(key: &str) -> bool {
    let part = |p: &str| {
        !matches!(p, "" | "." | "..")
            && p.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '%'))
    };
    key.len() <= 1000 && key.split('/').all(part)
}
