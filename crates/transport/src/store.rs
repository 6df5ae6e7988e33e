//! The store: whole objects under keys.

use crate::{StoreError, StoreErrorKind};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its key.
    pub key: String,
    /// Its length, bytes.
    pub size_bytes: u64,
    /// Another one when it was written since with other bytes, if the store tells that: what it calls the content, or when it was
    /// written.
    pub stamp: Option<String>,
}

impl ObjectMeta {
    /// What names its bytes wherever they lie, if the store has such a name: the digest that S3 gives for what was written in one
    /// request, or its length where it was written in parts. Files have none.
    pub fn content(&self) -> Option<String> {
        let stamp = self.stamp.as_ref()?;
        match stamp.split_once('-') {
            None => Some(stamp.clone()),
            Some((_, parts)) if parts.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(self.size_bytes.to_string())
            }
            Some(_) => None,
        }
    }
}

/// Names what an object held: other bytes have another version, equal bytes may have the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(String);

impl Version {
    /// A version by the name that a store has for it.
    #[cfg(feature = "s3")]
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The version of these bytes, where the store has no name of its own for it.
    pub(crate) fn of_content(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    /// The store's name for it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What must be so for a conditional write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// There is no such object.
    Absent,
    /// The object has this version.
    Version(Version),
}

impl Condition {
    /// Whether it holds of an object that has this version, or of none.
    pub(crate) fn holds(&self, found: Option<&Version>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::Version(wanted) => found == Some(wanted),
        }
    }

    /// What was found instead, for messages.
    pub(crate) const fn violation(&self) -> &'static str {
        match self {
            Self::Absent => "it is there already: somebody else was faster",
            Self::Version(_) => "it is not the one that was read: somebody else has replaced or removed it",
        }
    }
}

/// What stood under a key when it was looked at, for whoever writes there later and must not write over anything newer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Absent,
    /// An object with this [`stamp`](ObjectMeta::stamp).
    Stamp(String),
    /// The store does not tell, or nobody else can write there.
    Untold,
}

impl Seen {
    /// Whether this is still so where an object with this stamp stands now, or none.
    pub(crate) fn still(&self, found: Option<&ObjectMeta>) -> bool {
        match (self, found) {
            (Self::Untold, _) | (Self::Absent, None) => true,
            (Self::Stamp(stamp), Some(found)) => found.stamp.as_ref() == Some(stamp),
            _ => false,
        }
    }

    /// A write over something newer, in words.
    pub(crate) const VIOLATION: &'static str = "something else was written there since it was looked at";
}

/// What is to be written.
#[derive(Debug, Clone)]
pub enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// Those of a local file, which is gone or unchanged afterwards.
    File(PathBuf),
}

impl Content {
    /// How many bytes it has, as far as can be told.
    pub(crate) fn size_bytes(&self) -> std::io::Result<u64> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::File(path) => std::fs::metadata(path).map(|meta| meta.len()),
        }
    }
}

