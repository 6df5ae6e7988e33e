//! The queue of a single process.

use crate::{Delivery, QueueError, Subscription, TaskQueue, Topic};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A queue in memory; lost with its process, as are its clones.
#[derive(Debug, Clone, Default)]
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// What was published before a topic's groups came. Kept only until the first group takes it.
    early: HashMap<Topic, VecDeque<Bytes>>,
    groups: HashMap<(Topic, String), VecDeque<Bytes>>,
}

impl MemoryQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every `receive`, now and later.
    pub fn close(&self) {
        self.state().closed = true;
        self.shared.arrived.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock, so a poisoned one still holds a sound state.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TaskQueue for MemoryQueue {
    async fn publish(&self, topic: Topic, _key: &str, payload: Bytes) -> Result<(), QueueError> {
        let mut state = self.state();
        if state.closed {
            return Err(QueueError::Closed);
        }
        let mut taken = false;
        for ((of, _), waiting) in &mut state.groups {
            if *of == topic {
                waiting.push_back(payload.clone());
                taken = true;
            }
        }
        if !taken {
            state.early.entry(topic).or_default().push_back(payload);
        }
        drop(state);
        self.shared.arrived.notify_waiters();
        Ok(())
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Subscription>, QueueError> {
        let mut state = self.state();
        let key = (topic, group.to_owned());
        if !state.groups.contains_key(&key) {
            let early = state.early.remove(&topic).unwrap_or_default();
            state.groups.insert(key.clone(), early);
        }
        Ok(Box::new(MemorySubscription { queue: self.clone(), key, next_token: 0, open: BTreeMap::new() }))
    }
}

struct MemorySubscription {
    queue: MemoryQueue,
    key: (Topic, String),
    next_token: u64,
    open: BTreeMap<u64, Bytes>,
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn receive(&mut self) -> Result<Delivery, QueueError> {
        let shared = Arc::clone(&self.queue.shared);
        loop {
            let arrived = shared.arrived.notified();
            tokio::pin!(arrived);
            // Listening starts before looking, so that nothing that arrives in between is missed.
            arrived.as_mut().enable();
            {
                let mut state = self.queue.state();
                if state.closed {
                    return Err(QueueError::Closed);
                }
                if let Some(payload) = state.groups.get_mut(&self.key).and_then(VecDeque::pop_front) {
                    let token = self.next_token;
                    self.next_token += 1;
                    self.open.insert(token, payload.clone());
                    return Ok(Delivery { payload, token });
                }
            }
            arrived.await;
        }
    }

    async fn acknowledge(&mut self, token: u64) -> Result<(), QueueError> {
        self.open.remove(&token);
        Ok(())
    }
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if let Some(waiting) = state.groups.get_mut(&self.key) {
            for payload in std::mem::take(&mut self.open).into_values().rev() {
                waiting.push_front(payload);
            }
        }
        drop(state);
        self.queue.shared.arrived.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn keeps_the_contract() {
        crate::contract::queue(&crate::MemoryQueue::new()).await;
    }

    #[tokio::test]
    async fn closing_ends_every_receive() {
        use crate::{MemoryQueue, QueueError, TaskQueue, Topic};
        let queue = MemoryQueue::new();
        let mut subscription = queue.subscribe(Topic::Tasks, "g").await.unwrap();
        let waiting = tokio::spawn(async move { subscription.receive().await });
        tokio::task::yield_now().await;
        queue.close();
        assert!(matches!(waiting.await.unwrap(), Err(QueueError::Closed)));
    }
}
