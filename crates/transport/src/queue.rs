//! The queue: small messages, at least once.

use async_trait::async_trait;
use bytes::Bytes;

/// The four streams of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Blocks to compute: coordinator to workers.
    Tasks,
    /// What happened: workers and aggregators to the coordinator.
    Results,
    /// Images to put together: coordinator to aggregators.
    Aggregate,
    /// What was given up, with the reason.
    Dead,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 4] = [Self::Tasks, Self::Results, Self::Aggregate, Self::Dead];

    /// The last part of its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Results => "results",
            Self::Aggregate => "aggregate",
            Self::Dead => "dead",
        }
    }
}

/// Why a queue could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue was closed; nothing will come any more.
    #[error("the queue is closed")]
    Closed,
}

/// One message, handed out and not yet acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message.
    pub payload: Bytes,
    /// Names this delivery towards the subscription that gave it.
    pub token: u64,
}

/// A queue of small messages.
///
/// # Contract
/// - `publish` returns when the message is safe: as safe as the body can make it (memory: in the queue; a broker:
///   written by all in-sync replicas).
/// - Every message of a topic reaches each *group* at least once. Within a group it goes to one subscription at a time.
/// - A message is finished for its group when it is acknowledged. Those that a subscription was given and did not
///   acknowledge before it was dropped are given out again. Duplicates and any order are to be expected.
/// - A group sees all messages since the topic began, also those from before its first subscription.
#[async_trait]
pub trait TaskQueue: Send + Sync {
    /// Adds a message. Messages with one `key` stay in order where the body knows order.
    ///
    /// # Errors
    /// When the queue cannot take it.
    async fn publish(&self, topic: Topic, key: &str, payload: Bytes) -> Result<(), QueueError>;

    /// Joins `group` on `topic`.
    ///
    /// # Errors
    /// When the queue cannot be reached.
    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Subscription>, QueueError>;
}

/// One member of a group.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next message. Safe to cancel: a message is handed out or stays in the queue.
    ///
    /// # Errors
    /// When the queue is closed or lost for good.
    async fn receive(&mut self) -> Result<Delivery, QueueError>;

    /// Finishes a message. In any order; twice is harmless.
    ///
    /// # Errors
    /// When the queue is lost for good.
    async fn acknowledge(&mut self, token: u64) -> Result<(), QueueError>;
}
