//! The store as one participant sees it: with faults of its own, and everything that it changes in the journal.

use super::journal::Journal;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use marquetry_transport::{
    Condition, Content, ObjectMeta, ObjectStore, Pages, Seen, StoreError, StoreErrorKind, Version,
};
use std::future::Future;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Put,
    /// A conditional write.
    PutIf,
    Get,
    Head,
    List,
    Delete,
}

impl Verb {
    const fn doing(self) -> &'static str {
        match self {
            Self::Put | Self::PutIf => "write",
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
                Effect::Refuse(kind) => return Err(self.error(kind, verb, key)),
                Effect::LoseAnswer => answer_lost = true,
                Effect::Hold(gate) => {
                    self.journal.note(&self.who, format!("is held at {verb:?} {key}"));
                    gate.arrived.notify_one();
                    gate.open.notified().await;
                }
            }
        }
        if matches!(verb, Verb::Put | Verb::PutIf | Verb::Delete) {
            self.journal.note(&self.who, format!("{verb:?} {key}"));
        }
        Ok(answer_lost)
    }

    fn effects(&self, verb: Verb, key: &str) -> Vec<Effect> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let strike = |fault: &mut Fault| fault.strikes(verb, key).then(|| fault.effect.clone());
        faults.iter_mut().filter_map(strike).collect()
    }

    fn error(&self, kind: StoreErrorKind, verb: Verb, key: &str) -> StoreError {
        StoreError::new(kind, verb.doing(), key, self.inner.name(), "a fault that this test has on purpose")
    }

    /// A request with all that goes wrong with it. Its answer may be lost on the way back.
    async fn ask<T>(
        &self,
        verb: Verb,
        key: &str,
        request: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let lost = self.before(verb, key).await?;
        let answer = request.await;
        if lost { Err(self.error(StoreErrorKind::Unavailable, verb, key)) } else { answer }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for FaultyStore {
    fn name(&self) -> String {
        self.inner.name()
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.ask(Verb::Put, key, self.inner.put(key, value)).await
    }

    async fn put_if(&self, key: &str, value: Bytes, condition: &Condition) -> Result<Version, StoreError> {
        self.ask(Verb::PutIf, key, self.inner.put_if(key, value, condition)).await
    }

    async fn put_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        self.ask(Verb::Put, key, self.inner.put_file(key, path)).await
    }

    async fn look(&self, key: &str) -> Result<Seen, StoreError> {
        self.ask(Verb::Head, key, self.inner.look(key)).await
    }

    async fn put_over(&self, key: &str, content: &Content, seen: &Seen) -> Result<(), StoreError> {
        self.ask(Verb::Put, key, self.inner.put_over(key, content, seen)).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.ask(Verb::Get, key, self.inner.get(key)).await
    }

    async fn get_versioned(&self, key: &str) -> Result<(Bytes, Version), StoreError> {
        self.ask(Verb::Get, key, self.inner.get_versioned(key)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.ask(Verb::Get, key, self.inner.get_range(key, range)).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        self.ask(Verb::Head, key, self.inner.head(key)).await
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> Pages<'a> {
        let pages = async move { self.ask(Verb::List, prefix, async { Ok(self.inner.pages(prefix)) }).await };
        pages.into_stream().try_flatten().boxed()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.ask(Verb::List, prefix, self.inner.list(prefix)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.ask(Verb::Delete, key, self.inner.delete(key)).await
    }

    /// As many requests, so that a fault can strike each of them.
    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        let mut deleted = Ok(());
        for key in keys {
            deleted = deleted.and(self.delete(key).await);
        }
        deleted
    }
}
