//! What happened in a schedule, by virtual time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Lines of a journal that are shown when a schedule goes wrong.
const SHOWN: usize = 80;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Duration,
    pub(crate) who: String,
    pub(crate) what: String,
}

/// All that happened, oldest first. Clones write into one journal.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    started: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Journal {
    /// Nothing yet. Called within the schedule's runtime, whose clock it reads.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), entries: Arc::default() }
    }

    pub(crate) fn note(&self, who: &str, what: impl Into<String>) {
        let entry = Entry { at: self.started.elapsed(), who: who.to_owned(), what: what.into() };
        self.entries().push(entry);
    }

    /// Everything so far.
    pub(crate) fn all(&self) -> Vec<Entry> {
        self.entries().clone()
    }

    /// How many have been killed by what they had in hand.
    pub(crate) fn deaths(&self) -> usize {
        self.entries().iter().filter(|entry| entry.what.starts_with("is killed by")).count()
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries();
        for Entry { at, who, what } in &entries[entries.len().saturating_sub(SHOWN)..] {
            writeln!(f, "{:>10.3} s  {who}: {what}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
