//! The store as one participant sees it: with faults of its own, and everything that it changes in the journal.

use super::journal::Journal;
use super::memory_store::error;
use async_trait::async_trait;
use bytes::Bytes;
use marquetry_transport::{ObjectMeta, ObjectStore, StoreError, StoreErrorKind};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Put,
    Get,
    Head,
    List,
    Delete,
}

impl Verb {
    const fn doing(self) -> &'static str {
        match self {
            Self::Put => "write",
            Self::Get | Self::Head => "read",
            Self::List => "list",
            Self::Delete => "delete",
        }
    }
}

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// It takes so much longer.
    Delay(Duration),
    /// It is refused, and nothing is done.
    Refuse(StoreErrorKind),
    /// It is done, and its answer is lost.
    LoseAnswer,
    /// It waits until it is let go.
    Hold(Gate),
}

/// Where a request waits: whoever plays a schedule sees that it has come there, and lets it go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    arrived: Arc<Notify>,
    open: Arc<Notify>,
}

impl Gate {
    /// Waits until a request has come here.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Lets it go.
    pub(crate) fn open(&self) {
        self.open.notify_one();
    }
}

/// Which requests an effect is for.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    verb: Verb,
    in_key: String,
    /// Requests that are spared first.
    spared: u32,
    /// Requests that it happens to after that.
    times: u32,
    /// It happens to so many of a hundred of these.
    percent: u8,
    effect: Effect,
}

impl Fault {
    /// Every `verb` whose key has `in_key` in it.
    pub(crate) fn new(verb: Verb, in_key: &str, effect: Effect) -> Self {
        Self { verb, in_key: in_key.to_owned(), spared: 0, times: u32::MAX, percent: 100, effect }
    }

    /// Only the first one after `spared` others.
    pub(crate) fn once_after(self, spared: u32) -> Self {
        Self { spared, times: 1, ..self }
    }

    /// Only so many of a hundred.
    pub(crate) fn percent(self, percent: u8) -> Self {
        Self { percent, ..self }
    }

    fn strikes(&mut self, verb: Verb, key: &str) -> bool {
        if verb != self.verb || !key.contains(&self.in_key) {
            return false;
        }
        if self.spared > 0 {
            self.spared -= 1;
            return false;
        }
        let strikes = self.times > 0 && fastrand::u8(0..100) < self.percent;
        self.times -= u32::from(strikes);
        strikes
    }
}

/// A store, as `who` sees it.
pub(crate) struct FaultyStore {
    who: String,
    inner: Arc<dyn ObjectStore>,
    journal: Journal,
    faults: Mutex<Vec<Fault>>,
}

impl FaultyStore {
    pub(crate) fn new(who: &str, inner: Arc<dyn ObjectStore>, journal: Journal) -> Self {
        Self { who: who.to_owned(), inner, journal, faults: Mutex::default() }
    }

    /// From now on this goes wrong too.
    pub(crate) fn add(&self, fault: Fault) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// All that goes wrong with a request before it is done; whether its answer will be lost.
    async fn before(&self, verb: Verb, key: &str) -> Result<bool, StoreError> {
        let mut answer_lost = false;
        for effect in self.effects(verb, key) {
            match effect {
                Effect::Delay(pause) => tokio::time::sleep(pause).await,
                Effect::Refuse(kind) => return Err(error(kind, verb.doing(), key)),
                Effect::LoseAnswer => answer_lost = true,
                Effect::Hold(gate) => {
                    self.journal.note(&self.who, format!("is held at {verb:?} {key}"));
                    gate.arrived.notify_one();
                    gate.open.notified().await;
                }
            }
        }
        if matches!(verb, Verb::Put | Verb::Delete) {
            self.journal.note(&self.who, format!("{verb:?} {key}"));
        }
        Ok(answer_lost)
    }

    fn effects(&self, verb: Verb, key: &str) -> Vec<Effect> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let strike = |fault: &mut Fault| fault.strikes(verb, key).then(|| fault.effect.clone());
        faults.iter_mut().filter_map(strike).collect()
    }
}

/// What came of a request whose answer may be lost on the way back.
fn after<T>(answer: Result<T, StoreError>, lost: bool, verb: Verb, key: &str) -> Result<T, StoreError> {
    if lost { Err(error(StoreErrorKind::Unavailable, verb.doing(), key)) } else { answer }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    fn name(&self) -> String {
        self.inner.name()
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        let lost = self.before(Verb::Put, key).await?;
        after(self.inner.put(key, value).await, lost, Verb::Put, key)
    }

    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        let lost = self.before(Verb::Put, key).await?;
        after(self.inner.put_file(key, path).await, lost, Verb::Put, key)
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        let lost = self.before(Verb::Get, key).await?;
        after(self.inner.get(key).await, lost, Verb::Get, key)
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let lost = self.before(Verb::Get, key).await?;
        after(self.inner.get_range(key, range).await, lost, Verb::Get, key)
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        let lost = self.before(Verb::Head, key).await?;
        after(self.inner.head(key).await, lost, Verb::Head, key)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let lost = self.before(Verb::List, prefix).await?;
        after(self.inner.list(prefix).await, lost, Verb::List, prefix)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let lost = self.before(Verb::Delete, key).await?;
        after(self.inner.delete(key).await, lost, Verb::Delete, key)
    }
}
