//! Which objects lie below a folder.

use super::UNFINISHED;
use crate::ObjectMeta;
use crate::store::is_safe_key;
use futures_util::{Stream, StreamExt, stream};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Objects on a page.
const PAGE: usize = 1000;
/// Pages that wait for whoever asked.
const AHEAD: usize = 2;

/// What lies below `folder`, whose key is `prefix`, in the order of the disk. The walk ends with whoever reads it.
pub(super) fn pages(folder: PathBuf, prefix: &str) -> impl Stream<Item = Result<Vec<ObjectMeta>>> + use<> {
    let key = prefix.to_owned();
    stream::once(async move { walk(folder, key) }).flatten()
}

fn walk(folder: PathBuf, key: String) -> impl Stream<Item = Result<Vec<ObjectMeta>>> {
    let (send, receive) = mpsc::channel(AHEAD);
    let walk = tokio::task::spawn_blocking(move || {
        let mut walk = Walk { page: Vec::new(), pages: send };
        let last = match walk.collect(&folder, &key) {
            Ok(true) if walk.page.is_empty() => return,
            Ok(true) => Ok(walk.page),
            Ok(false) => return,
            Err(error) => Err(error),
        };
        // Whoever does not want it any more has gone.
        let _ = walk.pages.blocking_send(last);
    });
    stream::unfold((receive, Some(walk)), |(mut receive, walk)| async {
        if let Some(page) = receive.recv().await {
            return Some((page, (receive, walk)));
        }
        // A walk that broke down has not said so.
        let lost = walk?.await.err()?;
        Some((Err(Error::other(lost)), (receive, None)))
    })
}

/// A walk through folders, which sends what it finds.
struct Walk {
    page: Vec<ObjectMeta>,
    pages: mpsc::Sender<Result<Vec<ObjectMeta>>>,
}

impl Walk {
    /// Looks at a folder and all below it; whether anybody still wants to know.
    fn collect(&mut self, folder: &Path, key: &str) -> Result<bool> {
        let entries = match std::fs::read_dir(folder) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(true),
            other => other?,
        };
        for entry in entries {
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
            let goes_on = if meta.is_dir() {
                self.collect(&entry.path(), &format!("{key}/"))?
            } else {
                !is_safe_key(&key) || self.found(ObjectMeta { key, size_bytes: meta.len() })
            };
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn found(&mut self, object: ObjectMeta) -> bool {
        self.page.push(object);
        self.page.len() < PAGE || self.pages.blocking_send(Ok(std::mem::take(&mut self.page))).is_ok()
    }
}
