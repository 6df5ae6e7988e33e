//! What is known of files without reading them.

use crate::s3::ObjectFacts;

/// What is known of a file without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// Its length, bytes.
    pub size_bytes: u64,
    /// Names its content well enough to notice that it was replaced: the `ETag` of an object, for a file when it was
    /// written.
    pub version: String,
    /// The version as requests name it; nothing for a file of this machine.
    pub(super) etag: Option<String>,
}

impl FileStat {
    /// Length and version in one text. [`Files::fingerprint`](super::Files::fingerprint) looks at the content too.
    pub fn fingerprint(&self) -> String {
        format!("{}-{}", self.size_bytes, self.version)
    }

    pub(super) fn of_file(meta: &std::fs::Metadata) -> Self {
        let written = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        let version = written.map_or(0, |t| t.as_nanos()).to_string();
        Self { size_bytes: meta.len(), version, etag: None }
    }

    pub(super) fn of_object(facts: ObjectFacts) -> Self {
        let version = facts.etag.clone().unwrap_or_else(|| facts.modified_seconds.to_string());
        Self { size_bytes: facts.size_bytes, version, etag: facts.etag }
    }
}

/// A file of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its path below the folder, with `/` between the parts.
    pub relative: String,
    /// What the list itself says of it; nothing for folders of this machine.
    pub stat: Option<FileStat>,
}