/// A store of objects, each written once as a whole.
///
/// # Contract
/// - Keys are made of `A-Z a-z 0-9 . _ - %` and `/` between parts; no part is empty, `.` or `..`. No key may be a
///   prefix, at a `/`, of another: stores on folders cannot hold both.
/// - A put is atomic: a reader sees the whole object or none, also after a crash. Putting again replaces it.
/// - What a put returned from is listed and read by everyone from then on.
/// - Of several conditional writes that wait for the same thing one happens, and the others are told so
///   (`Conflict`), as far as the body can promise it: memory always; a folder among the processes that share its locks,
///   so on NFS only where the mount passes locks on to the server; S3 where the store honours `If-Match`. Some stores
///   ignore that; there what was read just before decides. So a condition is an extra guard, never the only one.
///   Writes without a condition heed nobody's. Equal bytes that are already there may count as written, so those who
///   race must write different ones.
/// - `list` gives all keys that start with `prefix` (which ends in `/` or is empty), in ascending order. `pages` gives the
///   same ones a page at a time, so that a list of millions need not be held; in what order is the store's affair, and
///   pages may come again when the store was away in between.
/// - `delete_many` tries each key, whatever became of the others.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Its name for messages: a path or a URI.
    fn name(&self) -> String;

    /// Writes an object.
    ///
    /// # Errors
    /// For a bad key, a full or absent store.
    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError>;

    /// Writes a small object if `condition` holds; the version that it has then.
    ///
    /// # Errors
    /// As [`put`](Self::put); of kind `Conflict`, with nothing written, when the condition does not hold.
    async fn put_if(&self, key: &str, value: Bytes, condition: &Condition) -> Result<Version, StoreError>;

    /// Writes an object from a local file, which is gone or unchanged afterwards.
    ///
    /// # Errors
    /// As [`put`](Self::put), and when the file cannot be read.
    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError>;

    /// What stands under a key, for [`put_over`](Self::put_over).
    ///
    /// # Errors
    /// When the store is absent.
    async fn look(&self, key: &str) -> Result<Seen, StoreError> {
        match self.head(key).await {
            Ok(found) => Ok(found.stamp.map_or(Seen::Untold, Seen::Stamp)),
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(Seen::Absent),
            Err(error) => Err(error),
        }
    }

    /// Writes an object of any size, unless something was written there since it was `seen`. So whoever looks first, then
    /// asks whether it may still write, and then writes, does not write over what was written by whoever came after it, however
    /// long its request is on its way.
    ///
    /// # Errors
    /// As [`put`](Self::put) and [`put_file`](Self::put_file); of kind `Conflict` where something else was written, which may be
    /// what an earlier try of the same write did.
    async fn put_over(&self, key: &str, content: &Content, seen: &Seen) -> Result<(), StoreError>;

    /// Reads a whole object.
    ///
    /// # Errors
    /// When there is none, or the store is absent.
    async fn get(&self, key: &str) -> Result<Bytes, StoreError>;

    /// Reads a whole object, and says which version of it that is.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError>;

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

    /// All objects whose keys start with `prefix`, some at a time, in any order; the stream ends after an error.
    ///
    /// # Errors
    /// When the store is absent.
    fn pages<'a>(&'a self, prefix: &'a str) -> Pages<'a>;

    /// All objects whose keys start with `prefix`, ascending.
    ///
    /// # Errors
    /// When the store is absent.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let pages: Vec<Vec<ObjectMeta>> = self.pages(prefix).try_collect().await?;
        let mut found = pages.concat();
        // Some stores list in the order of their folders.
        found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        found.dedup_by(|a, b| a.key == b.key);
        Ok(found)
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// When the store is absent or refuses.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Removes objects, in as few requests as the store allows; those that are not there are no error.
    ///
    /// # Errors
    /// Of the first that could not be removed, with the number of all of these.
    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        let mut deletions = Deletions::default();
        for key in keys {
            deletions.note(self.delete(key).await);
        }
        deletions.result(keys.len())
    }
}

/// What a store lists, a page at a time.
pub type Pages<'a> = BoxStream<'a, Result<Vec<ObjectMeta>, StoreError>>;

/// What became of several deletions.
#[derive(Debug, Default)]
pub(crate) struct Deletions {
    left: usize,
    first: Option<StoreError>,
}

impl Deletions {
    /// Notes one of them.
    pub(crate) fn note(&mut self, deleted: Result<(), StoreError>) {
        if let Err(error) = deleted {
            self.left += 1;
            self.first.get_or_insert(error);
        }
    }

    /// The first failure of `all` deletions, which says how many more there were.
    pub(crate) fn result(self, all: usize) -> Result<(), StoreError> {
        let Some(mut error) = self.first else { return Ok(()) };
        if self.left > 1 {
            error.reason += &format!("; {} of {all} objects are left", self.left);
        }
        Err(error)
    }
}

/// Nothing but an error.
pub(crate) fn failed_pages<'a>(error: StoreError) -> Pages<'a> {
    futures_util::stream::once(std::future::ready(Err(error))).boxed()
}

/// Most bytes of a key, which leaves a bucket's folder some of the 1024 of a whole one.
pub const KEY_BYTES_MAX: usize = 1000;

/// Whether a key is one that every store can hold: no part of it means another folder, it is a text that lists in XML can
/// hold, and no part is cut by another system's separator.
pub(crate) fn is_safe_key(key: &str) -> bool {
    let strange = |c: char| c.is_ascii_control() || matches!(c, '\\' | '\u{fffe}' | '\u{ffff}');
    let part = |p: &str| !matches!(p, "" | "." | "..") && !p.contains(strange);
    key.len() <= KEY_BYTES_MAX && key.split('/').all(part)
}
