//! Which objects lie below a folder.

use super::UNFINISHED;
use crate::ObjectMeta;
use crate::store::is_safe_key;
use std::fs::ReadDir;
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

/// Objects on a page.
const PAGE: usize = 1000;

/// A walk through a folder and all below it, in the order of the disk, page by page.
#[derive(Debug)]
pub(super) struct Walk {
    /// The folder that it begins with, and its key, until it has begun.
    first: Option<(PathBuf, String)>,
    /// The folders that it is in, each with its key and what is left of it.
    open: Vec<(ReadDir, String)>,
}

impl Walk {
    /// Of `folder`, whose key is `prefix`.
    pub(super) fn new(folder: PathBuf, prefix: &str) -> Self {
        Self { first: Some((folder, prefix.to_owned())), open: Vec::new() }
    }

    /// The next objects; none once there are no more.
    pub(super) fn page(&mut self) -> Result<Vec<ObjectMeta>> {
        if let Some((folder, key)) = self.first.take() {
            self.enter(&folder, key)?;
        }
        let mut page = Vec::new();
        while let Some((entries, key)) = self.open.last_mut() {
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|n| !(key.is_empty() && *n == UNFINISHED)) else {
                continue;
            };
            let key = format!("{key}{name}");
            let meta = match entry.metadata() {
                // Somebody has deleted it since: tiles go while others look at what there is.
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                other => other?,
            };
            if meta.is_dir() {
                self.enter(&entry.path(), format!("{key}/"))?;
            } else if is_safe_key(&key) {
                page.push(ObjectMeta { key, size_bytes: meta.len(), stamp: super::stamp(&meta) });
                if page.len() == PAGE {
                    break;
                }
            }
        }
        Ok(page)
    }

    /// Goes on with a folder, if it is there.
    fn enter(&mut self, folder: &Path, key: String) -> Result<()> {
        match std::fs::read_dir(folder) {
            Ok(entries) => self.open.push((entries, key)),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
