//! The queue of a single process.

use crate::{Delivery, Feed, QueueError, Subscription, TaskQueue, Topic};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A queue in memory; lost with its process, as are its clones. What was published while a topic had feeds and no group
/// is not kept for a group that comes later.
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
    groups: HashMap<(Topic, String), Group>,
    feeds: Vec<(Topic, UnboundedSender<Bytes>)>,
}

#[derive(Debug, Default)]
struct Group {
    waiting: VecDeque<Bytes>,
    /// Given out and not acknowledged.
    open: u64,
}

impl MemoryQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every `receive`, now and later.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.feeds.clear();
        drop(state);
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
        state.feeds.retain(|(of, feed)| *of != topic || feed.send(payload.clone()).is_ok());
        taken |= state.feeds.iter().any(|(of, _)| *of == topic);
        for ((of, _), group) in &mut state.groups {
            if *of == topic {
                group.waiting.push_back(payload.clone());
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

    async fn partitions(&self, _: Topic) -> Result<u32, QueueError> {
        Ok(1)
    }

    async fn publish_to(&self, topic: Topic, _partition: u32, payload: Bytes) -> Result<(), QueueError> {
        self.publish(topic, "", payload).await
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Subscription>, QueueError> {
        let mut state = self.state();
        let key = (topic, group.to_owned());
        if !state.groups.contains_key(&key) {
            let waiting = state.early.remove(&topic).unwrap_or_default();
            state.groups.insert(key.clone(), Group { waiting, open: 0 });
        }
        Ok(Box::new(MemorySubscription { queue: self.clone(), key, next_token: 0, open: BTreeMap::new() }))
    }

    async fn follow(&self, topic: Topic) -> Result<Box<dyn Feed>, QueueError> {
        let mut state = self.state();
        if state.closed {
            return Err(QueueError::Closed);
        }
        let (sender, receiver) = unbounded_channel();
        state.feeds.push((topic, sender));
        Ok(Box::new(MemoryFeed(receiver)))
    }

    async fn lag(&self, topic: Topic, group: &str) -> Result<u64, QueueError> {
        let state = self.state();
        Ok(match state.groups.get(&(topic, group.to_owned())) {
            Some(group) => group.waiting.len() as u64 + group.open,
            None => state.early.get(&topic).map_or(0, |early| early.len() as u64),
        })
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
                let group = state.groups.get_mut(&self.key);
                if let Some((payload, group)) = group.and_then(|g| Some((g.waiting.pop_front()?, g))) {
                    group.open += 1;
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
        if self.open.remove(&token).is_some()
            && let Some(group) = self.queue.state().groups.get_mut(&self.key)
        {
            group.open -= 1;
        }
        Ok(())
    }

    async fn leave(self: Box<Self>) {}
}

struct MemoryFeed(UnboundedReceiver<Bytes>);

#[async_trait]
impl Feed for MemoryFeed {
    async fn next(&mut self) -> Result<Bytes, QueueError> {
        self.0.recv().await.ok_or(QueueError::Closed)
    }
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if let Some(group) = state.groups.get_mut(&self.key) {
            for payload in std::mem::take(&mut self.open).into_values().rev() {
                group.open -= 1;
                group.waiting.push_front(payload);
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
